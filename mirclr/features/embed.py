"""A track table through an extractor: one vector per track, its segments, and a list of what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from mirclr.errors import AudioError
from mirclr.features.extractor import Extractor, Pieces, track_vector
from mirclr.features.hearing import hearings, in_threads, quarantined, whole
from mirclr.features.measurer import Measurer
from mirclr.features.measures import Measures
from mirclr.features.segment_cache import SegmentCache, Segments
from mirclr.reports import Progress, Work


@dataclass
class Embedded:
    """`tracks`: the rows that worked, in order; `vectors` (N, D) float32; per track its segments `(S, D)` and their
    `starts` in seconds, and its `measures` where they were asked for; `quarantine`: path, reason, detail of the rest.
    """

    tracks: pd.DataFrame
    vectors: np.ndarray
    segments: list[np.ndarray] = field(default_factory=list)
    starts: list[np.ndarray] = field(default_factory=list)
    measures: list[Measures | None] = field(default_factory=list)
    quarantine: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["path", "reason", "detail"]))


Heard = tuple[Segments, Measures | None]


def _hear(extractor: Extractor, measurer: Measurer | None, hear: Callable[[], Pieces]) -> Heard:
    """The segments of all pieces of a file and where they start in it, and its measures."""
    pieces = hear()
    parts = [(start, *extractor.segments(samples)) for start, samples in pieces]
    vectors = np.concatenate([vectors for _, vectors, _ in parts])
    starts = np.concatenate([start + starts for start, _, starts in parts])
    return (vectors, starts), None if measurer is None else measurer.measure(pieces)


def _remembered(cache: SegmentCache, extractor: Extractor, path: str) -> Heard:
    return cache.segments(extractor, path, lambda: whole(path, extractor.sample_rate)[0][1]), None


def embed_tracks(
    extractor: Extractor,
    tracks: pd.DataFrame,
    workers: int | None = None,
    max_seconds: float | None = None,
    cache: SegmentCache | None = None,
    measurer: Measurer | None = None,
) -> Work[Embedded]:
    """Embed every row of `tracks` (a column `path` is enough), in `workers` threads (None: all cores).

    With `max_seconds`, files longer than that (column `duration`) are heard in the evenly spaced excerpts that training
    hears of them. With `cache`, whole files are heard only where it does not know them. With `measurer`, the same sound
    is measured too. A file that cannot be decoded goes to the quarantine with its reason; the others go on. Raises
    ValueError on a `cache` with `max_seconds` or `measurer`: it holds vectors of whole files and nothing else.
    """
    if cache is not None and (max_seconds is not None or measurer is not None):
        raise ValueError("a cache holds whole files: it cannot be used with max_seconds or measurer")
    result = Embedded(tracks, np.zeros((0, extractor.dim), np.float32))
    kept: list[int] = []
    bad: list[dict[str, str]] = []
    vectors: list[np.ndarray] = []
    hears = hearings(tracks, extractor.sample_rate, max_seconds)
    jobs = (partial(_hear, extractor, measurer, hear) for hear in hears) if cache is None else (
        partial(_remembered, cache, extractor, str(path)) for path in tracks["path"]
    )  # fmt: skip
    for row, heard in enumerate(in_threads(jobs, workers)):
        if isinstance(heard, AudioError):
            bad.append(quarantined(heard))
        else:
            (segments, starts), measures = heard
            kept.append(row)
            vectors.append(track_vector(segments))
            result.segments.append(segments)
            result.starts.append(starts)
            result.measures.append(measures)
        yield Progress("embed", row + 1, len(tracks))
    result.tracks = tracks.iloc[kept].reset_index(drop=True)
    if vectors:
        result.vectors = np.stack(vectors)
    result.quarantine = pd.DataFrame(bad, columns=["path", "reason", "detail"])
    return result
