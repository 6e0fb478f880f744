"""Ordering tracks: a short open path through all of them from a fixed start (a travelling salesman who stays)."""

from __future__ import annotations

import numpy as np

GAIN = 1e-6  # costs are rounded to six digits; a smaller gain is rounding noise and could turn in circles


def short_path(cost: np.ndarray) -> list[int]:
    """An order of 0..N-1 that begins with 0, where the sum of `cost[a, b]` over neighbours is small.

    `cost`: (N, N), symmetric. Nearest neighbour first, which ends in long jumps back to what it left behind, then 2-opt
    (Croes, "A method for solving traveling-salesman problems", 1958): while turning a stretch around makes the path
    shorter, turn the stretch that gains most. Deterministic; equal choices go to the lower index.
    """
    path = _nearest_next(cost)
    for _ in range(len(path) ** 2):  # every turn shortens the path, so this ends by itself; the bound is a promise
        first, last = _best_turn(cost[np.ix_(path, path)])
        if first == last:
            break
        path[first : last + 1] = path[first : last + 1][::-1]
    return path.tolist()


def _nearest_next(cost: np.ndarray) -> np.ndarray:
    """The greedy order from 0."""
    left = cost.astype(np.float64)
    path = [0]
    for _ in range(len(cost) - 1):
        left[:, path[-1]] = np.inf
        path.append(int(np.argmin(left[path[-1]])))
    return np.array(path)


def _best_turn(steps: np.ndarray) -> tuple[int, int]:
    """The stretch whose turning shortens the path most, as (first, last) positions; (0, 0) when none does.

    `steps[i, j]`: cost between the tracks at positions i and j. Turning first..last replaces the steps (first - 1,
    first) and (last, last + 1) by (first - 1, last) and (first, last + 1); behind the end of the path there is no step.
    """
    size = len(steps)
    ahead = np.append(np.diagonal(steps, 1), 0.0)  # the step out of each position
    onward = np.hstack([steps[:, 1:], np.zeros((size, 1))])  # [first, last]: from `first` to what follows `last`
    gain = np.full((size, size), -np.inf)
    gain[1:] = ahead[:-1, None] + ahead[None, :] - steps[:-1] - onward[1:]
    gain[np.tril_indices(size)] = -np.inf
    first, last = np.unravel_index(int(np.argmax(gain)), gain.shape)
    return (int(first), int(last)) if gain[first, last] > GAIN else (0, 0)
