"""Calibration against distortions that are known, and the calibration error against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from mirclr.evaluation.calibration import (
    BINS,
    FEWEST_CLAIMS,
    Claims,
    calibration_error,
    claims_of,
    fit_calibration,
    given_shares,
    least_confidence,
    perfect_errors,
    reliability,
)
from mirclr.features.calibration import Calibration
from mirclr.seeds import generator


def labelled(logits: np.ndarray, seed: int = 0) -> np.ndarray:
    """Classes drawn from the probabilities that `logits` say: the truth for which they are calibrated."""
    draws = generator(seed, "truth").random(len(logits))
    return np.asarray((softmax(logits, axis=1).cumsum(axis=1) < draws[:, None]).sum(axis=1))


def ones(count: int) -> np.ndarray:
    return np.ones((1, count), np.float32)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_found_and_the_error_falls(temperature: float) -> None:
    logits = generator(1).normal(0, 2, (6000, 4))
    truth = labelled(logits)
    outputs = logits * temperature
    fitted = fit_calibration("multiclass", outputs, truth)
    assert fitted.scale[0] == pytest.approx(1 / temperature, rel=0.06)
    plain = Calibration((1.0,) * 4, (0.0,) * 4)
    before, after = (
        calibration_error(claims_of("multiclass", c.confidences("multiclass", outputs), truth), ones(6000))[0]
        for c in (plain, fitted)
    )
    assert after < 0.025
    assert before > 3 * after or temperature == 1.0


def test_every_label_finds_its_own_slope_and_offset_and_a_rare_one_those_of_all() -> None:
    random = generator(2)
    logits = random.normal(-1, 2, (5000, 3))
    truth = random.random((5000, 3)) < expit(logits)
    truth[:, 2] = False
    truth[:5, 2] = True
    slope, offset = np.array([2.0, 0.5, 1.0]), np.array([-1.0, 3.0, 0.0])
    fitted = fit_calibration("multilabel", logits * slope + offset, truth)
    for k in (0, 1):
        assert fitted.scale[k] == pytest.approx(1 / slope[k], rel=0.12)
        assert fitted.shift[k] == pytest.approx(-offset[k] / slope[k], abs=0.25)
    together = fit_calibration("multilabel", (logits * slope + offset).reshape(-1, 1), truth.reshape(-1, 1))
    assert (fitted.scale[2], fitted.shift[2]) == (together.scale[0], together.shift[0])


def test_outputs_that_say_the_opposite_become_the_share_of_examples() -> None:
    outputs = generator(3).normal(size=(400, 1))
    truth = outputs < -0.6
    fitted = fit_calibration("multilabel", outputs, truth)
    assert fitted.scale[0] == 0
    assert fitted.confidences("multilabel", outputs)[0, 0] == pytest.approx(truth.mean(), abs=0.01)


def test_the_error_in_closed_form() -> None:
    confidence = np.array([[0.95], [0.95], [0.35], [0.35]])
    hit = np.array([[True], [False], [True], [False]])
    expected = 0.5 * abs(0.5 - 0.95) + 0.5 * abs(0.5 - 0.35)
    assert calibration_error(Claims(confidence, hit), ones(4))[0] == pytest.approx(expected)
    twice = np.array([[2, 2, 0, 0]], np.float32)  # only the first bin is drawn
    assert calibration_error(Claims(confidence, hit), twice)[0] == pytest.approx(0.45)
    assert np.isnan(calibration_error(Claims(confidence, hit), np.zeros((1, 4)))[0])
    assert sum(b["claims"] for b in reliability(Claims(confidence, hit))) == 4


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 60), labels=st.integers(1, 4))
def test_the_error_is_that_of_a_slow_sum_over_bins(data: st.DataObject, count: int, labels: int) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    confidence = random.random((count, labels)).round(data.draw(st.integers(0, 3)))
    claims = Claims(confidence, random.random((count, labels)) < 0.5)
    slow = 0.0
    for b in range(BINS):
        inside = (confidence >= b / BINS) & ((confidence < (b + 1) / BINS) | (b == BINS - 1))
        if inside.any():
            slow += inside.mean() * abs(claims.hit[inside].mean() - confidence[inside].mean())
    assert calibration_error(claims, ones(count))[0] == pytest.approx(slow, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 80), wanted=st.floats(0.05, 1), digits=st.integers(1, 3))
def test_the_least_confidence_is_the_lowest_that_keeps_the_promise(
    seed: int, count: int, wanted: float, digits: int
) -> None:
    random = np.random.default_rng(seed)
    claims = Claims(random.random((count, 1)).round(digits), random.random((count, 1)) < 0.7)

    def keeps(level: float) -> bool:
        taken = claims.confidence >= level
        return taken.sum() >= FEWEST_CLAIMS and claims.hit[taken].sum() >= wanted * taken.sum()

    good = [level for level in np.unique(claims.confidence) if keeps(level)]
    assert least_confidence(claims, wanted) == (min(good) if good else None)


def test_a_perfect_head_has_an_error_that_claims_wash_out() -> None:
    coins = [Claims(np.full((count, 1), 0.5), np.zeros((count, 1), bool)) for count in (50, 5000)]
    few, many = (perfect_errors(claims, 300, generator(4)).mean() for claims in coins)
    assert few == pytest.approx(np.sqrt(2 / np.pi) * 0.5 / np.sqrt(50), rel=0.1)  # the mean of |binomial - its mean|
    assert many == pytest.approx(few / 10, rel=0.15)


def test_shares_of_what_is_given() -> None:
    claims = Claims(np.array([[0.9, 0.2], [0.6, 0.5], [0.1, 0.1]]), np.array([[1, 0], [0, 1], [1, 1]], bool))
    precision, coverage = given_shares(claims, np.full(3, 0.5), ones(3))
    assert (precision[0], coverage[0]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    nothing, nobody = given_shares(claims, np.full(3, np.inf), ones(3))
    assert np.isnan(nothing[0])
    assert nobody[0] == 0


def test_a_calibration_survives_json_and_one_that_does_not_fit_is_refused() -> None:
    made = Calibration((0.5, 0.5), (0.0, 0.1), (3.0, 4.0), 0.9, 0.7, {"a": 1})
    assert Calibration.from_json(made.to_json(), 2) == made
    with pytest.raises(ValueError, match="3 outputs need as many"):
        Calibration.from_json(made.to_json(), 3)
    with pytest.raises(ValueError, match="not finite"):
        Calibration.from_json({**made.to_json(), "scale": [1.0, float("nan")]}, 2)
