"""Where the crops of one track may lie: in the pieces of it that the store holds, some distance apart in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Span = tuple[int, int, float]
"""A contiguous piece of a track: first unit in the store's row, length in units, start in the source file in s."""

TRIES = 512
"""Joint draws tried at once on a track of several pieces; all fail only where under about 1 % of placements fit."""


@dataclass(frozen=True)
class Timeline:
    """The possible starts of a crop, numbered 0 to `size` - 1 in the order of the source file.

    Per piece: `row` its first start in the store's row, `source` the same in the file, in units, `end` the number of
    starts up to and with this piece.
    """

    row: np.ndarray
    source: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, spans: Sequence[Span], clip: int, step_s: float, name: str = "track") -> Timeline:
        """The starts at which `clip` units of `step_s` seconds lie inside one piece.

        Where no piece is that long, the only start is that of the longest one (`read_crop` repeats it).
        Raises ValueError when `clip` is below 1 and when the track, called `name`, has no unit at all.
        """
        if clip < 1:
            raise ValueError(f"a crop must have at least 1 unit, got {clip}")
        pieces = sorted((span for span in spans if span[1] > 0), key=lambda span: span[2])
        if not pieces:
            raise ValueError(f"{name} has no sound to crop")
        whole = [span for span in pieces if span[1] >= clip] or [max(pieces, key=lambda span: span[1])]
        starts, lengths = np.array([span[:2] for span in whole], np.int64).T
        source = np.array([round(span[2] / step_s) for span in whole], np.int64)
        return cls(starts, source, np.cumsum(np.maximum(lengths - clip + 1, 1)))

    @property
    def size(self) -> int:
        """The number of possible starts."""
        return int(self.end[-1])

    def _located(self, number: np.ndarray, origin: np.ndarray) -> np.ndarray:
        piece = np.searchsorted(self.end, number, side="right")
        before = np.concatenate([[0], self.end[:-1]])
        return np.asarray(origin[piece] + number - before[piece])

    def draw(self, rng: np.random.Generator, count: int, distance: int = 0) -> list[int]:
        """`count` starts in the store's row, in random order, whose centres are `distance` units apart in the file.

        Uniform over all placements that keep the distance. Where none does: as far apart as can be.
        """
        number = rng.integers(self.size, size=count) if count == 1 or distance == 0 else None
        if number is None and len(self.end) == 1:
            number = _spaced(rng, self.size, count, distance)
        elif number is None:
            number = self._accepted(rng, count, distance)
        if number is None:
            number = rng.permutation(self._farthest(count))
        return [int(start) for start in self._located(number, self.row)]

    def _accepted(self, rng: np.random.Generator, count: int, distance: int) -> np.ndarray | None:
        """The first of `TRIES` joint draws that keeps the distance: exactly uniform over those that do."""
        tries = rng.integers(self.size, size=(TRIES, count))
        gaps = np.diff(np.sort(self._located(tries, self.source), axis=1), axis=1)
        kept = np.flatnonzero((gaps >= distance).all(1))
        return tries[kept[0]] if len(kept) else None

    def _farthest(self, count: int) -> np.ndarray:
        """`count` starts whose smallest distance is as large as it can be, by bisection over greedy packings."""
        first, last = self._located(np.array([0, self.size - 1]), self.source)
        low, high = 0, int(last - first) // (count - 1) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._packed(count, middle) is not None else (low, middle)
        packed = self._packed(count, low)
        return np.zeros(count, np.int64) if packed is None else packed

    def _packed(self, count: int, distance: int) -> np.ndarray | None:
        """The earliest `count` starts that keep the distance, or None when the track ends before."""
        numbers = [0]
        while len(numbers) < count:
            wanted = int(self._located(np.array(numbers[-1:]), self.source)[0]) + distance
            following = self._first_from(wanted)
            if following is None:
                return None
            numbers.append(following)
        return np.array(numbers, np.int64)

    def _first_from(self, source: int) -> int | None:
        """The number of the first start at or after a place in the file."""
        before = np.concatenate([[0], self.end[:-1]])
        number = before + np.maximum(source - self.source, 0)
        reached = np.flatnonzero(number < self.end)
        return int(number[reached[0]]) if len(reached) else None


def _spaced(rng: np.random.Generator, size: int, count: int, distance: int) -> np.ndarray | None:
    """`count` of `size` consecutive starts, `distance` >= 1 apart, uniform over all such choices; None where none is.

    Choosing distinct numbers from a line shortened by the obligatory gaps, then putting the gaps back, is a bijection.
    """
    shortened = size - (count - 1) * (distance - 1)
    if shortened < count:
        return None
    chosen = np.sort(rng.choice(shortened, count, replace=False))
    return rng.permutation(chosen + np.arange(count) * (distance - 1))


class Rows(Protocol):
    """The part of a ragged store that a crop needs."""

    def spans(self, id: str) -> Sequence[Span]:
        """The contiguous pieces of a row."""
        ...

    def read(self, id: str, start: int, count: int) -> np.ndarray:
        """`count` units of a row from `start`."""
        ...


def read_crop(store: Rows, id: str, start: int, clip: int) -> np.ndarray:
    """`clip` units of a row from `start`, never across the end of a piece: a piece that ends before is repeated.

    Repetition keeps level and timbre, where silence would teach the encoder to recognise short files.
    Raises ValueError when `start` lies in no piece of the row.
    """
    for first, length, _ in store.spans(id):
        if first <= start < first + length:
            rows = store.read(id, start, min(clip, first + length - start))
            return rows if len(rows) == clip else rows[np.arange(clip) % len(rows)]
    raise ValueError(f"{id}: unit {start} lies in no piece of this row")
