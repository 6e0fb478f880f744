"""Handcrafted descriptors: chords, clicks and transpositions with known answers, block by block."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mirclr.compiled import librosa
from mirclr.features import descriptors, handcrafted
from mirclr.features.descriptors import CHROMA_HOP, CHROMA_WINDOW, TEMPI, Descriptors
from mirclr.features.handcrafted import MfccStatistics
from mirclr.seeds import generator

RATE = 16_000
C_MAJOR = (60, 64, 67)
C_MINOR = (60, 63, 67)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return generator(seed, "noise").normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def chord(notes: tuple[int, ...], seconds: float = 4.0) -> np.ndarray:
    """MIDI notes, each with four partials."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitches = [440 * 2 ** ((note - 69) / 12) for note in notes]
    return sum(np.sin(2 * np.pi * f * n * time) / n for f in pitches for n in range(1, 5)).astype(np.float32)


def clicks(tempo: float, seconds: float = 20.0) -> np.ndarray:
    """A short burst of noise on every beat."""
    out, burst = np.zeros(round(seconds * RATE), np.float32), noise(0.02) * np.hanning(round(0.02 * RATE))
    for beat in np.arange(0, seconds - 0.1, 60 / tempo):
        first = round(beat * RATE)
        out[first : first + len(burst)] += burst.astype(np.float32)
    return out


