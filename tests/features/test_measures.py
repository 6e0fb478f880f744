"""Tempo, key and loudness: clicks, scales and tones with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from mirclr.audio.synth_theory import KEYS, PITCHES, SCALES
from mirclr.features.loudness import SILENCE, _k_weighting, loudness
from mirclr.features.measurer import LISTEN_S, Measurer
from mirclr.features.measures import SIZES
from mirclr.seeds import generator

RATE = 16_000


def clicks(tempo: float, seconds: float = 30.0) -> np.ndarray:
    """A burst of noise on every beat, each fourth one louder."""
    out = np.zeros(round(seconds * RATE), np.float32)
    burst = generator(0, "burst").normal(0, 0.1, 320) * np.hanning(320)
    for beat, time in enumerate(np.arange(0, seconds - 0.1, 60 / tempo)):
        out[round(time * RATE) :][:320] += ((2 if beat % 4 == 0 else 1) * burst).astype(np.float32)
    return out


def tonic_chords(key: str) -> np.ndarray:
    """The scale's triads on I, IV, V and I, two seconds each, four partials a note."""
    pitch, mode = key.split()
    time, scale = np.arange(2 * RATE) / RATE, SCALES[mode]
    chords = []
    for degree in (0, 3, 4, 0):
        notes = [scale[(degree + step) % 7] for step in (0, 2, 4)]
        pitches = [440 * 2 ** ((60 + PITCHES.index(pitch) + note - 69) / 12) for note in notes]
        chords.append(sum(np.sin(2 * np.pi * f * n * time) / n for f in pitches for n in range(1, 5)))
    return (0.1 * np.concatenate(chords)).astype(np.float32)


@pytest.mark.parametrize("tempo", [61.3, 84.0, 97.7, 120.0, 143.21, 171.0])
def test_the_tempo_of_clicks_is_read_between_frames(tempo: float) -> None:
    measured = Measurer(RATE).measure([(0.0, clicks(tempo))])
    assert measured is not None
    assert measured.tempo == pytest.approx(tempo, rel=0.003)


@pytest.mark.parametrize("key", KEYS)
def test_the_key_of_a_cadence_is_its_tonic_and_mode(key: str) -> None:
    measured = Measurer(RATE).measure([(0.0, tonic_chords(key))])
    assert measured is not None
    assert measured.key == key


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_noise_has_no_tempo_and_silence_no_key_either(level: float) -> None:
    sound = generator(1).normal(0, 1, 30 * RATE).astype(np.float32)
    measured = Measurer(RATE).measure([(0.0, np.float32(level) * sound)])
    assert measured is not None
    assert np.isnan(measured.tempo)
    assert (measured.key is None) == (level == 0)
    assert {name: len(getattr(measured, name)) for name in SIZES} == SIZES
    assert all(np.isfinite(getattr(measured, name)).all() for name in SIZES)


def test_what_is_no_number_is_not_measured() -> None:
    assert Measurer(RATE).measure([(0.0, np.full(RATE, np.nan, np.float32))]) is None


def test_the_middle_of_the_middle_piece_is_measured_and_all_of_it_is_loud() -> None:
    loud, quiet = clicks(100, LISTEN_S), 0.01 * clicks(140, LISTEN_S)
    pieces = [(0.0, quiet), (60.0, np.concatenate([quiet, loud, quiet])), (200.0, quiet)]
    measured = Measurer(RATE).measure(pieces)
    assert measured is not None
    assert measured.tempo == pytest.approx(100, rel=0.003)
    assert measured.energy == loudness([samples for _, samples in pieces], RATE)


def test_weighting_at_48_khz_is_the_recommendations() -> None:
    """ITU-R BS.1770-4, tables 1 and 2."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, 1, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(_k_weighting(48_000), [shelf, high_pass], atol=1e-8)


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_loudness_of_a_sine_is_the_recommendations_and_follows_gain(rate: int) -> None:
    time = np.arange(5 * rate) / rate
    sine = np.sin(2 * np.pi * 997 * time).astype(np.float32)
    assert loudness([sine], rate) == pytest.approx(-3.01, abs=0.05)
    assert loudness([sine * 0.1], rate) == pytest.approx(loudness([sine], rate) - 20, abs=0.01)


def test_pauses_do_not_count_and_silence_is_the_gate() -> None:
    tone = np.sin(np.arange(4 * RATE) / 3).astype(np.float32)
    assert loudness([tone, np.zeros(20 * RATE, np.float32)], RATE) == pytest.approx(loudness([tone], RATE), abs=0.01)
    assert loudness([np.zeros(RATE, np.float32)], RATE) == SILENCE
    assert loudness([tone[:100]], RATE) > SILENCE
