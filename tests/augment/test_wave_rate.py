"""Speed, stretch, transposition and resampling move what they say, keep what they say, at the rate they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirclr.augment.interpolate import mirrored, read_evenly
from mirclr.augment.placement import Reverse, TimeShift
from mirclr.augment.rate import PitchShift, Resample, Speed, TimeStretch
from mirclr.augment.vocoder import frame_size, stretched

RATE = 16_000


def scalar(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def noise(size: int, length: int) -> torch.Tensor:
    return torch.randn(size, length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def tone(hertz: float, length: int = RATE) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz / RATE * torch.arange(length, dtype=torch.float64))[None]


def clicks(every: int, length: int = 2 * RATE) -> torch.Tensor:
    """Short clicks at the middle and every so many samples from it."""
    away = (torch.arange(length, dtype=torch.float64) - length / 2 + every / 2) % every - every / 2
    return torch.exp(-0.5 * (away / 4).square())[None]


def frequencies(batch: torch.Tensor) -> list[float]:
    """Hz of the strongest bin of each item's inner half; parabola through its neighbours' logarithms."""
    inner = batch[:, batch.shape[1] // 4 : 3 * batch.shape[1] // 4]
    power = torch.fft.rfft(inner * torch.hann_window(inner.shape[1], dtype=batch.dtype)).abs().log()
    peak = power.argmax(1)
    a, b, c = (power[torch.arange(len(batch)), peak + k] for k in (-1, 0, 1))
    return ((peak + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / inner.shape[1]).tolist()


def interval(sound: torch.Tensor) -> float:
    """Mean distance in samples of the clicks of the item's inner half, each at the centre of gravity of its energy."""
    energy, reach = sound.square(), 800
    smooth = torch.nn.functional.avg_pool1d(energy[None], 401, 1, 200)[0]
    peaks = torch.nn.functional.max_pool1d(smooth[None], 2001, 1, 1000)[0]
    places = ((smooth == peaks) & (smooth > 0.2 * smooth.max())).nonzero().flatten()
    places = places[(places > len(sound) // 4) & (places < 3 * len(sound) // 4)]
    places = places[torch.cat([torch.tensor([True]), places.diff() > 1000])]
    around = torch.arange(-reach, reach + 1)
    near = energy[places[:, None] + around]
    return (places + (near * around).sum(1) / near.sum(1)).diff().mean().item()


def test_mirrored_places_are_numpys_reflection() -> None:
    sound = np.arange(5.0)
    wanted = np.pad(sound, (13, 13), mode="reflect")
    assert mirrored(torch.arange(-13, 18), 5).tolist() == wanted.tolist()
    assert mirrored(torch.arange(-3, 4), 1).tolist() == [0] * 7
    assert mirrored(scalar(-0.25, 4.5), 5).tolist() == [0.25, 3.5]


@pytest.mark.parametrize("count", [7, 12, 30])
def test_reading_evenly_is_the_cosine_series_through_the_samples(count: int) -> None:
    batch, rates = noise(3, 12), [0.7, 1.0, 1.9]
    out = read_evenly(batch, scalar(*rates), count)
    for item, rate in enumerate(rates):
        for n in range(count):
            place = 5.5 + (n - (count - 1) / 2) * rate
            total = 0.0
            for k in range(12):
                if k * rate <= 11:
                    weight = (0.5 if k in (0, 11) else 1.0) / 11
                    term = sum((0.5 if j in (0, 11) else 1) * 2 * float(batch[item, j]) * math.cos(math.pi * k * j / 11)
                               for j in range(12))  # fmt: skip
                    total += weight * term * math.cos(math.pi * k * place / 11)
            assert out[item, n].item() == pytest.approx(total, abs=1e-9)


def test_reading_evenly_in_single_precision_is_good_to_single_precision() -> None:
    batch, rate = noise(2, 64_000), scalar(0.93, 1.07)
    exact = read_evenly(batch, rate, 64_000)
    assert (read_evenly(batch.float(), rate.float(), 64_000) - exact).abs().max() < 0.02  # the rate's own rounding
    assert (read_evenly(batch.float(), rate, 64_000) - exact).abs().max() < 1e-5


def test_what_would_alias_is_removed() -> None:
    out = read_evenly(torch.cat([tone(6000.0), tone(4000.0)]), scalar(1.5, 1.5), RATE)
    inner = out[:, 4000:12_000].square().mean(1).sqrt()
    assert inner[0] < 1e-3
    assert inner[1].item() == pytest.approx(0.5**0.5, rel=0.01)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_speed_moves_pitch_and_tempo_together(rate: float) -> None:
    made = Speed(max_rate=2)
    assert frequencies(made.apply(tone(1000.0), {"rate": scalar(rate)})) == pytest.approx([1000 * rate], rel=1e-3)
    assert interval(made.apply(clicks(4000), {"rate": scalar(rate)})[0]) == pytest.approx(4000 / rate, rel=2e-3)


@pytest.mark.parametrize("rate", [0.8, 0.9, 1.1, 1.25])
def test_a_stretch_moves_tempo_and_keeps_pitch(rate: float) -> None:
    made = TimeStretch(max_rate=2)
    assert frequencies(made.apply(tone(1000.0), {"rate": scalar(rate)})) == pytest.approx([1000], rel=1e-4)
    assert interval(made.apply(clicks(4000), {"rate": scalar(rate)})[0]) == pytest.approx(4000 / rate, rel=3e-3)


@pytest.mark.parametrize("semitones", [-12.0, 3.0, 12.0])
def test_a_shift_moves_pitch_and_keeps_tempo(semitones: float) -> None:
    made = PitchShift(max_semitones=12)
    out = made.apply(tone(1000.0), {"semitones": scalar(semitones)})
    assert frequencies(out) == pytest.approx([1000 * 2 ** (semitones / 12)], rel=1e-3)
    assert out[0, 2000:-2000].square().mean().item() == pytest.approx(0.5, rel=0.1)  # as long, and as loud
    beats = made.apply(clicks(4000), {"semitones": scalar(semitones)})
    assert interval(beats[0]) == pytest.approx(4000, abs=160)  # 10 ms


def test_a_shifted_burst_stays_as_long_and_where_it_was() -> None:
    burst = torch.zeros(1, RATE, dtype=torch.float64)
    burst[:, 5000:11_000] = tone(1000.0)[:, :6000]
    out = PitchShift(max_semitones=12).apply(burst, {"semitones": scalar(12.0)})[0]
    heard = (torch.nn.functional.avg_pool1d(out.square()[None], 201, 1, 100)[0] > 0.25).nonzero().flatten()
    assert heard[0].item() == pytest.approx(5000, abs=400)
    assert heard[-1].item() == pytest.approx(11_000, abs=400)


def test_every_item_has_its_own_rate() -> None:
    batch, rates = tone(800.0).expand(3, -1), scalar(0.9, 1.0, 1.1)
    assert frequencies(Speed(max_rate=2).apply(batch, {"rate": rates})) == pytest.approx([720, 800, 880], rel=1e-3)
    shifted = PitchShift().apply(batch, {"semitones": scalar(-2, 0, 2)})
    assert frequencies(shifted) == pytest.approx([800 * 2 ** (s / 12) for s in (-2, 0, 2)], rel=1e-3)


def test_the_middle_of_an_item_stays_where_it_is() -> None:
    for out in (
        Speed(max_rate=2).apply(clicks(9000, 16_001), {"rate": scalar(1.3)}),
        TimeStretch(max_rate=2).apply(clicks(9000, 16_001), {"rate": scalar(0.8)}),
    ):
        inner = out[0, 6000:10_000].square()
        centre = (inner * torch.arange(6000, 10_000)).sum() / inner.sum()
        assert centre.item() == pytest.approx(8000, abs=30)


def levels(batch: torch.Tensor, every: int = 800) -> torch.Tensor:
    """`(B, n)` dB of the root mean square over 50 ms, without the ends, where the sound is mirrored."""
    return 10 * batch[:, 4000:-4000].unfold(1, every, every // 2).square().mean(2).log10()


@pytest.mark.parametrize("rate", [0.83, 0.9, 1.1, 1.2])
def test_steady_tones_and_glides_keep_their_level_at_every_moment(rate: float) -> None:
    time = torch.arange(4 * RATE, dtype=torch.float64) / RATE
    vibrato = 2 * math.pi * 800 * time + 0.03 * 800 / 5.5 * torch.sin(2 * math.pi * 5.5 * time)
    glide = 2 * math.pi * (300 * time + 250 * time.square())
    batch = torch.cat([tone(110.0, 4 * RATE), tone(987.3, 4 * RATE), vibrato.sin()[None], glide.sin()[None]])
    out = stretched(batch, torch.full((4,), rate, dtype=torch.float64), 1024)
    assert (levels(out) + 10 * math.log10(2)).abs().max() < 0.5


@pytest.mark.parametrize("rate", [0.83, 0.9, 1.1, 1.2])
@pytest.mark.parametrize("hertz", [(261.6, 329.6, 392.0), (220.0, 277.2, 329.6, 440.0, 554.4), (400.0, 480.0)])
def test_a_chord_keeps_its_level_and_that_of_its_tones(hertz: tuple[float, ...], rate: float) -> None:
    batch = torch.stack([tone(f, 4 * RATE)[0].roll(int(9 * f)) for f in hertz]).sum(0)[None]
    out = stretched(batch, scalar(rate), 1024)
    loud = [x[:, 4000:-4000].square().mean().log10() * 10 for x in (batch, out)]
    assert (loud[0] - loud[1]).abs() < 0.5
    window = torch.hann_window(4 * RATE - 8000, dtype=torch.float64)
    before, after = (torch.fft.rfft(x[0, 4000:-4000] * window).abs() for x in (batch, out))
    for place in (round(f * len(window) / RATE) for f in hertz):
        near = slice(place - 3, place + 4)
        assert (20 * (after[near].square().sum() / before[near].square().sum()).sqrt().log10()).abs() < 0.5


@pytest.mark.parametrize("rate", [0.83, 0.9, 1.1, 1.2])
def test_two_tones_that_no_frame_tells_apart_keep_their_level_and_beat_at_the_new_tempo(rate: float) -> None:
    batch = tone(400.0, 4 * RATE) + tone(428.0, 4 * RATE)
    out = stretched(batch, scalar(rate), 1024)[:, 4000:-4000]
    assert (10 * out.square().mean().log10()).abs() < 0.5
    envelope = torch.nn.functional.avg_pool1d(out.square(), 64)
    assert frequencies(envelope - envelope.mean())[0] / 64 == pytest.approx(28 * rate, rel=0.02)


@pytest.mark.parametrize("rate", [0.8, 0.9, 1.1, 1.25])
def test_an_attack_stays_one_and_has_no_echo_before_it(rate: float) -> None:
    length, generator = 4 * RATE, torch.Generator().manual_seed(0)
    decay = torch.exp(-torch.arange(3000, dtype=torch.float64) / 600)
    places, batch = range(5000, length - 6000, 6000), torch.zeros(1, length, dtype=torch.float64)
    for place in places:
        batch[0, place : place + 3000] = decay * torch.randn(3000, generator=generator, dtype=torch.float64)
    energy = stretched(batch, scalar(rate), 1024)[0].square()
    expected = [round((place - length / 2) / rate + length / 2) for place in places]
    heard = [place for place in expected if 4000 < place < length - 4000]
    before = sum(energy[place - 1000 : place - 80].sum() for place in heard)
    attack = sum(energy[place - 80 : place + 560].sum() for place in heard)
    assert before < 10**-2.5 * attack  # from 60 to 5 ms before a drum: 25 dB less than in its first 35 ms


def test_a_stretch_at_rate_one_is_the_item_and_silence_stays_silence() -> None:
    batch = torch.cat([noise(2, 7001), torch.zeros(1, 7001, dtype=torch.float64)])
    torch.testing.assert_close(stretched(batch, scalar(1, 1, 1), 1024), batch)
    assert (stretched(batch[2:], scalar(0.9), 1024) == 0).all()


def test_a_stretch_of_a_batch_is_that_of_its_items() -> None:
    batch, rates = noise(3, 5000), scalar(0.8, 1.0, 1.3)
    alone = [stretched(item[None], rate[None], 1024)[0] for item, rate in zip(batch, rates, strict=True)]
    torch.testing.assert_close(stretched(batch, rates, 1024), torch.stack(alone))


def test_frames_are_as_long_at_any_sample_rate() -> None:
    assert [frame_size(rate) for rate in (8000, 16_000, 22_050, 44_100, 48_000)] == [512, 1024, 1024, 2048, 4096]


def test_resampling_keeps_the_band_and_removes_everything_above_the_new_half_rate() -> None:
    out = Resample().apply(noise(1, 4 * RATE) * torch.hann_window(4 * RATE).double(), {"rate_hz": scalar(8000.0)})
    power = torch.fft.rfft(out)[0].abs().square()
    before = torch.fft.rfft(noise(1, 4 * RATE) * torch.hann_window(4 * RATE).double())[0].abs().square()
    hertz = torch.fft.rfftfreq(4 * RATE, 1 / RATE)
    above, band = hertz > 4001, hertz < 3590
    assert power[above].sum() < 1e-9 * before[above].sum()
    torch.testing.assert_close(power[band].sum(), before[band].sum(), rtol=1e-6, atol=0)


def test_a_rate_that_is_not_lower_changes_nothing() -> None:
    batch = noise(1, 3000)
    torch.testing.assert_close(Resample().apply(batch, {"rate_hz": scalar(20_000.0)}), batch)


def test_a_shift_in_time_is_a_roll() -> None:
    batch = noise(3, 101)
    out = TimeShift().apply(batch, {"share": scalar(0.1, 0.0, -0.5)})
    assert torch.equal(out, torch.stack([batch[0].roll(10), batch[1], batch[2].roll(-50)]))


def test_backwards_twice_is_the_item() -> None:
    batch, back = noise(2, 100), {"direction": scalar(-1.0, -1.0)}
    once = Reverse().apply(batch, back)
    assert torch.equal(once, torch.from_numpy(batch.numpy()[:, ::-1].copy()))
    assert torch.equal(Reverse().apply(once, back), batch)
