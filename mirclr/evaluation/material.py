"""What a protocol is given of a row: a vector a track, and the vectors of its clips with their places in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Segments = tuple[np.ndarray, np.ndarray]
"""`(S, D)` float32 vectors of a track's segments and where they begin, `(S,)` seconds."""


@dataclass(frozen=True)
class Material:
    """`vectors` (N, D) of N tracks; `segments` of each, or none where only the tracks' vectors are known."""

    vectors: np.ndarray
    segments: Sequence[Segments] = field(default=(), repr=False)

    def clips(self, tracks: np.ndarray, seconds: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Items `(M, D)` float32 of `tracks` (T,) and which of them each belongs to, `(M,)` in 0..T-1.

        With `seconds`, a track is cut into stretches of that length and an item is the mean of the segments that begin
        in one; without, or where no segments are known, a track is one item: its vector.
        """
        if seconds is None or not self.segments:
            return self.vectors[tracks].astype(np.float32), np.arange(len(tracks))
        parts = [_stretches(self.segments[track], seconds) for track in tracks]
        owner = np.repeat(np.arange(len(tracks)), [len(part) for part in parts])
        return np.concatenate(parts).astype(np.float32), owner


def _stretches(segments: Segments, seconds: float) -> np.ndarray:
    """Segments to the means `(C, D)` of those that begin in the same stretch of `seconds`.

    A last stretch with less than half as many segments as the first is left out where there is another: it is the rest
    of the track, and would count as much as a whole one.
    """
    vectors, starts = segments
    _, member, count = np.unique((starts // seconds).astype(np.int64), return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), vectors.shape[1]))
    np.add.at(sums, member, vectors)
    means = sums / count[:, None]
    return means[:-1] if len(count) > 1 and count[-1] < count[0] / 2 else means
