"""The constant-Q and variable-Q frontends: the definition in a slow loop, librosa, and the physics of tones."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mirclr.audio.decode import decode
from mirclr.compiled import librosa
from mirclr.models.frontend_cqt import C1, ConstantQ, VariableQ

RATE = 16_000


def noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


def notes(seconds: float = 4.0) -> np.ndarray:
    """Struck strings: partials that fade, a new chord every half second, over a little noise."""
    rng, time = np.random.default_rng(1), np.arange(round(seconds * RATE)) / RATE
    sound = 1e-3 * rng.standard_normal(len(time))
    for start in np.arange(0, seconds, 0.5):
        since = np.clip(time - start, 0, None)
        for pitch in rng.choice([55.0, 82.4, 110.0, 164.8, 220.0, 277.2, 440.0, 554.4], 3, replace=False):
            for partial in range(1, 6):
                sound += (
                    (time >= start) * 0.1 / partial * np.exp(-4 * since) * np.sin(2 * np.pi * pitch * partial * since)
                )
    return sound.astype(np.float32)


def power(frontend: VariableQ, samples: np.ndarray) -> np.ndarray:
    return frontend(torch.from_numpy(samples)[None])[0].double().exp().numpy() - frontend.floor


@pytest.mark.parametrize("gamma", [0.0, None, 20.0])
def test_it_is_the_definition(gamma: float | None) -> None:
    """Brown (1991) in a loop: one window, one tone, one sum per band and frame."""
    b, f_min, hop, samples = 5, 300.0, 90, noise(0.2)
    got = power(VariableQ(RATE, hop=hop, n_bins=12, bins_per_octave=b, f_min=f_min, gamma=gamma), samples)
    ratio = 2 ** (2 / b)
    alpha = (ratio - 1) / (ratio + 1)
    wider = 24.7 * alpha / 0.108 if gamma is None else gamma
    padded = np.pad(samples.astype(np.float64), RATE // 10, mode="reflect")
    for band, frame in np.ndindex(12, 1 + len(samples) // hop):
        frequency = f_min * 2 ** (band / b)
        length = RATE / (alpha * frequency + wider)
        reach = math.ceil(length / 2) - 1
        m = np.arange(-reach, reach + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * m / length)
        here = padded[RATE // 10 + frame * hop + m]
        value = np.sum(here * window * np.exp(-2j * np.pi * frequency * m / RATE)) / window.sum()
        assert got[band, frame] == pytest.approx(length * abs(value) ** 2, rel=2e-3, abs=1e-9)


def librosa_power(samples: np.ndarray, hop: int, gamma: float | None, **options: float) -> np.ndarray:
    given = {"sr": RATE, "hop_length": hop, "fmin": C1, "n_bins": 84, "bins_per_octave": 12, "sparsity": 0} | options
    return np.abs(librosa().vqt(samples.astype(np.float64), gamma=gamma, **given)) ** 2


def off_the_edges(frames: np.ndarray, hop: int) -> np.ndarray:
    """Without the longest window at either end, which librosa fills with zeros and this frontend with a mirror."""
    edge = math.ceil(0.53 * RATE / hop / 2) + 1
    return frames[:, edge:-edge]


def both(samples: np.ndarray, hop: int, gamma: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes off the edges: this frontend's and librosa's."""
    kind = ConstantQ(hop=hop, floor=1e-12) if gamma == 0 else VariableQ(hop=hop, gamma=gamma, floor=1e-12)
    want = np.sqrt(off_the_edges(librosa_power(samples, hop, gamma), hop))
    got = np.sqrt(off_the_edges(power(kind, samples), hop).clip(min=0))[:, : want.shape[1]]
    return got, want


# With an odd hop librosa does not resample between octaves: what is left is its window, half a sample off the centre.
@pytest.mark.parametrize(
    ("gamma", "hop", "sound", "within"),
    [
        (0.0, 256, "notes", 0.05),
        (0.0, 251, "notes", 0.01),
        (0.0, 256, "noise", 0.05),
        (0.0, 251, "noise", 0.03),
        (None, 251, "notes", 0.01),
        (None, 251, "noise", 0.03),
    ],
)
def test_every_band_with_sound_is_librosas(gamma: float | None, hop: int, sound: str, within: float) -> None:
    got, want = both(notes() if sound == "notes" else noise(3.0), hop, gamma)
    energy = np.linalg.norm(want, axis=1)
    heard = energy > 0.1 * energy.max()
    assert heard.sum() > 20
    assert (np.linalg.norm(got - want, axis=1) / energy)[heard].max() < within


