"""Waveform effects obey physics: levels, spectra, signal-to-noise ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirclr.augment.filters import BandPass, HighPass, LowPass, RandomEq
from mirclr.augment.mixing import WaveMix
from mirclr.augment.table import build_chain
from mirclr.augment.waveform import COLOURS, Gain, Noise, Polarity, coloured, hashed, level
from mirclr.seeds import generator

RATE = 16_000


def scalar(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def tones(*frequencies: float) -> torch.Tensor:
    """One tone of RMS 1 an item, half a second, faded in and out so that its spectrum has no skirt."""
    time = torch.arange(RATE // 2, dtype=torch.float64) / RATE
    fade = torch.hann_window(len(time), dtype=torch.float64)
    sound = torch.stack([fade * torch.sin(2 * math.pi * f * time) for f in frequencies])
    return sound / level(sound)


def decibels(out: torch.Tensor) -> list[float]:
    return (20 * level(out).log10())[:, 0].tolist()


def test_six_decibels_double_the_samples() -> None:
    batch = tones(100.0, 200.0)
    torch.testing.assert_close(
        Gain().apply(batch, {"db": scalar(20 * math.log10(2), -20.0)}), batch * scalar(2, 0.1)[:, None]
    )


def test_polarity_turns_the_samples_over() -> None:
    batch = tones(100.0)
    assert torch.equal(Polarity().apply(batch, {"sign": scalar(-1.0)}), -batch)


def test_a_low_pass_passes_the_tone_below_halves_the_power_at_the_cutoff_and_kills_the_tone_above() -> None:
    out = LowPass().apply(
        tones(250.0, 1000.0, 4000.0), {"cutoff_hz": scalar(1000, 1000, 1000), "order": scalar(4, 4, 4)}
    )
    below, at, above = decibels(out)
    assert below == pytest.approx(0, abs=0.01)
    assert at == pytest.approx(-3.01, abs=0.1)
    assert above == pytest.approx(-48.2, abs=0.5)  # two octaves at 24 dB


def test_a_high_pass_is_the_mirror_image() -> None:
    out = HighPass().apply(
        tones(250.0, 1000.0, 4000.0), {"cutoff_hz": scalar(1000, 1000, 1000), "order": scalar(4, 4, 4)}
    )
    below, at, above = decibels(out)
    assert below == pytest.approx(-48.2, abs=0.5)
    assert at == pytest.approx(-3.01, abs=0.1)
    assert above == pytest.approx(0, abs=0.01)


def test_every_item_has_its_own_cutoff_and_order() -> None:
    out = LowPass().apply(
        tones(2000.0, 2000.0, 2000.0), {"cutoff_hz": scalar(1000, 4000, 1000), "order": scalar(1, 8, 2)}
    )
    assert decibels(out) == pytest.approx([-10 * math.log10(5), 0, -10 * math.log10(17)], abs=0.1)


def test_a_band_pass_keeps_its_band() -> None:
    drawn = {"low_hz": scalar(*[500] * 3), "high_hz": scalar(*[2000] * 3), "order": scalar(4, 4, 4)}
    low, inside, high = decibels(BandPass().apply(tones(125.0, 1000.0, 7000.0), drawn))
    assert low < -45
    assert inside == pytest.approx(0, abs=0.05)
    assert high < -40


def test_the_drawn_band_is_as_wide_as_drawn_and_centred() -> None:
    drawn = BandPass(min_octaves=3, max_octaves=3).parameters(np.random.default_rng(0).random((50, 3)))
    assert np.allclose(np.log2(drawn["high_hz"] / drawn["low_hz"]), 3)
    centre = np.sqrt(drawn["high_hz"] * drawn["low_hz"])
    assert centre.min() >= 300
    assert centre.max() <= 3000
    assert set(drawn["order"]) == set(range(1, 9))


def test_a_filter_does_not_ring_around_the_circle() -> None:
    click = torch.zeros(1, 8000, dtype=torch.float64)
    click[0, -1] = 1.0
    out = HighPass().apply(click, {"cutoff_hz": scalar(40.0), "order": scalar(4.0)})
    assert out[0, :4000].abs().max() < 1e-5


def test_filters_leave_beats_where_they_are() -> None:
    click = torch.zeros(1, 8000, dtype=torch.float64)
    click[0, 3000] = 1.0
    out = LowPass().apply(click, {"cutoff_hz": scalar(2000.0), "order": scalar(8.0)})
    assert out.abs().argmax().item() == 3000


def test_an_equalisers_bells_have_their_gain_at_their_centre_and_fade_away() -> None:
    drawn = {"db": torch.tensor([[9.0, -6.0]] * 3), "centre_hz": torch.tensor([[200.0, 4000.0]] * 3)}
    drawn = {key: value.double() for key, value in {**drawn, "octaves": torch.full((3, 2), 0.5)}.items()}
    out = RandomEq(bells=2).apply(tones(200.0, 4000.0, 200.0 * 2**0.5), drawn)
    assert decibels(out) == pytest.approx([9.0, -6.0, 9.0 * math.exp(-0.5)], abs=0.1)


def test_noise_reaches_the_drawn_ratio() -> None:
    batch, snr = tones(440.0, 440.0, 880.0), scalar(0.0, 10.0, 35.0)
    drawn = {"snr_db": snr, "exponent": scalar(0, -2, 2), "seed": torch.tensor([1, 2, 3])}
    out = Noise().apply(batch, drawn)
    assert decibels(out - batch) == pytest.approx((-snr).tolist(), abs=1e-6)


def test_silence_stays_silent() -> None:
    silent = torch.zeros(1, 1000, dtype=torch.float64)
    drawn = {"snr_db": scalar(10.0), "exponent": scalar(-1.0), "seed": torch.tensor([5])}
    assert torch.equal(Noise().apply(silent, drawn), silent)
    mixed = WaveMix().apply(tones(440.0)[:, :1000], {"snr_db": scalar(3.0)}, silent)
    assert torch.equal(mixed, tones(440.0)[:, :1000])


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_has_its_slope_within_a_decibel_per_octave(name: str) -> None:
    sound = coloured(torch.arange(8), scalar(*[COLOURS[name]] * 8), 2**15 - 100)  # not a transform size: really cut
    power = torch.fft.rfft(sound * torch.hann_window(sound.shape[1], dtype=torch.float64)).abs().square().mean(0)
    octaves = [10 * math.log10(power[2**k : 2 ** (k + 1)].mean()) for k in range(5, 14)]
    assert np.diff(octaves) == pytest.approx([3.01 * COLOURS[name]] * 8, abs=1.0)


def test_noise_is_gaussian_and_items_are_independent() -> None:
    sound = coloured(torch.arange(6), scalar(*[0] * 6), 20_000)
    unit = sound / level(sound)
    assert unit.pow(4).mean(1).tolist() == pytest.approx([3.0] * 6, abs=0.15)
    assert unit.pow(3).mean(1).tolist() == pytest.approx([0.0] * 6, abs=0.1)
    shared = unit @ unit.T / 20_000
    assert (shared - torch.eye(6)).abs().max() < 0.04
    assert unit.mean(1).abs().max() < 1e-6


def test_hashes_are_uniform_in_every_bit_and_differ_between_neighbouring_seeds() -> None:
    numbers = hashed(torch.arange(4), 50_000)
    assert numbers.min() >= 0
    assert numbers.max() < 2**32
    for bit in range(32):
        assert ((numbers >> bit) & 1).double().mean(1).tolist() == pytest.approx([0.5] * 4, abs=0.01)
    counts = torch.histc(numbers.double(), bins=256, min=0, max=2**32)
    expected = numbers.numel() / 256
    assert ((counts - expected) ** 2 / expected).sum() < 350  # chi-square, 255 degrees of freedom, p = 1e-4
    assert len(numbers.unique()) > 0.9999 * numbers.numel()


def test_any_colour_draws_all_five() -> None:
    drawn = Noise().parameters(np.random.default_rng(0).random((500, 3)))
    assert set(drawn["exponent"]) == set(COLOURS.values())
    assert set(Noise(colour="pink").parameters(np.random.default_rng(0).random((50, 3)))["exponent"]) == {-1.0}


def test_energies_of_unlike_sounds_add() -> None:
    item, under = tones(440.0), 7 * tones(1000.0)
    out = WaveMix().apply(item, {"snr_db": scalar(6.0)}, under)
    assert level(out).item() ** 2 == pytest.approx(1 + 10**-0.6, rel=1e-4)


def test_the_builder_gives_filters_the_sample_rate() -> None:
    chain = build_chain([{"name": "low_pass", "lowest_hz": 1000, "highest_hz": 1000, "max_order": 1}], "wave", 44_100)
    tone = torch.sin(2 * math.pi * 1000 / 44_100 * torch.arange(44_100)).float()[None]
    out = chain.apply(tone, chain.draw([generator(0)]))
    assert (level(out) / level(tone)).item() == pytest.approx(0.5**0.5, rel=0.01)
    given = build_chain([{"name": "low_pass", "sample_rate": 8000}], "wave", 44_100).steps[0].effect
    assert given == LowPass(sample_rate=8000)


def test_effects_of_the_other_domain_are_refused() -> None:
    with pytest.raises(ValueError, match="time_mask works in the 'spec' domain, not in 'wave'"):
        build_chain([{"name": "time_mask"}], "wave")
