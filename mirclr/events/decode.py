"""Activations of a frame-level head to events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mirclr.compiled import librosa
from mirclr.events.kinds import OUTPUTS, PITCHES

GAP_S = 0.03
"""Peaks nearer than this are one onset, the higher one."""
METRES = (3, 4)
START_BPM = 120.0


def decode(kind: str, scores: np.ndarray, step: float, thresholds: np.ndarray) -> pd.DataFrame:
    """The events in `(N, K)` activations in 0..1 of frames `step` seconds apart, as an annotation of the kind.

    `thresholds` `(K,)`: the least activation of an event (onsets, notes; beats need none).
    """
    if kind == "onsets":
        return pd.DataFrame({"time": peaks(scores[:, 0], float(thresholds[0]), step) * step})
    if kind == "beats":
        return beats(scores, step)
    return notes(scores, step, thresholds)


def peaks(activation: np.ndarray, threshold: float, step: float) -> np.ndarray:
    """Frames of the local maxima of `(N,)` at or above a fixed threshold, at least `GAP_S` apart: what is left of
    peak picking where a network gives the activation (Schluter and Boeck, ICASSP 2014)."""
    from scipy.signal import find_peaks

    padded = np.concatenate([[-1.0], activation, [-1.0]])  # a maximum at either end is one too
    found, _ = find_peaks(padded, height=threshold, distance=max(1, round(GAP_S / step)))
    return np.asarray(found - 1)


def beats(scores: np.ndarray, step: float) -> pd.DataFrame:
    """Beats and their places in the bar from activations of beats and downbeats, `(N, 2)`.

    Beats: Ellis's dynamic programming (J. New Music Research 36(1), 2007, as librosa has it) over the activation, at
    the tempo of its autocorrelation; no DBN. Bars: the metre of 3 or 4 and the phase whose downbeats stand out most.
    """
    # librosa only ever uses the quotient of the two: an exact frame rate, whatever the hop.
    sr, hop = 1000.0 / step, 1000
    _, frames = librosa("librosa.beat").beat.beat_track(
        onset_envelope=scores[:, 0].astype(np.float64), sr=sr, hop_length=hop, start_bpm=START_BPM, trim=False
    )
    frames = np.asarray(frames, int)
    return pd.DataFrame({"time": frames * step, "position": _positions(scores[:, 1], frames)})


def _positions(downbeats: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """`(M,)` place of each beat in its bar, counted from 1."""
    strength = _around(downbeats, frames)
    order = np.arange(len(frames))
    best, chosen = -np.inf, np.ones(len(frames), int)
    for metre in METRES:
        for phase in range(min(metre, len(frames))):
            position = (order - phase) % metre
            first = position == 0
            stands_out = strength[first].mean() - (strength[~first].mean() if (~first).any() else 0.0)
            if stands_out > best:
                best, chosen = stands_out, position + 1
    return chosen


def _around(activation: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The highest of each frame and its two neighbours."""
    padded = np.pad(activation, 1)
    return np.maximum(np.maximum(padded[frames], padded[frames + 1]), padded[frames + 2])


def notes(scores: np.ndarray, step: float, thresholds: np.ndarray) -> pd.DataFrame:
    """Notes from onset and frame activations of 88 pitches, `(N, 176)`.

    A note begins where the onsets of its pitch have a peak, and sounds until its frames fall below their threshold or
    it is struck again: a frame without an onset starts nothing (Hawthorne et al., Onsets and Frames, ISMIR 2018). It
    sounds for one frame at least.
    """
    found = []
    for k, pitch in enumerate(PITCHES):
        starts = peaks(scores[:, k], float(thresholds[k]), step)
        silent = np.flatnonzero(scores[:, len(PITCHES) + k] < thresholds[len(PITCHES) + k])
        for start, again in zip(starts, [*starts[1:], len(scores)][: len(starts)], strict=True):
            later = silent[np.searchsorted(silent, start + 1) :]
            end = min(int(later[0]) if len(later) else len(scores), int(again))
            found.append((start * step, max(end, start + 1) * step, pitch))
    table = pd.DataFrame(found, columns=["start", "end", "pitch"])
    return table.sort_values(["start", "pitch"], ignore_index=True)


def flat_thresholds(kind: str, onset: float, frame: float = 0.5) -> np.ndarray:
    """`(K,)` float32: one threshold for every onset output and, for notes, one for every frame output."""
    out = np.full(len(OUTPUTS[kind]), onset, np.float32)
    if kind == "notes":
        out[len(PITCHES) :] = frame
    return out
