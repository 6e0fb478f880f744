"""Two sounds compared in time: one recording, one piece played anew, or neither.

- *One recording*: how the balance of neighbouring mel bands moves about its own mean of a second, which no gain or
  equaliser and hardly a codec changes, correlates at one lag (the differences are those of Haitsma and Kalker, "A
  highly robust audio fingerprinting system", ISMIR 2002; correlation in place of bits forgives more). Levels of bands
  would not do: two slow pieces in which a note falls now and then correlate to 0.74, their balances to 0.2.
- *One piece*: the longest stretch in which the chroma of both go through the same states, gaps allowed, at any tempo
  and key: the Qmax of their cross recurrence plot at the optimal transposition (Serra, Serra and Andrzejak, "Cross
  recurrence quantification for cover song identification", New Journal of Physics 11, 2009). Divided by the length of
  the shorter one, it is a share of it: chance falls with length, likeness does not.

Where the stretch says that one is faster, the recordings are compared again at that speed. docs/listening.md has what
was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from mirclr.compiled import librosa

RATE = 16_000  # Hz
WINDOW, HOP, BANDS = 1024, 512, 21  # 32 ms a frame
LOWEST, HIGHEST = 100.0, 6000.0  # Hz: what every codec and loudspeaker keeps
FLOOR_DB = 70.0  # below the loudest moment: what is softer is a codec's noise
AROUND = 31  # frames, a second
CHROMA_WINDOW, CHROMA_HOP = 4096, 1600
CHROMA_FRAMES = 4  # of 0.1 s are one state's worth of 0.4 s
STACKED = 5  # frames make a state, 2 s
AUDIBLE = 1e-3  # of the loudest frame, 60 dB down: what is softer is a room, and has no harmony
NEIGHBOURS = 0.1  # share of the other's states that count as the same, mutually; as published
GAP_ONSET, GAP_EXTEND = 5.0, 0.5  # as published
TRANSPOSITIONS = 2  # the likeliest ones are tried, as the authors advise
LEAST_STATES = 60  # 24 s: as long a sound a shorter one counts for, or chance would make versions of jingles
LEAST_SHARE, LEAST_S = 0.4, 8.0  # of the shorter sound, and seconds, have to lie over each other
EXCERPT_S = 40.0  # compared at another speed: so long a stretch forgives half a per mille of error
PACES = np.arange(-50, 51) * 1e-3  # about the estimate: real songs are off by 1 %, a vamp on two chords by more
SAME_RECORDING = 0.56  # correlation: see docs/listening.md for what was measured
SAME_PIECE = 0.6  # share


@dataclass(frozen=True, eq=False)
class Heard:
    """What is kept of a sound: `bands` (20, N) float16, 31.25 frames a second, each of mean 0 and deviation 1 (0 where
    nothing moves); `chroma` (12, M) float32, 2.5 a second, C first, at the sound's own tuning."""

    bands: np.ndarray
    chroma: np.ndarray


@dataclass(frozen=True)
class Match:
    """How two sounds are alike.

    `recording`: correlation, -1..1, where the second fits the first best; `offset`: seconds into the first at which the
    second begins there; `speed`: of the second as a multiple of the first's. `piece`: the share, 0..1, of the shorter
    sound, or of 24 s, that both go through alike; `semitones`: by which the second is higher, -5..6.
    """

    recording: float
    offset: float
    speed: float = 1.0
    piece: float = 1.0
    semitones: int = 0


def hear(samples: np.ndarray) -> Heard:
    """`(T,)` float32 at `RATE` as it is compared; T >= 1. What is not a number counts as silence."""
    sound = np.nan_to_num(np.pad(samples, (0, max(0, CHROMA_WINDOW - len(samples)))))
    power = librosa().feature.melspectrogram(
        y=sound, sr=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS, fmin=LOWEST, fmax=HIGHEST, center=False
    )
    return Heard(_movements(power).astype(np.float16), _chroma(sound))


