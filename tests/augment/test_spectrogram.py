"""Spectrogram effects do to a log-mel what their names say, by the amount that was drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirclr.augment.mixing import BackgroundMix
from mirclr.augment.spectrogram import FrequencyMask, FrequencyShift, SpecGain, TimeMask, TimeWarp
from mirclr.augment.spectrum_shape import SpecEq, SpecHighPass, SpecLowPass


def scalar(value: float, size: int = 1) -> torch.Tensor:
    return torch.full((size,), value, dtype=torch.float64)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_time_mask_hides_whole_frames_with_the_mean_and_leaves_the_rest() -> None:
    batch = noise(1, 8, 100)
    out = TimeMask().apply(batch, {"width": torch.tensor([[0.1, 0.0]]), "place": torch.tensor([[0.5, 0.5]])})
    hidden = (out != batch).all(1)[0].nonzero().flatten().tolist()
    assert hidden == list(range(45, 55))
    assert torch.equal(out[:, :, hidden], batch.mean().expand(1, 8, 10))
    kept = [n for n in range(100) if n not in hidden]
    assert torch.equal(out[:, :, kept], batch[:, :, kept])


def test_a_frequency_mask_hides_whole_bins() -> None:
    batch = noise(1, 40, 10)
    out = FrequencyMask().apply(batch, {"width": torch.tensor([[0.1, 0.2]]), "place": torch.tensor([[0.0, 0.99999]])})
    assert (out != batch).all(2)[0].nonzero().flatten().tolist() == [0, 1, 2, 3, *range(32, 40)]


def test_masks_stay_within_their_fraction_and_reach_every_frame() -> None:
    effect = TimeMask(max_fraction=0.2, count=1)
    drawn = effect.parameters(np.random.default_rng(0).random((4000, 2)))
    batch = noise(1, 2, 50).expand(4000, 2, 50)
    hidden = (effect.apply(batch, {k: torch.from_numpy(v) for k, v in drawn.items()}) != batch).all(1)
    assert hidden.sum(1).max() == 9  # floor(0.2 * 50), the bound itself excluded
    assert hidden.any(0).all()
    assert hidden.sum(1).min() == 0


@pytest.mark.parametrize("bins", [-5.0, 3.0])
def test_a_frequency_shift_moves_a_peak_by_that_many_bins(bins: float) -> None:
    batch = torch.zeros(1, 64, 7, dtype=torch.float64)
    batch[:, 30] = 5.0
    out = FrequencyShift().apply(batch, {"bins": scalar(bins)})
    assert torch.equal(out, torch.roll(batch, int(bins), 1))


def test_a_fractional_shift_moves_the_centre_of_gravity_and_edges_are_held() -> None:
    bump = torch.exp(-0.5 * ((torch.arange(64.0, dtype=torch.float64) - 30) / 3) ** 2).view(1, 64, 1)
    out = FrequencyShift().apply(bump, {"bins": scalar(1.6)})
    assert ((out * torch.arange(64).view(1, 64, 1)).sum() / out.sum()).item() == pytest.approx(31.6, abs=1e-6)
    ramp = torch.arange(64.0, dtype=torch.float64).view(1, 64, 1)
    assert FrequencyShift().apply(ramp, {"bins": scalar(4.0)})[0, :6, 0].tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25])
def test_a_time_warp_changes_the_spacing_of_beats_by_its_rate(rate: float) -> None:
    frames = torch.arange(401, dtype=torch.float64)
    beats = torch.exp(-0.5 * (((frames - 200 + 20) % 40 - 20) / 2) ** 2).expand(1, 3, 401)
    out = TimeWarp().apply(beats, {"rate": scalar(rate)})[0, 0, 60:341]
    peaks = ((out[1:-1] > out[:-2]) & (out[1:-1] >= out[2:])).nonzero().flatten() + 61
    spacing = (peaks[-1] - peaks[0]).item() / (len(peaks) - 1)
    assert spacing == pytest.approx(40 / rate, abs=0.4)
    assert 200 in peaks.tolist()  # the centre stays


def test_a_faster_item_mirrors_its_edges() -> None:
    ramp = torch.arange(11.0, dtype=torch.float64).view(1, 1, 11)
    out = TimeWarp().apply(ramp, {"rate": scalar(1.2)})[0, 0]
    assert out[0].item() == pytest.approx(1.0)  # position -1 is frame 1
    assert out[-1].item() == pytest.approx(9.0)
    assert out[5].item() == 5.0


def test_rates_are_log_uniform_between_the_bounds() -> None:
    rate = TimeWarp(max_rate=1.5).parameters(np.random.default_rng(0).random((20_000, 1)))["rate"]
    assert rate.min() >= 1 / 1.5
    assert rate.max() <= 1.5
    counts = np.histogram(np.log(rate), bins=10, range=(-math.log(1.5), math.log(1.5)))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 34  # chi-square, 9 degrees of freedom, p = 1e-4


def test_ten_decibels_are_ten_times_the_power() -> None:
    batch = noise(2, 4, 5)
    out = SpecGain().apply(batch, {"db": torch.tensor([10.0, -20.0], dtype=torch.float64)})
    torch.testing.assert_close(
        out.exp() / batch.exp(), torch.tensor([10.0, 0.01]).double().view(2, 1, 1).expand(2, 4, 5)
    )


def test_an_equaliser_passes_through_its_points_without_overshoot_and_ignores_time() -> None:
    points = torch.tensor([[6.0, -6.0, 6.0, 0.0, 3.0]], dtype=torch.float64)
    curve = SpecEq(points=5).apply(torch.zeros(1, 81, 3, dtype=torch.float64), {"db": points}) * 10 / math.log(10)
    assert torch.equal(curve[:, :, 0], curve[:, :, 2])
    torch.testing.assert_close(curve[0, ::20, 0], points[0])
    assert curve.abs().max() <= 6.0 + 1e-12
    assert curve[0].diff(dim=0).abs().max() < 1.0  # no steps


def test_a_flat_equaliser_is_a_gain() -> None:
    batch = noise(1, 64, 5)
    flat = SpecEq(points=7).apply(batch, {"db": torch.full((1, 7), 4.0, dtype=torch.float64)})
    torch.testing.assert_close(flat, SpecGain().apply(batch, {"db": scalar(4.0)}))


def test_a_low_pass_keeps_the_bass_and_takes_the_treble_down_to_the_floor() -> None:
    batch = noise(1, 64, 20)
    out = SpecLowPass().apply(batch, {"corner": scalar(0.5), "slope_db": scalar(400.0)})
    assert torch.equal(out[:, :32], batch[:, :32])
    assert torch.equal(out[:, 60:], batch.min().expand(1, 4, 20))
    assert out.min() == batch.min()


def test_a_high_pass_is_a_low_pass_upside_down() -> None:
    batch = noise(1, 64, 20)
    low = SpecLowPass().apply(batch.flip(1), {"corner": scalar(0.75), "slope_db": scalar(90.0)})
    high = SpecHighPass().apply(batch, {"corner": scalar(0.25), "slope_db": scalar(90.0)})
    torch.testing.assert_close(high.flip(1), low)


def test_a_background_adds_power_by_shares() -> None:
    a, b = noise(2, 3, 4, 5)
    share = torch.tensor([0.0, 0.25, 0.4], dtype=torch.float64)
    out = BackgroundMix().apply(a, {"share": share}, b)
    s = share.view(3, 1, 1)
    torch.testing.assert_close(out.exp(), (1 - s) * a.exp() + s * b.exp())


def test_mixing_equal_items_gives_the_same_item_at_any_level() -> None:
    for level in (-1000.0, 0.0, 1000.0):
        a = noise(1, 4, 5) + level
        torch.testing.assert_close(BackgroundMix().apply(a, {"share": scalar(0.3)}, a), a)


def test_mixing_without_a_background_is_refused() -> None:
    with pytest.raises(ValueError, match=r"background_mix needs a background of shape \(1, 4, 5\)"):
        BackgroundMix().apply(noise(1, 4, 5), {"share": scalar(0.3)})
