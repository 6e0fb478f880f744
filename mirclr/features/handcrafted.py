"""MFCC statistics: the handcrafted rival every report prints beside a learned encoder.

Mean and standard deviation over time of 20 mel-frequency cepstral coefficients and of their first and second
differences, 120 numbers a track. This is the handcrafted baseline of transfer learning for music (Choi, Fazekas,
Sandler and Cho, "Transfer learning for music classification and regression tasks", ISMIR 2017), so figures are
comparable with the field's. The differences carry what a mean over time forgets: how fast the timbre moves.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from mirclr.compiled import librosa

COEFFICIENTS = 20
WINDOW = 2048  # samples; with HOP librosa's defaults: 128 ms and 32 ms at 16 kHz
HOP = 512
DELTA_FRAMES = 9  # the frames a difference is fitted over (librosa's default)
BLOCK_FRAMES = 4096  # a spectrogram of at most 2 minutes at a time: an hour-long mix stays under 100 MB


class MfccStatistics:
    """An `Extractor` of one `(120,)` vector for the whole track, without parameters to learn. Safe in threads.

    Layout: mean of the 20 MFCC, of the first and of the second differences, then their standard deviations.
    """

    name = "MFCC statistics"

    def __init__(self, sample_rate: int = 16_000) -> None:
        """`sample_rate` in Hz; the vectors depend on it. Raises ValueError when it is not positive."""
        if sample_rate <= 0:
            raise ValueError(f"sample_rate must be positive, got {sample_rate}")
        self.sample_rate = sample_rate
        self.dim = 6 * COEFFICIENTS
        settings = f"mfcc statistics 1 {sample_rate} {COEFFICIENTS} {WINDOW} {HOP} {DELTA_FRAMES}"
        self.fingerprint = hashlib.blake2b(settings.encode(), digest_size=16).hexdigest()

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` float32 samples to one `(1, 120)` float32 vector starting at 0 s.

        Any T >= 1; sound shorter than a second is repeated to one second. Silence gives a finite constant vector.
        Raises ValueError on no samples or other shapes.
        """
        cepstrum = self._mfcc(audible(samples, self.sample_rate))
        vector = _statistics(cepstrum)
        return vector[None, :].astype(np.float32), np.zeros(1)

    def _mfcc(self, samples: np.ndarray) -> np.ndarray:
        """`(T,)` samples to `(20, N)` MFCC, equal to `librosa.feature.mfcc` of the whole track."""
        decibels = librosa().power_to_db(self._mel_power(samples))  # floor 80 dB under the track's loudest band
        return np.asarray(librosa().feature.mfcc(S=decibels, n_mfcc=COEFFICIENTS))

    def _mel_power(self, samples: np.ndarray) -> np.ndarray:
        """`(T,)` samples to `(128, N)` mel power, centred frames, computed a block of frames at a time."""
        mel = functools.partial(librosa().feature.melspectrogram, sr=self.sample_rate, n_fft=WINDOW, hop_length=HOP)
        return np.concatenate([mel(y=block, center=False) for block in centred_blocks(samples, WINDOW, HOP)], axis=1)


def audible(samples: np.ndarray, least: int) -> np.ndarray:
    """`(T,)` samples, repeated to at least `least` of them. Raises ValueError on no samples or other shapes."""
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"expected (T,) samples with T >= 1, got shape {samples.shape}")
    return np.resize(samples, max(samples.size, least))


def centred_blocks(samples: np.ndarray, window: int, hop: int, frames: int = BLOCK_FRAMES) -> list[np.ndarray]:
    """`(T,)` samples, padded with zeros, as stretches of `frames` frames: in a row they are the centred frames of the
    whole."""
    padded, step = np.pad(samples, window // 2), frames * hop
    starts = range(0, 1 + (padded.size - window) // hop * hop, step)
    return [padded[start : start + step - hop + window] for start in starts]


def _statistics(cepstrum: np.ndarray) -> np.ndarray:
    """`(C, N)` coefficients over time to the `(6 C,)` means and deviations of value, slope and curvature."""
    slope = librosa().feature.delta(cepstrum, width=DELTA_FRAMES, order=1)
    curvature = librosa().feature.delta(cepstrum, width=DELTA_FRAMES, order=2)
    moving = np.concatenate([cepstrum, slope, curvature])
    return np.concatenate([moving.mean(axis=1), moving.std(axis=1)])
