"""Measures of keys and tempi, as functions of sample weights like all others (`mirclr.evaluation.metrics`).

Keys: what MIREX and mir_eval count, as a table over all pairs of keys. Tempi: Accuracy 1 and 2 within 4 % (Gouyon et
al., "An experimental comparison of audio tempo induction algorithms", IEEE TASLP 14(5), 2006, sec. III), and MIREX's
P-score of the one tempo there is, within 8 % (`mir_eval.tempo.detection` with a second reference tempo of 0).
"""

from __future__ import annotations

import numpy as np

from mirclr.audio.synth_theory import KEYS

FIFTH, RELATIVE, PARALLEL = 0.5, 0.3, 0.2
TOLERANCE, WIDE = 0.04, 0.08
MULTIPLES = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)
_ROUNDING = 1e-6  # float32 logarithms: a tempo exactly at the tolerance is within it


def _relation(true: int, answer: int) -> float:
    """mir_eval.key.weighted_score of the keys of two numbers: a fifth above, relative, parallel; else 0."""
    same_mode, step = true // 12 == answer // 12, (answer - true) % 12
    if same_mode:
        return {0: 1.0, 7: FIFTH}.get(step, 0.0)
    relative = 9 if true < 12 else 3
    return {relative: RELATIVE, 0: PARALLEL}.get(step, 0.0)


KEY_SCORES = np.array([[_relation(true, answer) for answer in range(len(KEYS))] for true in range(len(KEYS))])
"""`(24, 24)`: what the answer in a column is worth where the key of the row is true."""


def key_scores(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`(N,)` in 0..1: the worth of the likeliest of 24 keys, from truth `(N,)` and scores `(N, 24)`."""
    return np.asarray(KEY_SCORES[truth, scores.argmax(axis=1)])


def tempo_hits(truth: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """`(N,)` of zeros and ones each, from log2 of beats per minute `(N, 1)`.

    `acc1`: within 4 % of the true tempo; `acc2`: of it or its double, triple, half or third; `p_score`: within 8 %.
    """
    ratio = np.exp2(scores[:, 0].astype(np.float64) - truth[:, 0])
    return {
        "acc1": _within(ratio, (1.0,), TOLERANCE),
        "acc2": _within(ratio, MULTIPLES, TOLERANCE),
        "p_score": _within(ratio, (1.0,), WIDE),
    }


def _within(ratio: np.ndarray, multiples: tuple[float, ...], tolerance: float) -> np.ndarray:
    off = np.abs(ratio[:, None] / np.array(multiples) - 1)
    return np.asarray((off <= tolerance + _ROUNDING).any(axis=1).astype(float))
