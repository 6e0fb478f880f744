"""Means over seeds and verdicts, on rows simulated without any probe."""

from __future__ import annotations

import numpy as np
import pytest

from mirclr.evaluation.bootstrap import interval, track_weights
from mirclr.evaluation.judge import Judged, Measure, mean_of, spread_of
from mirclr.evaluation.verdict import compare, value_text
from mirclr.seeds import generator

KEY = "linear.accuracy"
GROUPS = np.repeat(np.arange(40), 5)


def row(right: np.ndarray, seed: int = 0, key: str = KEY) -> Judged:
    """A row that answers the tracks `right` `(200,)` correctly."""
    weights = track_weights(GROUPS, 400, seed)
    drawn = weights @ right / weights.sum(axis=1)
    return Judged({key: Measure(float(right.mean()), *interval(drawn))}, {key: drawn})


def family(members: int, trial: int, luck: float, level: float = 0.5) -> dict[str, Judged]:
    """Rows of one recipe whose accuracy differs by `luck` (a deviation) from seed to seed."""
    random = generator(80, trial)
    levels = level + luck * random.normal(size=members)
    return {f"s{i} of {trial}": row((random.random(200) < p).astype(float), trial) for i, p in enumerate(levels)}


@pytest.mark.parametrize("members", [2, 3])
def test_luck_of_the_seeds_is_rarely_called_a_difference(members: int) -> None:
    alarms = {"with seeds": 0, "artists only": 0}
    for trial in range(150):
        ours, theirs = family(members, 2 * trial, 0.08), family(members, 2 * trial + 1, 0.08)
        told = compare(KEY, ("ours", mean_of(ours, trial)), ("theirs", mean_of(theirs, trial)))
        alarms["with seeds"] += told.outcome != "cannot tell"
        plain = [np.mean([m.draws[KEY] for m in rows.values()], axis=0) for rows in (ours, theirs)]
        low, high = interval(plain[0] - plain[1])
        alarms["artists only"] += low > 0 or high < 0
    assert alarms["with seeds"] <= 0.17 * 150  # two or three seeds cannot be told apart better than this
    assert alarms["artists only"] > 1.5 * alarms["with seeds"]


def test_a_difference_far_beyond_luck_is_found() -> None:
    told = compare(KEY, ("ours", mean_of(family(3, 1, 0.02, 0.8))), ("theirs", mean_of(family(3, 2, 0.02, 0.5))))
    assert told.outcome == "helped"
    assert told.p < 0.01


def test_mean_of_equal_rows_is_that_row() -> None:
    one = row((GROUPS % 3 == 0).astype(float))
    mean = mean_of({"a": one, "b": one, "c": one})
    np.testing.assert_allclose(mean.draws[KEY], one.draws[KEY])
    assert mean.measures[KEY].value == pytest.approx(one.measures[KEY].value)
    assert spread_of({"a": one, "b": one}, KEY) == 0


def test_variance_over_seeds_is_that_of_a_mean_of_independent_seeds() -> None:
    levels = np.array([0.1, 0.3, 0.8])
    rows = {str(p): Judged({KEY: Measure(p, p, p)}, {KEY: np.full(20_000, p)}) for p in levels}
    assert mean_of(rows).draws[KEY].std() == pytest.approx(np.sqrt(levels.var(ddof=1) / 3), rel=0.03)


def test_interval_of_a_mean_stays_in_the_range_of_its_measure() -> None:
    for key, low in ((KEY, 0), ("linear.r2", -0.1)):
        rows = {str(p): Judged({key: Measure(p, p, p)}, {key: np.full(400, p)}) for p in (0.0, 0.5)}
        assert mean_of(rows).measures[key].low == pytest.approx(low, abs=0.01)


def test_a_row_compared_with_itself_cannot_tell() -> None:
    one = row((GROUPS % 3 == 0).astype(float))
    told = compare(KEY, ("ours", one), ("theirs", one))
    assert (told.outcome, told.difference, told.p) == ("cannot tell", 0, 1)
    assert told.sentence == (
        "Cannot tell whether pretraining helped against theirs: accuracy of ours 35.0 % against 35.0 %, difference "
        "+0.0 points (95 % interval +0.0 to +0.0, p = 1.000)."
    )


def test_measures_that_are_no_shares_are_not_told_in_points() -> None:
    key = "linear.r2"
    better, worse = row(np.full(200, 0.75), key=key), row(np.full(200, 0.5), key=key)
    told = compare(key, ("ours", worse), ("theirs", better))
    assert told.outcome == "did not help"
    assert "R² of ours 0.500 against 0.750, difference -0.250 (95 % interval -0.250 to -0.250" in told.sentence


def test_values_as_text() -> None:
    assert value_text("linear.accuracy", 0.6604) == "66.0 %"
    assert value_text("linear.r2", 0.6604) == "0.660"
    assert value_text("linear.r2", -1e-9) == "0.000"
    assert value_text("linear.accuracy", float("nan")) == ""
