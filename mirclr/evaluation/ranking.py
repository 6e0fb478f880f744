"""Areas under the ROC and precision-recall curves for many weightings of the same predictions at once."""

from __future__ import annotations

import numpy as np


def ranking_areas(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ROC-AUC and PR-AUC, each `(B,)`, of one label under every row of weights; nan without a positive or negative.

    `positive` `(N,)` bool, `score` `(N,)`, `weights` `(B, N)` >= 0. Equal scores are one threshold, so the answer
    does not depend on the order of ties: a constant score has ROC-AUC 0.5 and PR-AUC equal to the share of positives.

    PR-AUC is average precision, the sum of precision times the step in recall: linear interpolation between the
    points of a precision-recall curve is too optimistic (Davis and Goadrich, ICML 2006).
    """
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))  # where a new threshold begins
    hits = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    misses = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    found, wrong = hits.cumsum(axis=1), misses.cumsum(axis=1)
    return _roc(hits, misses, found, wrong), _precision(hits, found, wrong)


def _roc(hits: np.ndarray, misses: np.ndarray, found: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Probability that a positive outranks a negative, a tie counting half (Mann and Whitney, 1947)."""
    ordered = (misses * (found - hits / 2)).sum(axis=1)
    return _over(ordered, found[:, -1] * wrong[:, -1])


def _precision(hits: np.ndarray, found: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    answered = found + wrong
    precision = np.divide(found, answered, out=np.zeros_like(found), where=answered > 0)
    both = (found[:, -1] > 0) & (wrong[:, -1] > 0)
    return _over((precision * hits).sum(axis=1), np.where(both, found[:, -1], 0))


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