@pytest.mark.parametrize(("hop", "share"), [(256, 0.99), (251, 1.0)])
def test_values_within_20_db_of_the_loudest_are_librosas_within_five_percent(hop: int, share: float) -> None:
    got, want = both(notes(), hop, 0.0)
    loud = want > 0.1 * want.max()
    assert loud.sum() > 2000
    assert (np.abs(got - want)[loud] < 0.05 * want[loud]).mean() >= share


@pytest.mark.parametrize("kind", [ConstantQ, VariableQ])
@pytest.mark.parametrize("band", [12, 33, 60, 83])
def test_a_tone_has_the_power_its_docstring_says_in_its_band_and_little_elsewhere(
    kind: type[VariableQ], band: int
) -> None:
    frontend, frequency = kind(), C1 * 2 ** (band / 12)
    tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(2 * RATE) / RATE)
    middle = power(frontend, tone.astype(np.float32))[:, 60:65].mean(axis=1)
    alpha = (2 ** (2 / 12) - 1) / (2 ** (2 / 12) + 1)
    length = RATE / (alpha * frequency + (24.7 * alpha / 0.108 if kind is VariableQ else 0.0))
    assert middle.argmax() == band
    assert middle[band] == pytest.approx(0.25 * length / 4, rel=0.01)
    if kind is ConstantQ:
        far = np.abs(np.arange(84) - band) > 4
        assert middle[far].max() < 1e-4 * middle[band]


def test_white_noise_is_flat_and_the_floor_lies_where_its_docstring_says() -> None:
    level = power(VariableQ(floor=1e-30), noise(12.0)).mean(axis=1) / 0.01
    np.testing.assert_allclose(level, 1.5, rtol=0.4)
    assert level.mean() == pytest.approx(1.5, rel=0.05)
    rounding = 1.5 * (1 / 32768) ** 2 / 12
    assert 10 * math.log10(1e-7 / rounding) == pytest.approx(29, abs=0.5)


def test_a_click_is_short_in_the_bass_of_the_variable_transform() -> None:
    click = np.zeros(2 * RATE, np.float32)
    click[RATE] = 1.0
    lasting = [(power(kind(), click)[0] > 1e-8).sum() * 256 / RATE for kind in (ConstantQ, VariableQ)]
    assert lasting[0] == pytest.approx(0.53, abs=0.1)
    assert lasting[1] == pytest.approx(0.066, abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"n_bins": 96},
            "n_bins=96 of 12 an octave from f_min=32.7032 Hz pass half the sample rate, 8000 Hz: at most 95",
        ),
        ({"n_bins": 0}, "n_bins=0"),
        ({"bins_per_octave": 0}, "bins_per_octave=0"),
        ({"f_min": 0.0}, "f_min=0"),
        ({"f_min": 9000.0}, "at most 0 fit"),
        ({"hop": 0}, "hop must be >= 1 sample, got 0"),
        ({"floor": -1.0}, "floor must be > 0"),
        ({"gamma": -1.0}, "gamma >= 0 Hz .* gamma=-1"),
    ],
)
def test_options_that_make_no_transform_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VariableQ(**options)


def test_the_stated_number_of_bands_fits() -> None:
    with pytest.raises(ValueError, match="at most 95 fit"):
        ConstantQ(n_bins=96)
    assert ConstantQ(n_bins=95).bands == 95


@pytest.mark.music
def test_parity_with_librosa_on_real_music(music: Path) -> None:
    path = min(p for p in music.rglob("*") if p.suffix == ".mp3")
    samples = decode(path, RATE, duration_s=10.0)
    got, want = both(samples, 256, 0.0)
    assert np.linalg.norm(got - want) < 0.05 * np.linalg.norm(want)