def blocks(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Timbre, harmony and rhythm."""
    extractor = Descriptors(RATE)
    first, second, _ = np.cumsum(extractor.blocks)
    vector = extractor.segments(sound)[0][0]
    return vector[:first], vector[first:second], vector[second:]


@pytest.mark.parametrize("tempo", [60, 90, 120, 150, 180, 240])
def test_clicks_are_strongest_at_their_own_tempo(tempo: int) -> None:
    rhythm = blocks(clicks(tempo))[2]
    strongest = TEMPI[rhythm.argmax()]
    assert abs(np.log2(strongest / tempo)) < 0.5 / 12 + 0.01  # the nearest of steps of 6 %
    assert rhythm.max() > 0.6


def test_a_faster_version_is_the_same_curve_moved() -> None:
    slow, fast = blocks(clicks(90))[2], blocks(clicks(180))[2]
    assert fast.argmax() - slow.argmax() == 12
    assert np.corrcoef(slow[12:25], fast[24:])[0, 1] > 0.8
    assert (slow[fast.argmax()] < 0, fast[fast.argmax()] > 0.9) == (True, True)


def test_the_tempogram_is_the_mean_of_librosas_local_autocorrelations() -> None:
    onsets = generator(0, "onsets").random(600)
    window = 200
    mine = descriptors._autocorrelation(onsets, window)
    expected = []
    for start in range(0, 600 - window + 1, window // 4):
        part = onsets[start : start + window]
        correlation = librosa().autocorrelate((part - part.mean()) * np.hanning(window))
        expected.append(correlation / correlation[0])
    np.testing.assert_allclose(mine, np.mean(expected, axis=0), atol=1e-10)


def test_noise_and_a_held_chord_have_no_tempo() -> None:
    assert np.abs(blocks(noise(20))[2]).max() < 0.2
    assert blocks(clicks(120))[2].max() > 0.6


def test_the_notes_of_a_chord_are_the_highest_pitch_classes() -> None:
    pitch_classes = blocks(chord(C_MAJOR))[1][:12]
    assert set(np.argsort(pitch_classes)[-3:]) == {0, 4, 7}
    assert pitch_classes.sum() == pytest.approx(1)
    assert set(np.argsort(blocks(chord((69,)))[1][:12])[-1:]) == {9}


@pytest.mark.parametrize("semitones", [1, 3, 7])
def test_transposing_rotates_the_chroma_and_leaves_the_relations(semitones: int) -> None:
    home = blocks(chord(C_MAJOR))[1]
    away = blocks(chord(tuple(note + semitones for note in C_MAJOR)))[1]
    np.testing.assert_allclose(away[:12], np.roll(home[:12], semitones), atol=0.02)
    np.testing.assert_allclose(away[12:18], home[12:18], atol=0.03)
    other = blocks(chord((60, 61, 62)))[1]
    assert np.abs(other[12:18] - home[12:18]).max() > 0.2  # a cluster is another harmony in any key


def test_harmony_that_changes_has_a_deviation() -> None:
    held = blocks(chord(C_MAJOR, 8))[1]
    moving = blocks(np.concatenate([chord(C_MAJOR, 4), chord((60, 61, 62), 4)]))[1]
    assert moving[18:].max() > 5 * held[18:].max()


def test_major_and_minor_on_one_root_share_what_is_key_and_differ_in_one_class() -> None:
    major, minor = (blocks(chord(notes))[1][:12] for notes in (C_MAJOR, C_MINOR))
    assert set(np.argsort(np.abs(major - minor))[-2:]) == {3, 4}


@pytest.mark.parametrize("gain", [1e-3, 0.1, 8.0])
def test_gain_changes_nothing(gain: float) -> None:
    sound = clicks(100, 6) + chord(C_MAJOR, 6) * 0.05
    plain, changed = (Descriptors(RATE).segments(np.float32(g) * sound)[0] for g in (1.0, gain))
    np.testing.assert_allclose(changed, plain, atol=2e-2, rtol=1e-4)


def test_a_quiet_room_around_the_music_has_no_harmony() -> None:
    quiet = 1e-4 * noise(20, seed=1)
    music = chord(C_MAJOR, 4)
    around = np.concatenate([quiet, music, quiet])
    np.testing.assert_allclose(blocks(around)[1][:12], blocks(music)[1][:12], atol=0.02)


def test_timbre_is_mfcc_statistics_at_one_loudness() -> None:
    sound = noise(3)
    same = sound * np.float32(0.1 / np.sqrt(np.mean(sound.astype(float) ** 2)))
    np.testing.assert_allclose(blocks(sound)[0], MfccStatistics(RATE).segments(same)[0][0], atol=1e-3)


def test_blocks_equal_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = noise(20)
    whole = Descriptors(RATE).segments(sound)[0]
    monkeypatch.setattr(handcrafted.centred_blocks, "__defaults__", (37,))
    monkeypatch.setattr(descriptors, "BLOCK_FRAMES", 44)
    np.testing.assert_allclose(Descriptors(RATE).segments(sound)[0], whole, atol=1e-4)


def test_chroma_is_librosas_up_to_the_scale_of_frames() -> None:
    sound = chord(C_MAJOR) + noise(4)
    mine = Descriptors(RATE)._chroma(sound)
    options = {"n_fft": CHROMA_WINDOW, "hop_length": CHROMA_HOP}
    magnitude = np.abs(librosa().stft(sound, **options))
    theirs = librosa().feature.chroma_stft(S=magnitude, sr=RATE, n_fft=CHROMA_WINDOW, norm=1, tuning=0.0)
    np.testing.assert_allclose(mine, theirs, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 100, RATE - 1])
def test_short_sound_is_repeated_to_one_second(samples: int) -> None:
    sound = noise(1)[:samples]
    short, starts = Descriptors(RATE).segments(sound)
    np.testing.assert_array_equal(short, Descriptors(RATE).segments(np.resize(sound, RATE))[0])
    assert np.isfinite(short).all()
    assert (short.dtype, starts.tolist()) == (np.float32, [0.0])


def test_silence_is_finite_and_has_neither_harmony_nor_rhythm() -> None:
    _, harmony, rhythm = blocks(np.zeros(2 * RATE, np.float32))
    assert not harmony.any()
    assert not rhythm.any()


def test_weights_give_every_block_the_same_length() -> None:
    extractor = Descriptors(RATE)
    drawn = generator(0, "standardised").normal(size=(2000, extractor.dim)) * extractor.weights
    parts = np.split(drawn, np.cumsum(extractor.blocks)[:-1], axis=1)
    assert sum(extractor.blocks) == extractor.dim == len(extractor.segments(noise(1))[0][0])
    np.testing.assert_allclose([(part**2).sum(axis=1).mean() for part in parts], 1, rtol=0.05)


def test_threads_give_the_same_vectors_as_a_loop() -> None:
    extractor = Descriptors(RATE)
    sounds = [noise(2, seed=i) for i in range(6)]
    with ThreadPoolExecutor(3) as pool:
        threaded = list(pool.map(lambda s: extractor.segments(s)[0], sounds))
    np.testing.assert_array_equal(threaded, [extractor.segments(s)[0] for s in sounds])


def test_the_fingerprint_tells_rates_and_descriptors_apart() -> None:
    assert Descriptors(16_000).fingerprint == Descriptors(16_000).fingerprint
    assert len({Descriptors(16_000).fingerprint, Descriptors(22_050).fingerprint, MfccStatistics().fingerprint}) == 3


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(T,\) samples"):
        Descriptors(RATE).segments(np.zeros(shape, np.float32))


def test_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="sample_rate must be positive, got 0"):
        Descriptors(0)
