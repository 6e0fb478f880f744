"""Echoes, rooms, equalisers and all-passes: what a loudspeaker in a room does, against recursions and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from mirclr.augment.biquads import AllPass, ParametricEq, high_shelf, low_shelf, peaking
from mirclr.augment.echoes import Delay, Reverb, convolved
from mirclr.augment.placement import PhaseRotation
from mirclr.augment.table import EFFECTS
from mirclr.augment.waveform import level, level_kept

RATE = 16_000


def scalar(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def noise(size: int, length: int) -> torch.Tensor:
    return torch.randn(size, length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def click(length: int, place: int = 0) -> torch.Tensor:
    out = torch.zeros(1, length, dtype=torch.float64)
    out[0, place] = 1.0
    return out


def cookbook(kind: str, hertz: float, q: float, db: float = 0.0) -> tuple[list[float], list[float]]:
    """Coefficients b and a of a section, line for line from the cookbook."""
    a, w = 10 ** (db / 40), 2 * math.pi * hertz / RATE
    alpha, cos = math.sin(w) / (2 * q), math.cos(w)
    beta = 2 * math.sqrt(a) * alpha
    sections = {
        "peaking": ([1 + alpha * a, -2 * cos, 1 - alpha * a], [1 + alpha / a, -2 * cos, 1 - alpha / a]),
        "low_shelf": (
            [a * ((a + 1) - (a - 1) * cos + beta), 2 * a * ((a - 1) - (a + 1) * cos),
             a * ((a + 1) - (a - 1) * cos - beta)],
            [(a + 1) + (a - 1) * cos + beta, -2 * ((a - 1) + (a + 1) * cos), (a + 1) + (a - 1) * cos - beta],
        ),
        "high_shelf": (
            [a * ((a + 1) + (a - 1) * cos + beta), -2 * a * ((a - 1) + (a + 1) * cos),
             a * ((a + 1) + (a - 1) * cos - beta)],
            [(a + 1) - (a - 1) * cos + beta, 2 * ((a - 1) - (a + 1) * cos), (a + 1) - (a - 1) * cos - beta],
        ),
        "all_pass": ([1 - alpha, -2 * cos, 1 + alpha], [1 + alpha, -2 * cos, 1 - alpha]),
    }  # fmt: skip
    return sections[kind]


@pytest.mark.parametrize("section", [peaking, low_shelf, high_shelf])
@pytest.mark.parametrize("db", [-12.0, 7.0])
def test_a_section_has_the_response_of_the_cookbooks_coefficients(section: object, db: float) -> None:
    w = torch.linspace(0, math.pi, 201, dtype=torch.float64)
    got = section(w, scalar(2 * math.pi * 900 / RATE)[:, None], scalar(1.3)[:, None], scalar(db)[:, None])[0]  # type: ignore[operator]
    b, a = cookbook(section.__name__, 900, 1.3, db)  # type: ignore[attr-defined]
    z = np.exp(-1j * w.numpy())
    np.testing.assert_allclose(got.numpy(), np.polyval(b[::-1], z) / np.polyval(a[::-1], z), rtol=1e-9, atol=1e-12)


def test_a_parametric_equaliser_is_the_cascade_of_its_recursions() -> None:
    drawn = {
        "centre_hz": scalar(150, 5000, 400, 1000, 3000)[None],
        "db": scalar(6, -9, 5, -7, 3)[None],
        "q": scalar(1, 3, 0.7)[None],
    }
    batch = noise(1, 4000)
    wanted = batch[0].numpy()
    qs = [0.5**0.5, 0.5**0.5, 1, 3, 0.7]
    kinds = ["low_shelf", "high_shelf", "peaking", "peaking", "peaking"]
    for kind, hertz, q, db in zip(kinds, drawn["centre_hz"][0], qs, drawn["db"][0], strict=True):
        wanted = lfilter(*cookbook(kind, float(hertz), q, float(db)), wanted)
    np.testing.assert_allclose(ParametricEq().apply(batch, drawn)[0].numpy(), wanted, atol=1e-6)


def test_shelves_are_drawn_at_the_outside_and_a_centre_above_half_the_rate_is_held_below_it() -> None:
    made = ParametricEq(lowest_hz=100, highest_hz=1600, sample_rate=2000)
    drawn = made.parameters(np.random.default_rng(0).random((500, made.draws)))
    low, high, bells = drawn["centre_hz"][:, 0], drawn["centre_hz"][:, 1], drawn["centre_hz"][:, 2:]
    assert low.min() >= 100
    assert low.max() <= 200
    assert high.min() >= 800
    assert bells.min() < 150
    assert bells.max() > 1100
    extreme = {key: torch.from_numpy(value) for key, value in drawn.items()}
    out = made.apply(noise(1, 300).expand(500, -1), extreme)
    # Five sections of at most 9 dB; a centre beyond half the rate would turn poles outward and explode.
    assert level(out).max() < 10 ** (5 * 9 / 20) * level(noise(1, 300)).item()


def test_an_all_pass_is_its_recursion() -> None:
    drawn = {"centre_hz": scalar(300, 2000)[None], "q": scalar(0.6, 2.0)[None]}
    batch = noise(1, 4000)
    wanted = batch[0].numpy()
    for hertz, q in ((300, 0.6), (2000, 2.0)):
        wanted = lfilter(*cookbook("all_pass", hertz, q), wanted)
    np.testing.assert_allclose(AllPass(sections=2).apply(batch, drawn)[0].numpy(), wanted, atol=1e-6)


def test_an_all_pass_keeps_the_magnitude_spectrum_and_moves_the_samples() -> None:
    batch = click(RATE, 4000)
    drawn = {"centre_hz": scalar(100, 500, 1500, 5000)[None], "q": scalar(1, 2, 1, 0.5)[None]}
    out = AllPass().apply(batch, drawn)
    torch.testing.assert_close(torch.fft.rfft(out).abs(), torch.fft.rfft(batch).abs(), rtol=1e-6, atol=1e-6)
    assert (out - batch).abs().max() > 0.5
    assert out[0, :3999].abs().max() < 1e-6  # causal: nothing comes before


@pytest.mark.parametrize("length", [3000, 3001])
def test_a_phase_rotation_keeps_every_magnitude_and_ninety_degrees_make_a_sine_of_a_cosine(length: int) -> None:
    batch = noise(2, length)
    out = PhaseRotation().apply(batch, {"degrees": scalar(77, -123)})
    torch.testing.assert_close(torch.fft.rfft(out).abs(), torch.fft.rfft(batch).abs())
    angle = 2 * math.pi * 40 / length * torch.arange(length, dtype=torch.float64)[None]
    torch.testing.assert_close(
        PhaseRotation().apply(angle.cos(), {"degrees": scalar(-90.0)}), angle.sin(), rtol=0, atol=1e-9
    )
    half = PhaseRotation().apply(batch - batch.mean(1, keepdim=True), {"degrees": scalar(180.0, 180.0)})
    if length % 2:  # no sample of half the sample rate: everything is turned over
        torch.testing.assert_close(half, batch.mean(1, keepdim=True) - batch)


def test_convolution_is_linear_not_circular() -> None:
    batch, response = noise(1, 50), noise(2, 30)[1:]
    wanted = np.convolve(batch[0].numpy(), response[0].numpy())[:50]
    np.testing.assert_allclose(convolved(batch, response)[0].numpy(), wanted, atol=1e-12)


def test_a_delay_puts_echoes_where_it_says_as_loud_as_it_says() -> None:
    drawn = {"delay_s": scalar(0.1, 0.15), "feedback_db": scalar(-6, -20)}
    out = Delay(echoes=3).apply(click(8000).expand(2, -1), drawn)
    for item, step, db in ((0, 1600, -6.0), (1, 2400, -20.0)):
        places = (out[item].abs() > 1e-9).nonzero().flatten().tolist()
        assert places == [0, step, 2 * step, 3 * step]
        steps = 20 * (out[item, places[1:]] / out[item, places[:-1]]).log10()
        assert steps.tolist() == pytest.approx([db] * 3, abs=1e-6)
    torch.testing.assert_close(level(out), level(click(8000)).expand(2, 1))


def test_echoes_past_the_end_are_not_heard() -> None:
    out = Delay(echoes=64).apply(click(1000), {"delay_s": scalar(0.05), "feedback_db": scalar(-3)})
    assert (out[0].abs() > 1e-9).nonzero().flatten().tolist() == [0, 800]


@pytest.mark.parametrize("rt60", [0.25, 0.6])
def test_a_rooms_energy_has_decayed_by_sixty_decibels_at_its_reverberation_time(rt60: float) -> None:
    size = 16
    made = Reverb(max_rt60_s=2.0)
    drawn = {
        "rt60_s": scalar(rt60).expand(size),
        "direct_db": scalar(0.0).expand(size),
        "pre_delay_s": scalar(0.0).expand(size),
        "seed": torch.arange(size),
    }
    energy = made.tail(drawn, RATE).square().mean(0)
    window = round(0.02 * RATE)
    places = (0, round(rt60 / 2 * RATE), round(rt60 * RATE))
    fall = [10 * energy[at : at + window].mean().log10().item() for at in places]
    assert fall[1] - fall[0] == pytest.approx(-30, abs=1.0)
    assert fall[2] - fall[0] == pytest.approx(-60, abs=1.0)


def test_the_tail_begins_after_the_pause_with_the_drawn_energy_and_every_seed_is_another_room() -> None:
    seeds = {"rt60_s": scalar(0.4, 0.4), "direct_db": scalar(6.0, 6.0), "pre_delay_s": scalar(0.03, 0.03)}
    out = Reverb().apply(click(RATE, 100).expand(2, -1), {**seeds, "seed": torch.tensor([1, 2])})
    direct, tail = out[:, 100], out[:, 101:]
    assert tail[:, : 479 - 1].abs().max() < 1e-9
    assert tail[:, 479:500].abs().max() > 1e-3
    assert (10 * (direct.square() / tail.square().sum(1)).log10()).tolist() == pytest.approx([6.0, 6.0], abs=0.5)
    alike = torch.nn.functional.cosine_similarity(tail[0], tail[1], dim=0)
    assert abs(alike) < 0.1
    assert level(out)[:, 0].tolist() == pytest.approx([level(click(RATE)).item()] * 2)


@pytest.mark.parametrize("name", [name for name, effect in EFFECTS.items() if effect.domain == "wave"])
def test_silence_stays_silence_and_its_gradient_is_finite(name: str) -> None:
    made = EFFECTS[name]()
    drawn = made.parameters(np.random.default_rng(0).random((2, made.draws)))
    silent = torch.zeros(2, 2000, requires_grad=True)
    values = {key: torch.from_numpy(value) for key, value in drawn.items()}
    values = {key: value.float() if value.is_floating_point() else value for key, value in values.items()}
    out = made.apply(silent, values, torch.zeros(2, 2000))
    assert out.abs().max() < 1e-4  # a codec may dither its last bit
    if made.differentiable:
        assert out.abs().max() == 0
        out.sum().backward()
        assert silent.grad is not None
        assert silent.grad.isfinite().all()


def test_a_level_is_kept_item_by_item() -> None:
    batch = torch.cat([noise(2, 500), torch.zeros(1, 500)])
    out = level_kept(batch * scalar(0.1, 30, 5)[:, None], batch)
    torch.testing.assert_close(out, batch)
