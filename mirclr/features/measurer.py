"""What anybody can measure of a track: tempo, key, loudness, and handcrafted vectors of timbre, rhythm and harmony.

An encoder says how alike two tracks are; these say in which way, in words a listener uses, and need no training. The
vectors are the blocks of `mirclr.features.descriptors`.

- *tempo*: of the lags of the onsets' autocorrelation the one that is strong with its multiples, weighted by how people
  tap, a bell over log tempo about 120 beats a minute (Ellis, "Beat tracking by dynamic programming", JNMR 36(1), 2007),
  then read between frames off the parabola through the highest multiple. Octave errors are the method's known fault.
- *key*: of 24 profiles of pitch classes the one that correlates most with the mean chroma (Krumhansl, "Cognitive
  foundations of musical pitch", 1990), profiles of Albrecht and Shanahan ("The use of large corpora to train a new type
  of key-finding algorithm", Music Perception 31(1), 2013).
- *energy*: integrated loudness, LUFS (ITU-R BS.1770-4), of the mono sound at the encoder's rate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from mirclr.audio.synth_theory import KEYS
from mirclr.errors import AudioError
from mirclr.features.descriptors import Descriptors
from mirclr.features.extractor import Pieces
from mirclr.features.hearing import hearings, in_threads, quarantined
from mirclr.features.loudness import loudness
from mirclr.features.measures import Measures
from mirclr.reports import Progress, Work

LISTEN_S = 30.0  # of the middle: enough for a tempo and a key, a quarter of the work of two minutes
SLOWEST, FASTEST = 40.0, 240.0  # beats a minute
TAPPED, SPREAD = 120.0, 0.9  # beats a minute; octaves
MULTIPLES = np.arange(1, 5)
PULSE = 0.1  # autocorrelation below which there is no beat to count: white noise reaches 0.05
TONAL = 1e-6  # deviation of the mean chroma below which no pitch class stands out
MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
PROFILES = np.array([np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)])


class Measurer:
    """Measures sound of one rate. `fingerprint` differs whenever the measures would. Safe in threads."""

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` in Hz. Raises ValueError when it is not positive."""
        self._descriptors = Descriptors(sample_rate)
        self.sample_rate = sample_rate
        settings = f"measures 1 {self._descriptors.fingerprint} {LISTEN_S} {TAPPED} {SPREAD} {PULSE} {MAJOR} {MINOR}"
        self.fingerprint = hashlib.blake2b(settings.encode(), digest_size=16).hexdigest()

    def measure(self, pieces: Pieces) -> Measures | None:
        """The measures of a file by what is heard of it; None for samples that are not finite numbers.

        Loudness is that of all pieces, the rest that of `LISTEN_S` seconds in the middle of the middle piece. Raises
        ValueError on no pieces or an empty one.
        """
        if not all(np.isfinite(samples).all() for _, samples in pieces):
            return None
        heard = self._descriptors.describe(self._middle(pieces))
        return Measures(
            tempo_of(heard.autocorrelation, self._descriptors.frame_rate),
            key_of(heard.harmony[:12]),
            loudness([samples for _, samples in pieces], self.sample_rate),
            *(np.asarray(block, np.float32) for block in (heard.timbre, heard.rhythm, heard.harmony)),
        )

    def _middle(self, pieces: Pieces) -> np.ndarray:
        samples = pieces[len(pieces) // 2][1]
        first = max(0, (len(samples) - round(LISTEN_S * self.sample_rate)) // 2)
        return samples[first : len(samples) - first]


def key_of(chroma: np.ndarray) -> str | None:
    """The key of a mean chroma `(12,)`, C first; None when no pitch class stands out."""
    if chroma.std() < TONAL:
        return None
    return KEYS[int(np.array([np.corrcoef(chroma, profile)[0, 1] for profile in PROFILES]).argmax())]


def tempo_of(autocorrelation: np.ndarray, frame_rate: float) -> float:
    """Beats a minute, from 40 to 240, of the autocorrelation of onsets by lag in frames; NaN without a beat."""
    lags = np.arange(int(np.ceil(60 * frame_rate / FASTEST)), int(60 * frame_rate / SLOWEST) + 1)
    if autocorrelation[lags].max() < PULSE:
        return float("nan")
    ahead = np.pad(autocorrelation, (0, MULTIPLES[-1] * lags[-1] + 1))  # nothing is known beyond the last lag
    combed = np.maximum(0, (ahead[lags[:, None] * MULTIPLES] / MULTIPLES).sum(axis=1))
    tapped = np.exp(-0.5 * (np.log2(60 * frame_rate / lags / TAPPED) / SPREAD) ** 2)
    lag = float(lags[int((combed * tapped).argmax())])
    for multiple in (1, 2, 4):
        lag = _peak(autocorrelation, lag * multiple, reach=max(1, multiple // 2)) / multiple
    return float(np.clip(60 * frame_rate / lag, SLOWEST, FASTEST))


def _peak(curve: np.ndarray, near: float, reach: int) -> float:
    """Where the parabola through the highest point within `reach` of `near` is highest; `near` where there is none."""
    around = np.arange(round(near) - reach, round(near) + reach + 1)
    if around[0] < 1 or around[-1] + 1 >= len(curve):
        return near
    top = int(around[curve[around].argmax()])
    before, here, after = curve[top - 1 : top + 2]
    bend = before - 2 * here + after
    return top + float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else near


@dataclass(frozen=True, eq=False)
class Measured:
    """`measures` of each row, None where it could not be heard; `quarantine`: rows of those that failed."""

    measures: list[Measures | None]
    quarantine: list[dict[str, str]]


def measure_tracks(
    measurer: Measurer, tracks: pd.DataFrame, workers: int | None = None, max_seconds: float | None = None
) -> Work[Measured]:
    """Measure every row of `tracks`, heard as `embed_tracks` hears them, in `workers` threads (None: all cores)."""
    jobs = (partial(_measure, measurer, hear) for hear in hearings(tracks, measurer.sample_rate, max_seconds))
    done = Measured([], [])
    for row, heard in enumerate(in_threads(jobs, workers)):
        if isinstance(heard, AudioError):
            done.quarantine.append(quarantined(heard))
        done.measures.append(None if isinstance(heard, AudioError) else heard)
        yield Progress("measure", row + 1, len(tracks))
    return done


def _measure(measurer: Measurer, hear: Callable[[], Pieces]) -> Measures | None:
    return measurer.measure(hear())
