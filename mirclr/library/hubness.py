"""Hubs: tracks that are among the nearest of very many others without being like them, and what undoes them.

In many dimensions a few points lie near to everything (Radovanovic, Nanopoulos and Ivanovic, "Hubs in space", JMLR 11,
2010): they fill every answer while other tracks are in none. The measure is the skewness of the k-occurrence, how often
a track is among the k nearest of another. The remedy is cross-domain similarity local scaling (Conneau et al., "Word
translation without parallel data", ICLR 2018, eq. 2): a cosine counts from how near a track is to its own
neighbourhood, its *nearness*. A hub lies near to everything, so being near to it says little.

Of large libraries the neighbourhoods are those among a fixed draw of tracks: every track is then compared with 2,000
others in place of all, which is a matter of seconds, once, at 100,000 tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirclr.seeds import generator

K = 10  # neighbours, as in both papers
SAMPLE = 2000
HUBBY = 0.5  # skewness from which the correction is on by itself: see docs/listening.md for what was measured
BLOCK = 4096


def nearness(unit: np.ndarray) -> np.ndarray:
    """(U,) float32: mean cosine of each of (U, D) unit rows to its `K` nearest others in the draw; 0 for a lone row."""
    drawn = fixed_draw(len(unit))
    others, k = unit[drawn], min(K, len(drawn) - 1)
    out = np.zeros(len(unit), np.float32)
    if k < 1:
        return out
    for start in range(0, len(unit), BLOCK):
        cosines = unit[start : start + BLOCK] @ others.T
        inside = np.flatnonzero((drawn >= start) & (drawn < start + BLOCK))
        cosines[drawn[inside] - start, inside] = -np.inf  # itself
        out[start : start + BLOCK] = np.partition(cosines, -k, axis=1)[:, -k:].mean(axis=1)
    return out


def corrected(cosines: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(U,) float32: cosines of a query with every row, scaled by the rows' `nearness`.

    The paper's measure without the query's own nearness, which is the same for every row.
    """
    return np.asarray(2 * cosines - near, np.float32)


@dataclass(frozen=True)
class Hubness:
    """Among `tracks` rows: `skewness` of the k-occurrence, its `highest` count, and the share that is in no answer."""

    tracks: int
    skewness: float
    highest: int
    never: float


def hubness(unit: np.ndarray, correct: bool = False) -> Hubness:
    """How hubby (U, D) unit rows are, with or without the correction; of more than `SAMPLE` rows those drawn."""
    rows = unit[fixed_draw(len(unit))]
    k = min(K, len(rows) - 1)
    if k < 1:
        return Hubness(len(rows), 0.0, 0, 0.0)
    scores = rows @ rows.T
    if correct:
        scores = 2 * scores - nearness(rows)[None, :]
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    counts = np.bincount(nearest.ravel(), minlength=len(rows))
    return Hubness(len(rows), _skewness(counts), int(counts.max()), float((counts == 0).mean()))


def fixed_draw(count: int) -> np.ndarray:
    """All of `count` rows, or `SAMPLE` of them, always the same, in order."""
    if count <= SAMPLE:
        return np.arange(count)
    return np.sort(generator(0, "hubness").choice(count, SAMPLE, replace=False))


def _skewness(counts: np.ndarray) -> float:
    centred = counts - counts.mean()
    spread = centred.std()
    return float((centred**3).mean() / spread**3) if spread > 0 else 0.0