def compare(first: Heard, second: Heard) -> Match:
    """How alike two sounds are; one recording is taken to be one piece."""
    one, other = first.bands.astype(np.float32), second.bands.astype(np.float32)
    height, lag = correlation(one, other)
    if height >= SAME_RECORDING:
        return Match(height, lag * HOP / RATE)
    share, semitones, path = recurrence(first.chroma, second.chroma)
    found = Match(height, lag * HOP / RATE, 1.0, share, semitones)
    return found if share < SAME_PIECE else _at_its_pace(one, other, path, found)


def correlation(first: np.ndarray, second: np.ndarray, least_share: float = LEAST_SHARE) -> tuple[float, int]:
    """The highest normalised correlation of `(B, N)` with `(B, M)` over all lags at which enough of them overlaps, and
    that lag: the frame of the first at which the second begins. (0, 0) where nothing moves."""
    (_, n), (_, m) = first.shape, second.shape
    size = scipy.fft.next_fast_len(n + m, real=True)
    spectra = [scipy.fft.rfft(bands, size, axis=1) for bands in (first, second)]
    products = scipy.fft.irfft(np.einsum("bf,bf->f", spectra[0], spectra[1].conj()), size)
    lags = np.arange(1 - m, n)
    begin, end = np.maximum(0, lags), np.minimum(n, m + lags)
    shorter = min(n, m)
    wide = end - begin >= max(1, min(shorter, max(least_share * shorter, LEAST_S * RATE / HOP)))
    lags, begin, end = lags[wide], begin[wide], end[wide]
    one, other = (
        np.pad(np.cumsum(np.square(bands).sum(axis=0, dtype=np.float64)), (1, 0)) for bands in (first, second)
    )
    scale = np.sqrt((one[end] - one[begin]) * (other[end - lags] - other[begin - lags]))
    heights = np.divide(products[lags], scale, out=np.zeros(len(lags)), where=scale > 1e-3 * n)
    top = int(heights.argmax())
    return float(heights[top]), int(lags[top])


def recurrence(first: np.ndarray, second: np.ndarray) -> tuple[float, int, np.ndarray]:
    """Qmax of two chroma sequences `(12, N)` and `(12, M)` as a share of the shorter (or of 24 s), by how many
    semitones the second is higher, and the path `(P, 2)` of their frames; 0, 0 and none where one is too short."""
    if min(first.shape[1], second.shape[1]) < 2 * STACKED:
        return 0.0, 0, np.zeros((0, 2), int)
    best = 0.0, 0, np.zeros((0, 2), int)
    states = _states(first)
    shorter = min(int(sequence.any(axis=1).sum()) for sequence in (states, _states(second)))
    for turn in _transpositions(first, second):
        alike = _recurrent(states, _states(np.roll(second, turn, axis=0)))
        values, path = librosa().sequence.rqa(alike, gap_onset=GAP_ONSET, gap_extend=GAP_EXTEND)
        share = float(values.max()) / max(LEAST_STATES, shorter)
        if share > best[0]:
            best = min(1.0, share), (5 - turn) % 12 - 5, path
    return best


