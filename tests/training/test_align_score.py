"""Ranks against a loop, chance against counting and drawing, artists kept together, and what is no number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mirclr.training.align_score import first_by_chance, found, hold_out


def test_ranks_and_pairs_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.normal(size=(12, 9)).round(1)  # with ties
    right = rng.random((12, 9)) < 0.3
    right[0], right[1] = False, True  # nothing and everything is right: not asked
    got = found(similarity, right, np.arange(12))
    ranks, ahead = [], []
    for scores, is_right in zip(similarity[2:], right[2:], strict=True):
        if not is_right.any():
            continue
        best = max(s for s, r in zip(scores, is_right, strict=True) if r)
        ranks.append(1 + sum(s >= best for s, r in zip(scores, is_right, strict=True) if not r))
        pairs = list(itertools.product(scores[is_right], scores[~is_right]))
        ahead.append(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]))
    np.testing.assert_array_equal(got.rank, ranks)
    np.testing.assert_allclose(got.ahead, ahead)
    assert set(got.groups) <= set(range(2, 12))
    assert got.candidates == 9


@pytest.mark.parametrize("right", [1, 2, 5, 9])
def test_chance_is_what_counting_all_placements_gives(right: int) -> None:
    got = first_by_chance(np.array([right]), 9)
    places = list(itertools.combinations(range(9), right))
    for k in range(1, 10):
        assert got[k - 1] == pytest.approx(np.mean([min(place) < k for place in places]))


def test_a_random_order_scores_what_chance_says() -> None:
    rng = np.random.default_rng(1)
    right = rng.random((4000, 20)) < 0.1
    numbers = found(rng.random((4000, 20)), right, np.arange(4000)).numbers()
    for key in ("r1", "r5", "r10", "ahead"):
        assert numbers[key] == pytest.approx(numbers[f"chance_{key}"], abs=0.025)
    assert abs(numbers["median_rank"] - numbers["chance_median_rank"]) <= 1


def test_a_perfect_order_and_its_closed_forms() -> None:
    numbers = found(np.eye(40), np.eye(40, dtype=bool), np.arange(40)).numbers()
    assert (numbers["r1"], numbers["median_rank"], numbers["ahead"]) == (1.0, 1.0, 1.0)
    assert numbers["chance_r1"] == pytest.approx(1 / 40)
    assert numbers["chance_r10"] == pytest.approx(10 / 40)
    assert numbers["chance_median_rank"] == 20


@pytest.mark.parametrize("broken", ["all", "right", "wrong"])
def test_what_is_no_number_never_wins(broken: str) -> None:
    right = np.eye(6, dtype=bool)
    similarity = np.eye(6)
    similarity[{"all": np.ones((6, 6), bool), "right": right, "wrong": ~right}[broken]] = np.nan
    got = found(similarity, right, np.arange(6))
    assert (got.rank == 6).all()
    assert (got.ahead == 0).all()


def test_equal_answers_to_everything_are_no_better_than_the_last() -> None:
    got = found(np.ones((5, 5)), np.eye(5, dtype=bool), np.arange(5))
    assert (got.rank == 5).all()
    assert (got.ahead == 0.5).all()


@pytest.mark.parametrize("seed", range(5))
def test_whole_artists_are_held_out_and_nobody_else(seed: int) -> None:
    artists = np.array([0] * 30 + [1] * 5 + [2] * 5 + [3] * 4 + [-1] * 6)
    held = hold_out(artists, 0.3, seed)
    assert 4 <= len(held) <= 15
    for artist in range(4):
        members = np.flatnonzero(artists == artist)
        assert np.isin(members, held).all() or not np.isin(members, held).any()
    assert not np.isin(np.arange(30), held).any()  # it alone would overshoot


def test_too_few_to_ask_is_none_and_many_are_enough() -> None:
    assert len(hold_out(np.full(15, -1), 0.2, 0)) == 0
    assert len(hold_out(np.full(20, -1), 0.2, 0)) == 4
    assert len(hold_out(np.full(20_000, -1), 0.2, 0)) == 1000
    assert len(hold_out(np.zeros(50, np.int64), 0.2, 0)) == 0
    assert len(hold_out(np.full(50, -1), 0.0, 0)) == 0
