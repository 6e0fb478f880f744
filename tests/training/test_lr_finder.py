"""The range test: what the analysis makes of curves whose answer is known, and one real curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.errors import ConfigError, TrainingError
from mirclr.reports import Progress, finish
from mirclr.training.lr_finder import Curve, analysed, diverged, find_rate, rising, smooth, steepest
from tests.support.tiny import tiny
from tests.support.tones import tone_folder

RATES = rising(1e-5, 1.0, 101)


def slope(middle: float, low: float = 0.0) -> np.ndarray:
    """A loss that falls by 1 to `low`, fastest at the rate `middle`."""
    return low + 1 / (1 + (RATES / middle) ** 2)


def descent(curvature: float, rates: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Losses of stochastic gradient descent on curvature / 2 * w ** 2, a step at each rate, `noise` in the gradient
    relative to the first one; it diverges above 2 / curvature."""
    rng, weight, losses = np.random.default_rng(0), 1.0, []
    for rate in rates:
        losses.append(curvature / 2 * weight**2)
        weight -= rate * curvature * (weight + noise * rng.standard_normal())
    return np.array(losses)


@pytest.mark.parametrize("middle", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("low", [0.0, -7.0])
def test_the_steepest_rate_is_where_the_curve_falls_fastest_whatever_its_level(middle: float, low: float) -> None:
    step = RATES[1] / RATES[0]
    # d/d(log r) of 1 / (1 + (r / m)^2) is smallest at r = m.
    assert middle / step < steepest(RATES, slope(middle, low)) < middle * step


def test_smoothing_is_the_bias_corrected_average() -> None:
    losses = [3.0, 1.0, 2.0]
    weights = np.array([0.9**2, 0.9, 1.0])
    expected = [np.dot(weights[-n:] / weights[-n:].sum(), losses[:n]) for n in (1, 2, 3)]
    np.testing.assert_allclose(smooth(losses, 0.9), expected, rtol=1e-12)
    np.testing.assert_allclose(smooth(np.full(50, 7.0)), 7.0, rtol=1e-12)


@pytest.mark.parametrize("curvature", [1.0, 10.0, 100.0])
def test_on_a_quadratic_the_suggestion_learns_and_does_not_diverge(curvature: float) -> None:
    rates = rising(1e-4 / curvature, 10 / curvature, 200)
    curve = analysed(rates[:150], descent(curvature, rates, noise=0.05)[:150])
    # Above 1 / curvature a step overshoots the minimum, above 2 / curvature it ends higher than it began.
    assert 0.01 / curvature < curve.suggestion < 1 / curvature


@pytest.mark.parametrize("level", [0.0, -50.0, 50.0])
def test_divergence_is_seen_at_any_level_of_the_loss_and_soon(level: float) -> None:
    rates = rising(1e-4, 100.0, 200)
    losses = descent(1.0, rates, noise=0.05) + level
    stopped = next(n for n in range(1, 200) if diverged(losses[:n], smooth(losses[:n])))
    assert 2.0 < rates[stopped - 1] < 8.0


def test_noise_alone_and_a_falling_loss_do_not_diverge() -> None:
    noise = np.random.default_rng(1).standard_normal(300)
    assert not any(diverged(noise[:n], smooth(noise[:n])) for n in range(1, 300))
    falling = np.linspace(5, -5, 300) + 0.1 * noise
    assert not any(diverged(falling[:n], smooth(falling[:n])) for n in range(1, 300))


def test_no_number_diverges_at_once_and_is_left_out_of_the_curve() -> None:
    losses = np.append(slope(1e-3)[:90], np.nan)
    assert diverged(losses, smooth(losses))
    curve = analysed(RATES[:91], losses)
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed) == 90
    with pytest.raises(TrainingError, match="first loss was no number"):
        analysed(RATES[:1], np.array([np.nan]))


def test_a_loss_that_only_rises_gives_no_suggestion() -> None:
    with pytest.raises(TrainingError, match=r"did not fall between learning rates 1e-05 and 1"):
        steepest(RATES, -slope(1e-3))


def test_the_rates_rise_by_one_factor() -> None:
    np.testing.assert_allclose(RATES[1:] / RATES[:-1], 10 ** (5 / 100))
    with pytest.raises(ValueError, match="low=1, high=0"):
        rising(1.0, 0.1, 100)
    with pytest.raises(ValueError, match="steps must be at least 20, got 5"):
        rising(0.1, 1.0, 5)


def test_a_real_curve_suggests_a_rate_inside_and_repeats_bit_for_bit(tmp_path: Path) -> None:
    tracks, seen = tone_folder(tmp_path / "music"), list[Progress]()
    config = tiny(tmp_path / "cache", optim={"batch": 8, "accumulate": 2})
    first = finish(find_rate(tracks, config, 1e-4, 1.0, 40), seen.append)
    again: Curve = finish(find_rate(tracks, config, 1e-4, 1.0, 40))
    np.testing.assert_array_equal(first.losses, again.losses)
    assert first.rates[0] == pytest.approx(1e-4)
    assert 1e-4 < first.suggestion < 1.0
    assert [p.done for p in seen if p.stage == "range test"] == list(range(1, len(first.rates) + 1))
    first.write(tmp_path / "rates.csv")
    table = pd.read_csv(tmp_path / "rates.csv")
    assert list(table) == ["rate", "loss", "smoothed"]
    np.testing.assert_allclose(table["smoothed"], first.smoothed)


def test_settings_that_cannot_be_built_are_said_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'dcl'"):
        finish(find_rate(pd.DataFrame(), tiny(tmp_path, loss={"name": "dlc"})))
