"""Timbre, harmony and rhythm of a track without anything learned: what `--teacher handcrafted` teaches.

Three blocks of a vector, each a classic of music information retrieval:

- *timbre*: the MFCC statistics of mirclr.features.handcrafted, 120 numbers;
- *harmony*: the mean chroma, 12 numbers, which pitch classes sound (C first), and mean and deviation over time of the
  magnitudes of its discrete Fourier transform, 6 numbers each, how they stand to each other (Quinn, "General
  equal-tempered harmony", Perspectives of New Music 2006). Transposing rotates the first and leaves the others: key is
  told, and so is what is the same in any key;
- *rhythm*: the mean autocorrelation tempogram (Grosche, Mueller and Kurth, "Cyclic tempogram", ICASSP 2010) on a
  logarithmic axis of tempo, 40 to 320 beats a minute in steps of 6 %, 37 numbers. A faster version is the same curve
  moved. Octaves are not folded: 70 and 140 are different music.

The sound is brought to one loudness first, so that mastering is no part of the vector.
"""

from __future__ import annotations

import functools
import hashlib
from typing import NamedTuple

import numpy as np

from mirclr.compiled import librosa
from mirclr.features.handcrafted import BLOCK_FRAMES, MfccStatistics, audible, centred_blocks

CHROMA_WINDOW, CHROMA_HOP = 4096, 2048  # 256 ms at 16 kHz: parts semitones from A2 up; harmony moves slower than 8 Hz
AUDIBLE = 1e-3  # of the loudest frame, 60 dB down: what is softer is a room, and has no harmony
FLUX_WINDOW, FLUX_HOP, FLUX_BANDS = 1024, 256, 40  # 16 ms: at 320 beats a minute a beat is 12 frames
TEMPI = 40.0 * 2 ** (np.arange(37) / 12)  # beats a minute, three octaves
SMOOTH = np.hanning(9)[1:-1] / 4  # over 64 ms: a click falls between frames, and players are not clocks
LISTEN_S = 8.0  # a window of the tempogram: five beats at the slowest tempo
FLOOR_DB = 80.0


class Described(NamedTuple):
    """Blocks of a sound: `timbre` (120,), `harmony` (24,), `rhythm` (37,), and the `autocorrelation` of its onsets, by
    lag in frames, that the rhythm was read from; float64."""

    timbre: np.ndarray
    harmony: np.ndarray
    rhythm: np.ndarray
    autocorrelation: np.ndarray


