"""Uncertainty by resampling artists.

Tracks of one artist share voice, instruments and mastering; they succeed or fail together. Resampling tracks would
treat them as independent and print intervals that are too narrow, so whole artists are drawn with replacement
(the cluster bootstrap: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8).
"""

from __future__ import annotations

import math

import numpy as np

from mirclr.seeds import generator

DRAWS = 2000  # the ends of a 95 % interval are then the 50th values from each side
LEVEL = 0.95
FEW_GROUPS = 20  # below this many artists a percentile interval is known to be too narrow


def track_weights(groups: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """`(draws, N)` float32 weights of tracks whose artists `groups` `(N,)` are drawn with replacement.

    Every draw takes as many artists as there are. It depends only on the seed and the artists, so every row of a
    report is judged on the same draws and differences between rows are paired.
    """
    names, member = np.unique(groups, return_inverse=True)
    even = np.full(len(names), 1 / len(names))
    counts = generator(seed, "bootstrap").multinomial(len(names), even, size=draws)
    return counts.astype(np.float32)[:, member]  # small whole numbers: exact, and half the memory


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The middle `level` of the draws `(B,)`, leaving out undefined ones; (nan, nan) when none is defined.

    Its ends are draws, the k-th from either side, k such that zero lies outside just when `p_value` is below
    1 - `level`: the number and the interval printed beside it cannot contradict each other.
    """
    known = np.sort(values[~np.isnan(values)])
    if not known.size:
        return float("nan"), float("nan")
    outside = max(0, math.ceil(round((1 - level) / 2 * (known.size + 1), 6)) - 2)
    return float(known[outside]), float(known[-1 - outside])


def p_value(differences: np.ndarray) -> float:
    """Two-sided p of "no difference" from the draws `(B,)` of a paired difference.

    Twice the share of draws on the far side of zero, plus one draw so that it is never 0; draws at exactly zero
    count on both sides. nan when no draw is defined.
    """
    known = differences[~np.isnan(differences)]
    if not known.size:
        return float("nan")
    tail = min((known <= 0).sum(), (known >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (known.size + 1)))
