"""A short path visits everything once and comes close to the best order, whatever the direction of its costs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mirclr.library.ordering import path_cost, short_path
from mirclr.seeds import generator


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("closed", [False, True])
def test_costs_that_differ_by_direction_come_close_to_the_best(size: int, closed: bool) -> None:
    ratios = []
    for seed in range(25):
        cost = generator(seed, size, int(closed)).random((size, size)) + 0.1
        end = size - 1 if closed and size > 1 else None
        path = short_path(cost, end)
        assert sorted(path) == list(range(size))
        assert path[0] == 0
        assert end is None or path[-1] == end
        orders = [(0, *rest) for rest in itertools.permutations(range(1, size))]
        best = min(path_cost(cost, order) for order in orders if end is None or order[-1] == end)
        ratios.append(path_cost(cost, path) / best if best else 1.0)
    assert max(ratios) < 1.5
    assert np.mean(ratios) < 1.05


def test_no_move_of_up_to_three_tracks_makes_the_path_shorter() -> None:
    cost = generator(3).random((18, 18))
    path = short_path(cost)
    least = path_cost(cost, path) - 1e-5
    for first, length in itertools.product(range(1, 18), (1, 2, 3)):
        stretch, rest = path[first : first + length], path[:first] + path[first + length :]
        for place in range(1, len(rest) + 1):
            for turned in (stretch, stretch[::-1]):
                assert path_cost(cost, rest[:place] + turned + rest[place:]) >= least


def test_a_line_that_was_shuffled_is_found_again_in_its_cheap_direction() -> None:
    """Forward steps cost 0.1, everything else 1: greedy from 0 finds it, and so must an order that ends in the last."""
    order = [0, *(1 + generator(1).permutation(29)).tolist()]
    cost = np.ones((30, 30))
    cost[order[:-1], order[1:]] = 0.1
    assert short_path(cost) == order
    assert short_path(cost, order[-1]) == order


def test_what_greedy_leaves_behind_is_picked_up() -> None:
    """On a line from the middle, the nearest neighbour runs one way and jumps back; the path must not cost more."""
    at = np.array([0.0, -1.0, 1.1, -2.2, 2.3, -3.4, 3.5])
    cost = np.abs(at[:, None] - at[None, :])
    assert path_cost(cost, short_path(cost)) == pytest.approx(min(3.5 + 6.9, 3.4 + 6.9))
