"""Ordering tracks: a short open path through all of them, in a cost that may differ by direction.

Nearest neighbour first, which ends in long jumps back to what it left behind, then two kinds of moves until neither
gains: 2-opt turns a stretch around (Croes, "A method for solving traveling-salesman problems", 1958), Or-opt takes one
to three tracks elsewhere, as they are or turned (Or, 1976; the moves of Lin and Kernighan's "segment insertion"). Both
are evaluated for all places at once, with the costs of a turned stretch from running sums, so that a cost from the end
of one track to the beginning of the next needs no symmetry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np

from mirclr.seeds import generator

GAIN = 1e-6  # costs are rounded to six digits; a smaller gain is rounding noise and could turn in circles
FEW, STARTS = 40, 6  # lists short enough to be tried from other starts, too, and how many
LONGEST_MOVED = 3  # Or-opt's classic limit: longer stretches gain rarely


class Move(NamedTuple):
    """A better order of the positions `first` to `last`: `order` lists which old positions stand there now."""

    gain: float
    first: int
    last: int
    order: np.ndarray


def short_path(cost: np.ndarray, end: int | None = None) -> list[int]:
    """An order of 0..N-1 that begins with 0, where the sum of `cost[a, b]` over neighbours a, b is small.

    `cost`: (N, N), from a to b; the diagonal is not read. `end`: the track that comes last, or None: any.
    Deterministic; equal choices go to the lower index.
    """
    count = len(cost)
    last = count if end is None else end
    # An open end is a closed one at a place that costs nothing to reach.
    padded = np.zeros((count + 1, count + 1))
    padded[:count, :count] = cost
    greedy = _nearest_next(padded[:last, :last] if last == count else padded, last)
    paths = [_improved(padded, start) for start in (greedy, *_other_starts(greedy))]
    path = min(paths, key=lambda found: round(path_cost(padded, found), 6))
    return [place for place in path.tolist() if place < count]


def _other_starts(path: np.ndarray) -> list[np.ndarray]:
    """Shuffled orders between the same ends, for short lists: local search ends in another place from each."""
    if len(path) > FEW:
        return []
    draw = generator(0, "order")
    return [np.concatenate([path[:1], draw.permutation(path[1:-1]), path[-1:]]) for _ in range(STARTS)]


def path_cost(cost: np.ndarray, path: Iterable[int]) -> float:
    """The sum of `cost` over neighbours of `path`."""
    order = np.fromiter(path, np.int64)
    return float(cost[order[:-1], order[1:]].sum())


def _nearest_next(cost: np.ndarray, last: int) -> np.ndarray:
    """The greedy order from 0 that ends in `last`; with a real end, the open end's place is no track."""
    count = len(cost) if last == len(cost) else len(cost) - 1
    left = cost[:count, :count].astype(np.float64)
    if last < count:
        left[:, last] = np.inf
    path = [0]
    for _ in range(count - 1 - (0 < last < count)):
        left[:, path[-1]] = np.inf
        path.append(int(np.argmin(left[path[-1]])))
    return np.array([*path, last] if last != 0 else path)


def _improved(cost: np.ndarray, path: np.ndarray) -> np.ndarray:
    """`path` without a gainful turn or move; its first and last places stay."""
    steps = cost[np.ix_(path, path)]
    idle, kind = 0, 0
    kinds: tuple[Callable[[np.ndarray], list[Move]], ...] = (
        _turns,
        *(partial(_shifts, length) for length in range(1, LONGEST_MOVED + 1)),
    )
    while idle < len(kinds):  # every move shortens the path by more than GAIN, so this ends
        moves = _apart(kinds[kind % len(kinds)](steps), len(path))
        idle = 0 if moves else idle + 1
        kind += not moves
        if moves:
            order = np.arange(len(path))
            for move in moves:
                order[move.first : move.last + 1] = move.order
            path, steps = path[order], steps[np.ix_(order, order)]
    return path


def _apart(moves: list[Move], size: int) -> list[Move]:
    """The best moves whose stretches and their neighbours do not touch, so that each gains what it says."""
    free = np.ones(size, bool)
    kept = []
    for move in sorted(moves, key=lambda m: (-m.gain, m.first, m.last)):
        span = slice(move.first - 1, move.last + 2)
        if free[span].all():
            free[span] = False
            kept.append(move)
    return kept


def _turns(steps: np.ndarray) -> list[Move]:
    """The best turn that begins at each position. `steps[i, j]`: cost from position i to position j.

    Turning first..last replaces the steps (first - 1, first) and (last, last + 1) by (first - 1, last) and (first,
    last + 1), and runs through what lies between backwards.
    """
    size = len(steps)
    if size < 4:
        return []
    ahead, back = np.diagonal(steps, 1), np.diagonal(steps, -1)
    extra = np.concatenate([[0.0], np.cumsum(back - ahead)])  # what running backwards costs more, from position 0
    inner = np.arange(1, size - 1)
    gain = ahead[None, 1:] - steps[:-2, 1:-1] - steps[1:-1, 2:] - extra[None, 1:-1]
    gain += (ahead[:-1] + extra[1:-1])[:, None]
    gain[np.tril_indices(size - 2)] = -np.inf
    best = np.argmax(gain, axis=1)
    found = gain[np.arange(size - 2), best]
    return [
        Move(float(found[at]), int(inner[at]), int(inner[best[at]]), np.arange(inner[best[at]], inner[at] - 1, -1))
        for at in np.flatnonzero(found > GAIN)
    ]


def _shifts(length: int, steps: np.ndarray) -> list[Move]:
    """Or-opt: the best other place for the stretch of `length` that begins at each position, as it is or turned."""
    size = len(steps)
    if size < length + 3:
        return []
    first = np.arange(1, size - length)  # never the first position, never the last
    last, places = first + length - 1, np.arange(size - 1)
    ahead = np.diagonal(steps, 1)
    saved = ahead[first - 1] + ahead[last] - steps[first - 1, last + 1]
    into = ahead[None, :] + saved[:, None]  # [stretch, p]: what is saved when it goes between p and p + 1
    straight = into - steps[:-1, first].T - steps[last, 1:]
    turned = into - steps[:-1, last].T - steps[first, 1:] - _turned_cost(length, steps, first)[:, None]
    gain = np.maximum(straight, turned)
    gain[(places >= first[:, None] - 1) & (places <= last[:, None])] = -np.inf
    best = np.argmax(gain, axis=1)
    found = gain[np.arange(len(first)), best]
    return [
        _moved(float(found[at]), int(first[at]), length, int(best[at]), bool(turned[at, best[at]] == found[at]))
        for at in np.flatnonzero(found > GAIN)
    ]


def _turned_cost(length: int, steps: np.ndarray, first: np.ndarray) -> np.ndarray:
    """What running through each stretch of `length` backwards costs more."""
    extra = np.zeros(len(first))
    for offset in range(length - 1):
        extra += steps[first + offset + 1, first + offset] - steps[first + offset, first + offset + 1]
    return extra


def _moved(gain: float, first: int, length: int, place: int, turned: bool) -> Move:
    """The stretch from `first` put between the positions `place` and `place` + 1."""
    last = first + length - 1
    stretch = np.arange(first, last + 1)[:: -1 if turned else 1]
    if place > last:
        return Move(gain, first, place, np.concatenate([np.arange(last + 1, place + 1), stretch]))
    return Move(gain, place + 1, last, np.concatenate([stretch, np.arange(place + 1, first)]))
