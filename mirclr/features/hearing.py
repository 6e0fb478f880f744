"""Files to samples, several at a time: what is heard of a file, and work on it in threads, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd
import torch

from mirclr.audio.cache_rows import CacheSettings, Track, decode_row, to_float32
from mirclr.audio.decode import decode
from mirclr.errors import AudioError
from mirclr.features.extractor import Pieces

Result = TypeVar("Result")


def audible(path: str, samples: np.ndarray) -> np.ndarray:
    """The samples of a file as they are. Raises AudioError when there are none."""
    if not len(samples):
        raise AudioError(path, "zero_length", "decodes to no samples")
    return samples


def whole(path: str, sample_rate: int) -> Pieces:
    """All of a file. Raises AudioError when it cannot be decoded, or to no samples."""
    return [(0.0, audible(path, decode(path, sample_rate)))]


def hearings(tracks: pd.DataFrame, sample_rate: int, max_seconds: float | None) -> Iterator[Callable[[], Pieces]]:
    """How to hear each row of `tracks`: whole, or where it is longer than `max_seconds` (column `duration`) in the
    excerpts that training hears."""
    settings = CacheSettings(sample_rate, max_seconds)
    durations = [0.0] * len(tracks) if max_seconds is None else tracks["duration"]
    for path, duration in zip(tracks["path"], durations, strict=True):
        if max_seconds is None or duration <= max_seconds:
            yield partial(whole, str(path), sample_rate)
        else:
            yield partial(_excerpts, str(path), float(duration), settings)


def in_threads(jobs: Iterable[Callable[[], Result]], workers: int | None) -> Iterator[Result | AudioError]:
    """What each job returns, or the AudioError it raised, in order; `workers` None: all cores."""
    for future in _ahead(jobs, workers or os.cpu_count() or 1):
        try:
            yield future.result()
        except AudioError as error:
            yield error


def quarantined(error: AudioError) -> dict[str, str]:
    """The row of a quarantine table for an error."""
    return {"path": error.path, "reason": error.reason, "detail": error.detail}


def _excerpts(path: str, duration: float, settings: CacheSettings) -> Pieces:
    """The excerpts that training would hear of a long file."""
    row, spans = decode_row(Track("", path, duration), settings)
    samples = to_float32(row)
    return [(span.source_start_s, samples[span.start : span.start + span.length]) for span in spans]


def _ahead(jobs: Iterable[Callable[[], Result]], workers: int) -> Iterator[Future[Result]]:
    """Run jobs in threads (codecs and torch release the interpreter), never more than `workers` + 2 ahead.

    Each thread computes alone: a track at a time on every core wastes nothing, while the threads of one small operation
    wait for each other (30 % of the processor time of indexing on two cores).
    """
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            queue: deque[Future[Result]] = deque()
            for job in jobs:
                queue.append(pool.submit(job))
                if len(queue) > workers + 2:
                    yield queue.popleft()
            yield from queue
    finally:
        torch.set_num_threads(threads)  # parts of torch's setting are the whole process's
