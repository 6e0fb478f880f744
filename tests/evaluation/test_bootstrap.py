"""Resampling artists: a loop is the oracle, and the intervals keep what they promise on simulated collections."""

from __future__ import annotations

import numpy as np
import pytest

from mirclr.evaluation.bootstrap import interval, p_value, track_weights
from mirclr.seeds import generator


def test_every_draw_takes_as_many_whole_artists_as_there_are() -> None:
    groups = np.array([7, 7, 7, 2, 2, 30])
    weights = track_weights(groups, 200, seed=0)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 4])
    np.testing.assert_array_equal(weights[:, 0] + weights[:, 3] + weights[:, 5], np.full(200, 3))


def test_draws_depend_on_the_seed_and_not_on_the_order_of_tracks() -> None:
    groups = np.array([0, 0, 1, 2, 2, 3])
    order = np.array([5, 3, 1, 0, 2, 4])
    np.testing.assert_array_equal(track_weights(groups, 50, 1)[:, order], track_weights(groups[order], 50, 1))
    assert (track_weights(groups, 50, 1) != track_weights(groups, 50, 2)).any()


def test_interval_of_a_mean_agrees_with_a_loop_that_concatenates_artists() -> None:
    random = generator(11)
    groups = np.repeat(np.arange(30), 4)
    right = (random.random(30) < 0.6)[groups].astype(float)
    drawn = track_weights(groups, 4000, 0)
    fast = interval(drawn @ right / drawn.sum(axis=1))
    loop = []
    for _ in range(4000):
        artists = random.integers(30, size=30)
        loop.append(np.concatenate([right[groups == a] for a in artists]).mean())
    np.testing.assert_allclose(fast, np.quantile(loop, [0.025, 0.975]), atol=0.02)


def test_interval_is_wider_than_an_interval_over_tracks_when_artists_succeed_or_fail_whole() -> None:
    groups = np.repeat(np.arange(20), 10)
    right = (np.arange(20) % 2)[groups].astype(float)
    widths = []
    for unit in (groups, np.arange(200)):
        drawn = track_weights(unit, 2000, 0)
        low, high = interval(drawn @ right / drawn.sum(axis=1))
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(10), rel=0.1)  # variance of a mean of 20, not of 200


def test_interval_covers_the_true_accuracy_about_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(200):
        random = generator(12, trial)
        groups = np.repeat(np.arange(40), 5)
        skill = random.beta(2, 2, 40)  # artists differ; the true mean is 0.5
        right = (random.random(200) < skill[groups]).astype(float)
        drawn = track_weights(groups, 400, trial)
        low, high = interval(drawn @ right / drawn.sum(axis=1))
        covered += low <= 0.5 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_paired_test_keeps_its_size_when_there_is_no_difference() -> None:
    false_alarms = 0
    for trial in range(300):
        random = generator(13, trial)
        groups = np.repeat(np.arange(40), 5)
        skill = random.beta(2, 2, 40)[groups]
        ours, theirs = (random.random((2, 200)) < skill).astype(float)
        drawn = track_weights(groups, 400, trial)
        false_alarms += p_value(drawn @ (ours - theirs) / drawn.sum(axis=1)) < 0.05
    assert false_alarms / 300 <= 0.09  # 0.05 and two and a half standard errors, and a little for 40 artists


def test_paired_test_sees_a_real_difference_that_unpaired_intervals_hide() -> None:
    random = generator(14)
    groups = np.arange(100)
    theirs = (random.random(100) < 0.5).astype(float)
    ours = np.maximum(theirs, random.random(100) < 0.15)  # never worse, on some tracks better
    drawn = track_weights(groups, 2000, 0)
    own, other = (drawn @ x / drawn.sum(axis=1) for x in (ours, theirs))
    assert interval(own)[0] < interval(other)[1]
    assert p_value(own - other) < 0.01


@pytest.mark.parametrize("draws", [99, 1000, 1999, 2000, 2001])
def test_p_below_five_percent_says_the_same_as_the_interval_for_every_number_of_draws_beyond_zero(draws: int) -> None:
    said = set()
    for beyond in range(draws + 1):
        drawn = np.concatenate([-1 - np.arange(beyond), 1 + np.arange(draws - beyond)]).astype(float)
        low, high = interval(drawn)
        assert (p_value(drawn) < 0.05) == (low > 0 or high < 0)
        said.add(low > 0 or high < 0)
    assert said == {True, False}


def test_identical_rows_have_p_one_and_undefined_draws_are_left_out() -> None:
    assert p_value(np.zeros(100)) == 1
    assert np.isnan(p_value(np.full(10, np.nan)))
    assert interval(np.array([np.nan, 1, 1, 1])) == (1, 1)
    assert np.isnan(interval(np.full(3, np.nan))).all()