class Descriptors:
    """An `Extractor` of one `(181,)` vector for the whole track, without parameters to learn. Safe in threads.

    `blocks`: the sizes of timbre, harmony and rhythm, in this order.
    """

    name = "MFCC, chroma and tempogram"

    def __init__(self, sample_rate: int = 16_000) -> None:
        """`sample_rate` in Hz; the vectors depend on it. Raises ValueError when it is not positive."""
        self._timbre = MfccStatistics(sample_rate)
        self.sample_rate = sample_rate
        self.blocks = (self._timbre.dim, 24, len(TEMPI))
        self.dim = sum(self.blocks)
        harmony = f"chroma 1 {CHROMA_WINDOW} {CHROMA_HOP} {AUDIBLE}"
        onsets = f"onsets 1 {FLUX_WINDOW} {FLUX_HOP} {FLUX_BANDS} {FLOOR_DB} {len(SMOOTH)}"
        rhythm = f"tempogram 1 {onsets} {LISTEN_S} {TEMPI.tolist()}"
        settings = f"{self._timbre.fingerprint} {harmony} {rhythm}"
        self.fingerprint = hashlib.blake2b(settings.encode(), digest_size=16).hexdigest()

    @property
    def weights(self) -> np.ndarray:
        """`(181,)` factors for standardised vectors: each block then has the same length on average, whatever its
        size."""
        sizes = np.array(self.blocks)
        return np.repeat(1 / np.sqrt(sizes), sizes)

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` float32 samples to one `(1, 181)` float32 vector starting at 0 s.

        Any T >= 1; sound shorter than a second is repeated to one second. Silence gives a finite constant vector.
        Raises ValueError on no samples or other shapes.
        """
        return np.concatenate(self.describe(samples)[:3])[None, :].astype(np.float32), np.zeros(1)

    @property
    def frame_rate(self) -> float:
        """Frames a second of the onsets' autocorrelation."""
        return self.sample_rate / FLUX_HOP

    def describe(self, samples: np.ndarray) -> Described:
        """The blocks of `segments`, one by one, for the same `samples`."""
        sound = _at_one_loudness(audible(samples, self.sample_rate))
        lags = _autocorrelation(self._onsets(sound), round(LISTEN_S * self.frame_rate))
        rhythm = np.interp(60 / TEMPI * self.frame_rate, np.arange(len(lags)), lags)
        return Described(self._timbre.segments(sound)[0][0], self._harmony(sound), rhythm, lags)

    def _harmony(self, samples: np.ndarray) -> np.ndarray:
        """`(T,)` samples to `(24,)`: mean chroma, mean and deviation of its Fourier magnitudes 1 to 6."""
        chroma = self._chroma(samples)
        if not chroma.size:
            return np.zeros(24)
        relations = np.abs(np.fft.rfft(chroma, axis=0)[1:])
        return np.concatenate([chroma.mean(axis=1), relations.mean(axis=1), relations.std(axis=1)])

    def _chroma(self, samples: np.ndarray) -> np.ndarray:
        """`(T,)` samples to `(12, N)`: shares of the pitch classes in the magnitude of every audible frame.

        At concert pitch: a record that is a quarter-tone off lies between two classes.
        """
        filters = librosa().filters.chroma(sr=self.sample_rate, n_fft=CHROMA_WINDOW, tuning=0.0)
        stft = functools.partial(librosa().stft, n_fft=CHROMA_WINDOW, hop_length=CHROMA_HOP, center=False)
        blocks = centred_blocks(samples, CHROMA_WINDOW, CHROMA_HOP, frames=BLOCK_FRAMES // 4)
        raw = np.concatenate([filters @ np.abs(stft(block)) for block in blocks], axis=1)
        loud = raw.sum(axis=0)
        heard = loud > AUDIBLE * loud.max()
        return np.asarray(raw[:, heard] / loud[heard])

    def _onsets(self, samples: np.ndarray) -> np.ndarray:
        """`(T,)` samples to the `(N,)` mean rise in decibels of the mel bands, frame by frame, smoothed."""
        mel = functools.partial(
            librosa().feature.melspectrogram, sr=self.sample_rate, n_fft=FLUX_WINDOW, hop_length=FLUX_HOP,
            n_mels=FLUX_BANDS, center=False,
        )  # fmt: skip
        power = np.concatenate([mel(y=block) for block in centred_blocks(samples, FLUX_WINDOW, FLUX_HOP)], axis=1)
        decibels = librosa().power_to_db(power, top_db=FLOOR_DB)
        rise = np.maximum(0, np.diff(decibels, axis=1)).mean(axis=0)
        return np.convolve(rise, SMOOTH, mode="same")


def _at_one_loudness(samples: np.ndarray) -> np.ndarray:
    """`(T,)` samples at a root mean square of 0.1; silence as it is."""
    level = np.sqrt(np.einsum("t,t->", samples, samples, dtype=np.float64) / len(samples))
    return samples if level == 0 else (samples * np.float32(0.1 / level)).astype(np.float32)


def _autocorrelation(onsets: np.ndarray, window: int) -> np.ndarray:
    """`(N,)` onsets to the `(window,)` mean autocorrelation of their windows, a quarter apart, each 1 at lag 0.

    Windows in which nothing happens count as 0. Fewer onsets than a window holds are one window with a quiet end.
    """
    padded = np.pad(onsets, (0, max(0, window - len(onsets))))
    views = np.lib.stride_tricks.sliding_window_view(padded, window)[:: max(1, window // 4)]
    centred = (views - views.mean(axis=1, keepdims=True)) * np.hanning(window)
    spectrum = np.fft.rfft(centred, 2 * window, axis=1)
    lags = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :window]
    energy = lags[:, :1]
    return np.asarray(np.divide(lags, energy, out=np.zeros_like(lags), where=energy > 0).mean(axis=0))
