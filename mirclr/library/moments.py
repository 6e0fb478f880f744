"""Moments: a place in a track in place of the whole of it, asked for or answered with.

The store keeps a few segment vectors of every track with their times (`mirclr.library.index`): these are the moments.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from mirclr.errors import UsageError
from mirclr.library.search import DIGITS, Catalogue, best
from mirclr.library.store import Library

CLOCK = re.compile(r"^(?:(?:(?P<h>\d+):)?(?P<m>\d{1,2}):)?(?P<s>\d+(?:\.\d+)?)$")


class Moment(NamedTuple):
    """One answer: a row of `Catalogue.tracks`, the cosine of its best moment, and where that begins, in seconds."""

    row: int
    similarity: float
    start: float


def seconds_of(text: str) -> float:
    """'90', '1:30' or '1:01:30' in seconds. Raises UsageError on anything else."""
    found = CLOCK.match(text.strip())
    if found is None or (found["m"] is not None and float(found["s"]) >= 60):
        raise UsageError(f"--at {text}: say a time as 1:30 or as seconds, 90")
    return 3600 * int(found["h"] or 0) + 60 * int(found["m"] or 0) + float(found["s"])


def clock(seconds: float) -> str:
    """Seconds as m:ss, rounded down."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def nearest_moment(starts: np.ndarray, at: float, duration: float | None) -> int:
    """Which of the segments that begin at `starts` (S,) holds `at` seconds best. UsageError beyond the track's end."""
    if duration is not None and at > duration:
        raise UsageError(f"--at {clock(at)}: the track ends at {clock(duration)}")
    before = np.flatnonzero(starts <= at)
    after = np.flatnonzero(starts > at)
    nearest = [*before[-1:], *after[:1]]
    return int(min(nearest, key=lambda place: abs(starts[place] - at)))


def best_moments(
    catalogue: Catalogue, direction: np.ndarray, k: int, excluded: np.ndarray | None = None
) -> list[Moment]:
    """The `k` rows with the moment most like `direction`, a (D,) unit vector in the catalogue's space; one a row.

    Every kept moment of the library is compared: they are read from the store, not held. `excluded` (U,) bool. Raises
    StoreError when the store is gone.
    """
    row_of = {audio_id: row for row, audio_id in enumerate(catalogue.tracks["audio_id"])}
    score = np.full(len(row_of), -np.inf, np.float32)
    start = np.zeros(len(row_of))
    with Library.open(catalogue.path) as library:
        for ids, vectors, starts in library.every_segment():
            rows = np.array([row_of.get(audio_id, -1) for audio_id in ids])
            known = rows >= 0
            cosines = np.round(catalogue.space.unit(vectors[known]) @ direction.astype(np.float32), DIGITS)
            _keep_best(score, start, rows[known], cosines, starts[known])
    if excluded is not None:
        score[excluded] = -np.inf
    rows = best(score, min(k, int(np.isfinite(score).sum())))
    return [Moment(int(row), float(score[row]), float(start[row])) for row in rows]


def _keep_best(score: np.ndarray, start: np.ndarray, rows: np.ndarray, cosines: np.ndarray, starts: np.ndarray) -> None:
    """The best moment of each row so far; of equal ones the first."""
    order = np.lexsort((starts, -cosines, rows))
    _, first = np.unique(rows[order], return_index=True)
    top = order[first]
    better = cosines[top] > score[rows[top]]
    score[rows[top][better]], start[rows[top][better]] = cosines[top][better], starts[top][better]
