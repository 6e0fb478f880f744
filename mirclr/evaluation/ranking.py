"""Areas under the ROC and precision-recall curves for many weightings of the same predictions at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Thresholds:
    """The scores of the positives, highest first, for each of B weightings; arrays are `(thresholds, B)`.

    `hits`: weight of the positives at exactly this score; `found` and `answered`: weight of the positives and of all
    tracks at or above it; `above`: of all tracks above it. `positives` and `total` `(B,)` are the weights of all.
    """

    hits: np.ndarray
    found: np.ndarray
    answered: np.ndarray
    above: np.ndarray
    positives: np.ndarray
    total: np.ndarray


def ranking_areas(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ROC-AUC and PR-AUC, each `(B,)`, of one label under every weighting; nan without a positive or a negative.

    `positive` `(N,)` bool, `score` `(N,)`, `weights` `(N, B)` >= 0: a row a track, so that sorting moves whole rows.
    Equal scores are one threshold, so the answer does not depend on the order of ties: a constant score has ROC-AUC
    0.5 and PR-AUC equal to the share of positives.

    PR-AUC is average precision, the sum of precision times the step in recall: linear interpolation between the
    points of a precision-recall curve is too optimistic (Davis and Goadrich, ICML 2006).
    """
    if not positive.any():
        nothing = np.full(weights.shape[1], np.nan)
        return nothing, nothing
    at = _thresholds(positive, score, weights)
    both = (at.positives > 0) & (at.total > at.positives)
    return _roc(at, both), _average_precision(at, both)


def _thresholds(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> Thresholds:
    """Only scores of positives are kept: no other threshold adds to either area, and of a rare label they are few."""
    order = np.argsort(-score, kind="stable")
    right, ordered = positive[order], weights[order]
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))  # where a new score begins
    counts = np.add.reduceat(right.astype(np.int64), starts)
    kept = np.flatnonzero(counts)
    ends = np.append(starts[1:], len(order))[kept]
    reached = np.concatenate([np.zeros((1, weights.shape[1])), ordered.cumsum(axis=0, dtype=np.float64)])
    firsts = np.cumsum(counts[kept]) - counts[kept]
    hits = np.add.reduceat(ordered[right].astype(np.float64), firsts, axis=0)
    found = hits.cumsum(axis=0)
    return Thresholds(hits, found, reached[ends], reached[starts[kept]], found[-1], reached[-1])


def _roc(at: Thresholds, both: np.ndarray) -> np.ndarray:
    """Probability that a positive outranks a negative, a tie counting half (Mann and Whitney, 1947)."""
    negatives = at.total - at.positives
    wrong, wrong_above = at.answered - at.found, at.above - (at.found - at.hits)
    ordered = (at.hits * (negatives - (wrong + wrong_above) / 2)).sum(axis=0)
    return _over(ordered, at.positives * negatives, both)


def _average_precision(at: Thresholds, both: np.ndarray) -> np.ndarray:
    precision = np.divide(at.found, at.answered, out=np.zeros_like(at.found), where=at.answered > 0)
    return _over((precision * at.hits).sum(axis=0), at.positives, both)


def _over(part: np.ndarray, whole: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=known)
