"""What counts as an event: thresholds chosen on music that was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mirclr.events.decode import decode, flat_thresholds
from mirclr.events.scores import Events, note_f, onset_f

GRID = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
Score = Callable[[Events, Events], float]


def choose_thresholds(kind: str, scores: Sequence[np.ndarray], truth: Sequence[Events], step: float) -> np.ndarray:
    """`(K,)` thresholds of a kind with the highest mean F-measure over tracks; the higher of two as good.

    `scores`: activations `(N, K)` of each track, frames `step` seconds apart; `truth`: its annotation. Onsets of notes
    first, by notes without their ends; then, with those, the frames by notes with their ends. One threshold serves all
    pitches: most have too few notes to choose their own. Beats have none (0.5 stands for it).
    """
    if kind == "beats":
        return flat_thresholds(kind, 0.5)
    tracks = list(zip(scores, truth, strict=True))

    def mean(onset: float, frame: float, score: Score) -> float:
        at = flat_thresholds(kind, onset, frame)
        return float(np.mean([score(true, decode(kind, each, step, at)) for each, true in tracks]))

    if kind == "onsets":
        return flat_thresholds(kind, _best(lambda at: mean(at, 0.5, onset_f)))
    onset = _best(lambda at: mean(at, 0.5, note_f))
    return flat_thresholds(kind, onset, _best(lambda at: mean(onset, at, lambda t, f: note_f(t, f, ends=True))))


def _best(value: Callable[[float], float]) -> float:
    return max(GRID, key=lambda at: (value(at), at))