def _movements(power: np.ndarray) -> np.ndarray:
    """`(B, N)` mel power to `(B - 1, N)`: decibels from band to band against the second around, mean 0, deviation 1."""
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    balance = np.diff(np.maximum(decibels, decibels.max() - FLOOR_DB), axis=0)
    padded = np.pad(balance, ((0, 0), (AROUND // 2 + 1, AROUND // 2)), mode="edge")
    sums = np.cumsum(padded, axis=1, dtype=np.float64)
    moved = balance - (sums[:, AROUND:] - sums[:, :-AROUND]) / AROUND
    moved -= moved.mean(axis=1, keepdims=True)
    spread = moved.std(axis=1, keepdims=True)
    return np.divide(moved, spread, out=np.zeros_like(moved), where=spread > 1e-3)


def _chroma(samples: np.ndarray) -> np.ndarray:
    """`(T,)` samples to `(12, M)`: log-compressed magnitudes by pitch class, tuned to the sound itself."""
    magnitude = np.abs(librosa().stft(samples, n_fft=CHROMA_WINDOW, hop_length=CHROMA_HOP))
    magnitude /= max(float(magnitude.max()), 1e-9)
    loud = magnitude.sum(axis=0)
    magnitude[:, loud <= AUDIBLE * loud.max()] = 0
    filters = librosa().filters.chroma(sr=RATE, n_fft=CHROMA_WINDOW, tuning=_tuning(magnitude[:, ::2]))
    classes = filters @ np.log1p(100 * magnitude)
    count = classes.shape[1] // CHROMA_FRAMES
    return np.asarray(classes[:, : count * CHROMA_FRAMES].reshape(12, count, CHROMA_FRAMES).mean(axis=2), np.float32)


def _tuning(magnitude: np.ndarray) -> float:
    """How many semitones (-0.5..0.5) a spectrogram lies above concert pitch; 0 where nothing has a pitch.

    `librosa.estimate_tuning`, which warns of noise.
    """
    pitches, heights = librosa().piptrack(S=magnitude, sr=RATE, n_fft=CHROMA_WINDOW)
    pitched = pitches > 0
    if not pitched.any():
        return 0.0
    return float(librosa().pitch_tuning(pitches[pitched & (heights >= np.median(heights[pitched]))]))


def _transpositions(first: np.ndarray, second: np.ndarray) -> list[int]:
    """The turns of the second's pitch classes after which its mean chroma is most like the first's."""
    one, other = first.mean(axis=1), second.mean(axis=1)
    fit = [float(one @ np.roll(other, turn)) for turn in range(12)]
    return np.argsort(fit)[::-1][:TRANSPOSITIONS].tolist()


def _states(chroma: np.ndarray) -> np.ndarray:
    """`(12, N)` to `(N - 4, 60)`: each frame less its mean and of length one, stacked with the next four.

    Less its mean, for drums and noise sound in every pitch class: pieces of the procedural band, played by another one
    in another key, rose from a median share of 0.26 to 0.42 by it, 700 pairs of unrelated recordings from at most 0.25
    to 0.30.
    """
    about = chroma - chroma.mean(axis=0)
    length = np.linalg.norm(about, axis=0)
    unit = np.divide(about, length, out=np.zeros_like(about), where=length > 1e-6)
    return np.lib.stride_tricks.sliding_window_view(unit, STACKED, axis=1).transpose(1, 0, 2).reshape(-1, 12 * STACKED)


def _recurrent(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`(N, M)` of 0 and 1: which states are among each other's nearest, by the length of their difference.

    Silence is no state: two pauses have nothing in common.
    """
    apart = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1) - 2 * first @ second.T
    near = apart <= np.quantile(apart, NEIGHBOURS, axis=1, keepdims=True)
    near &= apart <= np.quantile(apart, NEIGHBOURS, axis=0, keepdims=True)
    near &= np.asarray(first.any(axis=1))[:, None] & second.any(axis=1)
    return np.ascontiguousarray(near, np.float32)  # one layout: librosa compiles for each


def _at_its_pace(first: np.ndarray, second: np.ndarray, path: np.ndarray, found: Match) -> Match:
    """The best match with the second sound at the first's pace, which their path tells."""
    slope = float(np.polyfit(path[:, 1], path[:, 0], 1)[0])  # frames of the first in a frame of the second
    length = min(round(EXCERPT_S * RATE / HOP), second.shape[1])
    middle = round(path[:, 1].mean() * CHROMA_FRAMES * CHROMA_HOP / HOP)
    begin = int(np.clip(middle - length // 2, 0, second.shape[1] - length))
    paces = (slope * (1 + turn) for turn in PACES.tolist())
    for pace in (pace for pace in paces if 0.5 < pace < 2):  # beyond, the path stands still in one of the two
        part = _resampled(second[:, begin : begin + length], pace)
        height, lag = correlation(first, part, least_share=0.9)
        if height > found.recording:
            found = Match(height, (lag - begin * pace) * HOP / RATE, pace, found.piece, found.semitones)
    return found


def _resampled(bands: np.ndarray, pace: float) -> np.ndarray:
    """`(B, N)` to `(B, round(N * pace))` by straight lines between frames."""
    count = bands.shape[1]
    places = np.minimum(np.arange(round(count * pace)) / pace, count - 1)
    below = np.minimum(places.astype(int), max(0, count - 2))
    weight = (places - below).astype(np.float32)
    return bands[:, below] * (1 - weight) + bands[:, np.minimum(below + 1, count - 1)] * weight
