"""A track table through an extractor: one vector per track, its segments, and a list of what could not be read."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
import torch

from mirclr.audio.cache_rows import CacheSettings, Track, decode_row, to_float32
from mirclr.audio.decode import decode
from mirclr.errors import AudioError
from mirclr.features.extractor import Extractor, track_vector
from mirclr.features.segment_cache import SegmentCache, Segments
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


# What is heard of a file: pieces of samples and where each begins, in seconds.
Pieces = list[tuple[float, np.ndarray]]


def _whole(path: str, sample_rate: int) -> Pieces:
    samples = decode(path, sample_rate)
    if not len(samples):
        raise AudioError(path, "zero_length", "decodes to no samples")
    return [(0.0, samples)]


def _excerpts(path: str, duration: float, settings: CacheSettings) -> Pieces:
    """The excerpts that training would hear of a long file."""
    row, spans = decode_row(Track("", path, duration), settings)
    samples = to_float32(row)
    return [(span.source_start_s, samples[span.start : span.start + span.length]) for span in spans]


def _ahead(jobs: Iterable[Callable[[], Segments]], workers: int) -> Iterator[Future[Segments]]:
    """Run jobs in threads (codecs and torch release the interpreter), never more than `workers` + 2 ahead.

    Each thread computes alone: a track at a time on every core wastes nothing, while the threads of one small operation
    wait for each other (30 % of the processor time of indexing on two cores).
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            queue: deque[Future[Segments]] = deque()
            for job in jobs:
                queue.append(pool.submit(job))
                if len(queue) > workers + 2:
                    yield queue.popleft()
            yield from queue
    finally:
        torch.set_num_threads(threads)  # parts of torch's setting are the whole process's


def _jobs(extractor: Extractor, tracks: pd.DataFrame, max_seconds: float | None) -> Iterator[Callable[[], Pieces]]:
    settings = CacheSettings(extractor.sample_rate, max_seconds)
    durations = [0.0] * len(tracks) if max_seconds is None else tracks["duration"]
    for path, duration in zip(tracks["path"], durations, strict=True):
        if max_seconds is None or duration <= max_seconds:
            yield partial(_whole, str(path), extractor.sample_rate)
        else:
            yield partial(_excerpts, str(path), float(duration), settings)


def _segments(extractor: Extractor, hear: Callable[[], Pieces]) -> Segments:
    """The segments of all pieces of a file, and where they start in it."""
    parts = [(start, *extractor.segments(samples)) for start, samples in hear()]
    vectors = np.concatenate([vectors for _, vectors, _ in parts])
    return vectors, np.concatenate([start + starts for start, _, starts in parts])


def _remembered(cache: SegmentCache, extractor: Extractor, path: str) -> Segments:
    return cache.segments(extractor, path, lambda: _whole(path, extractor.sample_rate)[0][1])


def embed_tracks(
    extractor: Extractor,
    tracks: pd.DataFrame,
    workers: int | None = None,
    max_seconds: float | None = None,
    cache: SegmentCache | None = None,
) -> Work[Embedded]:
    """Embed every row of `tracks` (a column `path` is enough), in `workers` threads (None: all cores).

    With `max_seconds`, files longer than that (column `duration`) are heard in the evenly spaced excerpts that training
    hears of them. With `cache`, whole files are heard only where it does not know them. A file that cannot be decoded
    goes to the quarantine with its reason; the others go on. Raises ValueError on a `cache` with `max_seconds`.
    """
    if cache is not None and max_seconds is not None:
        raise ValueError("a cache holds whole files: it cannot be used with max_seconds")
    count = len(tracks)
    kept: list[int] = []
    bad: list[dict[str, str]] = []
    result = Embedded(tracks, np.zeros((0, extractor.dim), np.float32))
    vectors: list[np.ndarray] = []
    hears = _jobs(extractor, tracks, max_seconds)
    jobs = (partial(_segments, extractor, hear) for hear in hears) if cache is None else (
        partial(_remembered, cache, extractor, str(path)) for path in tracks["path"]
    )  # fmt: skip
    for row, future in enumerate(_ahead(jobs, workers or os.cpu_count() or 1)):
        try:
            segments, starts = future.result()
        except AudioError as error:
            bad.append({"path": error.path, "reason": error.reason, "detail": error.detail})
        else:
            kept.append(row)
            vectors.append(track_vector(segments))
            result.segments.append(segments)
            result.starts.append(starts)
        yield Progress("embed", row + 1, count)
    result.tracks = tracks.iloc[kept].reset_index(drop=True)
    if vectors:
        result.vectors = np.stack(vectors)
    result.quarantine = pd.DataFrame(bad, columns=["path", "reason", "detail"])
    return result
