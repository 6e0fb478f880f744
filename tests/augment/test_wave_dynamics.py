"""Compressor and clipper: the paper's recursions written as loops, and what they do to crest factors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirclr.augment.dynamics import Clip, Compressor, one_pole, peak_hold, reduction
from mirclr.augment.waveform import level

RATE = 16_000


def scalar(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def noise(size: int, length: int) -> torch.Tensor:
    return torch.randn(size, length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def crest_db(batch: torch.Tensor) -> torch.Tensor:
    return 20 * (batch.abs().amax(1) / level(batch)[:, 0]).log10()


@pytest.mark.parametrize("length", [1, 2, 3, 64, 100])
def test_the_scans_are_the_recursions_sample_by_sample(length: int) -> None:
    x, keep = noise(3, length).abs(), scalar(0.0, 0.9, 0.9999)
    smooth, held = one_pole(x, keep[:, None]), peak_hold(x, keep[:, None])
    for item in range(3):
        k, y, z = float(keep[item]), 0.0, 0.0
        for n in range(length):
            value = float(x[item, n])
            y = k * y + (1 - k) * value
            z = max(value, k * z + (1 - k) * value)
            assert smooth[item, n].item() == pytest.approx(y, abs=1e-12)
            assert held[item, n].item() == pytest.approx(z, abs=1e-12)


def gain_computer(level_db: float, threshold: float, ratio: float, knee: float) -> float:
    """Output level of Giannoulis, Massberg and Reiss 2012, equation 4."""
    over = level_db - threshold
    if 2 * over < -knee:
        return level_db
    if 2 * abs(over) <= knee and knee > 0:
        return level_db + (1 / ratio - 1) * (over + knee / 2) ** 2 / (2 * knee)
    return threshold + over / ratio


@pytest.mark.parametrize("knee", [0.0, 6.0, 20.0])
def test_the_gain_computer_is_equation_four(knee: float) -> None:
    levels = torch.arange(-60.0, 1, dtype=torch.float64)
    got = levels - reduction(levels[None], scalar(-20.0)[:, None], scalar(4.0)[:, None], knee)[0]
    assert got.tolist() == pytest.approx([gain_computer(float(x), -20, 4, knee) for x in levels], abs=1e-12)


def test_the_whole_compressor_is_the_papers_loop() -> None:
    made = Compressor(max_release_s=0.1)
    batch = noise(2, 600) * torch.cat([torch.full((300,), 0.05), torch.full((300,), 0.5)])
    before = np.pad(batch.numpy(), ((0, 0), (round(0.2 * RATE), 0)), mode="reflect")
    drawn = {
        "threshold_db": scalar(-25, -15), "ratio": scalar(4, 8),
        "attack_s": scalar(0.002, 0.01), "release_s": scalar(0.05, 0.1),
    }  # fmt: skip
    out = made.apply(batch, drawn)
    for i in range(2):
        attack, release = (math.exp(-1 / (float(drawn[key][i]) * RATE)) for key in ("attack_s", "release_s"))
        held = smooth = 0.0
        wanted = []
        for sample in before[i].tolist():
            loud = 20 * math.log10(max(abs(sample), 1e-8))
            excess = loud - gain_computer(loud, float(drawn["threshold_db"][i]), float(drawn["ratio"][i]), 6.0)
            held = max(excess, release * held + (1 - release) * excess)
            smooth = attack * smooth + (1 - attack) * held
            wanted.append(sample * 10 ** (-smooth / 20))
        wanted = wanted[-600:]
        want = np.array(wanted) * float(level(batch)[i, 0]) / math.sqrt(np.mean(np.square(wanted)))
        np.testing.assert_allclose(out[i].numpy(), want, atol=1e-9)


def test_a_compressor_lowers_the_crest_factor_and_leaves_quiet_items_alone() -> None:
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    beats = torch.sin(2 * math.pi * 200 * time) * torch.exp(3 * torch.cos(2 * math.pi * 3 * time) - 3)
    batch = torch.stack([0.9 * beats, 0.001 * beats])
    drawn = {
        "threshold_db": scalar(-30, -30), "ratio": scalar(6, 6),
        "attack_s": scalar(0.002, 0.002), "release_s": scalar(0.1, 0.1),
    }  # fmt: skip
    out = Compressor().apply(batch, drawn)
    assert crest_db(out)[0] < crest_db(batch)[0] - 2
    assert torch.equal(out[1], batch[1])
    torch.testing.assert_close(level(out), level(batch))


def test_attack_and_release_take_their_time() -> None:
    loud = torch.cat([torch.full((4000,), 0.001), torch.full((4000,), 1.0), torch.full((8000,), 0.001)]).double()
    drawn = {"threshold_db": scalar(-20), "ratio": scalar(2), "attack_s": scalar(0.01), "release_s": scalar(0.1)}
    gain = Compressor(knee_db=0, max_release_s=0.1).gain_db(loud[None], drawn)[0]
    assert gain[3999].item() == 0
    assert gain[7999].item() == pytest.approx(-10, abs=1e-3)
    assert gain[4000 + 160].item() == pytest.approx(-10 * (1 - math.exp(-1)), abs=0.1)
    # After the release has begun, the two one-poles in a row: exp(-t/r) r / (r - a) for t well above a.
    assert gain[8000 + 1600].item() == pytest.approx(-10 * math.exp(-1) * 0.1 / 0.09, abs=0.1)


@pytest.mark.parametrize("soft", [0.0, 1.0])
def test_a_clipper_cuts_at_the_drawn_distance_below_the_items_own_peak(soft: float) -> None:
    batch = noise(2, 4000) * scalar(0.01, 20.0)[:, None]
    drawn = {"below_db": scalar(6, 12), "soft": scalar(soft, soft)}
    out = Clip().apply(batch, drawn)
    torch.testing.assert_close(level(out), level(batch))
    assert (crest_db(out) < crest_db(batch) - scalar(3, 5)).all()
    limit = batch.abs().amax(1, keepdim=True) * 10 ** (-drawn["below_db"][:, None] / 20)
    wanted = limit * torch.tanh(batch / limit) if soft else torch.minimum(torch.maximum(batch, -limit), limit)
    torch.testing.assert_close(out / level(out), wanted / level(wanted))


def test_an_item_that_begins_loud_begins_compressed() -> None:
    steady = torch.sin(2 * math.pi * 500 / RATE * torch.arange(4000, dtype=torch.float64))[None]
    drawn = {"threshold_db": scalar(-20), "ratio": scalar(4), "attack_s": scalar(0.03), "release_s": scalar(0.2)}
    gain = Compressor().gain_db(steady, drawn)[0]
    assert gain.max() - gain.min() < 1.0


def test_both_kinds_of_clipping_are_drawn_when_any_may_be() -> None:
    u = np.random.default_rng(0).random((100, 2))
    assert set(Clip().parameters(u)["soft"]) == {0.0, 1.0}
    assert set(Clip(kind="hard").parameters(u)["soft"]) == {0.0}
    assert set(Clip(kind="soft").parameters(u)["soft"]) == {1.0}
