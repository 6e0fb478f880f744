"""MFCC statistics: parity with librosa, and any length of sound gives one finite vector."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mirclr.compiled import librosa
from mirclr.features.handcrafted import BLOCK_FRAMES, HOP, MfccStatistics
from mirclr.seeds import generator

RATE = 16_000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return generator(seed, samples).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize("samples", [RATE, 3 * RATE + 77, BLOCK_FRAMES * HOP, BLOCK_FRAMES * HOP + 1500])
def test_blocks_equal_librosa_on_the_whole_track(samples: int) -> None:
    sound = noise(samples)
    mfcc = librosa().feature.mfcc(y=sound, sr=RATE, n_mfcc=20)
    parts = [mfcc, librosa().feature.delta(mfcc), librosa().feature.delta(mfcc, order=2)]
    expected = np.concatenate([p.mean(axis=1) for p in parts] + [p.std(axis=1) for p in parts])
    vectors, starts = MfccStatistics(RATE).segments(sound)
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-4, atol=1e-4)
    assert vectors.dtype == np.float32
    assert starts.tolist() == [0.0]


@pytest.mark.parametrize("samples", [1, 100, 2047, 2048, RATE - 1])
def test_short_sound_is_repeated_to_one_second(samples: int) -> None:
    sound = noise(samples)
    short, _ = MfccStatistics(RATE).segments(sound)
    repeated, _ = MfccStatistics(RATE).segments(np.resize(sound, RATE))
    np.testing.assert_array_equal(short, repeated)
    assert np.isfinite(short).all()


def test_silence_is_finite_and_does_not_move() -> None:
    vector = MfccStatistics(RATE).segments(np.zeros(2 * RATE, np.float32))[0][0]
    assert np.isfinite(vector).all()
    np.testing.assert_allclose(vector[20:], 0, atol=1e-3)


def test_gain_moves_only_the_mean_of_the_first_coefficient() -> None:
    sound = noise(2 * RATE)
    quiet, loud = (MfccStatistics(RATE).segments(g * sound)[0][0] for g in (0.5, 1.0))
    assert abs(loud[0] - quiet[0]) > 10
    np.testing.assert_allclose(np.delete(loud, 0), np.delete(quiet, 0), atol=1e-3)


def test_threads_give_the_same_vectors_as_a_loop() -> None:
    extractor = MfccStatistics(RATE)
    sounds = [noise(RATE + i, seed=i) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda s: extractor.segments(s)[0], sounds))
    np.testing.assert_array_equal(threaded, [extractor.segments(s)[0] for s in sounds])


def test_fingerprint_tells_sample_rates_apart() -> None:
    assert MfccStatistics(16_000).fingerprint == MfccStatistics(16_000).fingerprint
    assert MfccStatistics(16_000).fingerprint != MfccStatistics(22_050).fingerprint


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(T,\) samples"):
        MfccStatistics(RATE).segments(np.zeros(shape, np.float32))


def test_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="sample_rate must be positive, got 0"):
        MfccStatistics(0)
