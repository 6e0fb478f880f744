"""A track table through an extractor: one vector per track, its segments, and a list of what could not be read."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mirclr.audio.decode import decode
from mirclr.errors import AudioError
from mirclr.features.extractor import Extractor, track_vector
from mirclr.reports import Progress, Work


@dataclass
class Embedded:
    """`tracks`: the rows that worked, in order; `vectors` (N, D) float32; per track its segments `(S, D)` and their
    `starts` in seconds; `quarantine`: path, reason, detail of the rest."""

    tracks: pd.DataFrame
    vectors: np.ndarray
    segments: list[np.ndarray] = field(default_factory=list)
    starts: list[np.ndarray] = field(default_factory=list)
    quarantine: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["path", "reason", "detail"]))


def _decoded(extractor: Extractor, path: str) -> np.ndarray:
    samples = decode(path, extractor.sample_rate)
    if not len(samples):
        raise AudioError(path, "zero_length", "decodes to no samples")
    return samples


def _ahead(extractor: Extractor, paths: list[str], workers: int) -> Iterator[Future[np.ndarray]]:
    """Decode in threads (the codecs release the interpreter), never more than `workers` + 2 tracks ahead in memory."""
    with ThreadPoolExecutor(workers) as pool:
        queue: deque[Future[np.ndarray]] = deque()
        for path in paths:
            queue.append(pool.submit(_decoded, extractor, path))
            if len(queue) > workers + 2:
                yield queue.popleft()
        yield from queue


def embed_tracks(extractor: Extractor, tracks: pd.DataFrame, workers: int | None = None) -> Work[Embedded]:
    """Embed every row of `tracks` (a column `path` is enough), decoding in `workers` threads (None: all cores).

    A file that cannot be decoded goes to the quarantine with its reason; the others go on.
    """
    paths = [str(p) for p in tracks["path"]]
    kept: list[int] = []
    bad: list[dict[str, str]] = []
    result = Embedded(tracks, np.zeros((0, extractor.dim), np.float32))
    vectors: list[np.ndarray] = []
    for row, future in enumerate(_ahead(extractor, paths, workers or os.cpu_count() or 1)):
        try:
            segments, starts = extractor.segments(future.result())
        except AudioError as error:
            bad.append({"path": error.path, "reason": error.reason, "detail": error.detail})
        else:
            kept.append(row)
            vectors.append(track_vector(segments))
            result.segments.append(segments)
            result.starts.append(starts)
        yield Progress("embed", row + 1, len(paths))
    result.tracks = tracks.iloc[kept].reset_index(drop=True)
    if vectors:
        result.vectors = np.stack(vectors)
    result.quarantine = pd.DataFrame(bad, columns=["path", "reason", "detail"])
    return result
