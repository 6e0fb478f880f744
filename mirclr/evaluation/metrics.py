"""Metrics of predictions as functions of sample weights.

Every metric takes weights `(B, N)` and gives `(B,)` values. One row of ones is the plain metric, a row of zeros and
ones is one fold, a row of counts is one draw of a bootstrap: point estimate, spread and interval come from the same
lines of code. scikit-learn computes the same numbers one row at a time (held by tests).

A label without a positive or without a negative example (of weight above zero) has no ROC or PR curve; it is left
out of the macro mean of that row of weights, never counted as 0 or as 0.5. A mean over no label at all is nan.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mirclr.evaluation.key_tempo import key_scores, tempo_hits
from mirclr.evaluation.ranking import ranking_areas

TOP = 3
# The metric that chooses the verdict, per task. Multilabel: threshold-free, and not moved by how rare the labels are.
# Keys: what MIREX ranks by. Tempi: the stricter of the two accuracies.
MAIN_METRIC = {
    "multiclass": "accuracy",
    "multilabel": "roc_auc",
    "regression": "r2",
    "key": "weighted_score",
    "tempo": "acc1",
}
_BLOCK = 4_000_000  # weights handled at a time, 32 MB: memory stays flat for large collections


def score_predictions(task: str, truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of `task`, each `(B,)`, in the order they are printed.

    `truth`: `(N,)` class numbers (multiclass), `(N, K)` zeros and ones (multilabel) or values (regression);
    24 keys are classes (key), log2 of beats per minute are values (tempo).
    `scores`: `(N, K)` probabilities or predicted values. `weights`: `(B, N)`, at least 0.
    Raises ValueError on another task or on lengths that differ.
    """
    if not len(truth) == len(scores) == weights.shape[1]:
        raise ValueError(f"{len(truth)} truths, {len(scores)} scores and weights of {weights.shape[1]} do not match")
    if task not in _METRICS:
        raise ValueError(f"task must be one of {', '.join(_METRICS)}, got {task!r}")
    rows = max(1, _BLOCK // max(1, weights.shape[1]))
    parts = (weights[i : i + rows].astype(np.float64) for i in range(0, len(weights), rows))
    blocks = [_METRICS[task](truth, scores, part) for part in parts]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def confusion_matrix(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """`(K, K)` int64 number of tracks of the class of each row that were answered with the class of each column."""
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)


def class_scores(hits: np.ndarray, support: np.ndarray, answered: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of every class from `(..., K)` right answers, examples and answers; nan where undefined.

    Precision needs an answer, recall an example, F1 either of the two: F1 = 2 TP / (2 TP + FP + FN).
    """
    return {
        "precision": _ratio(hits, answered),
        "recall": _ratio(hits, support),
        "f1": _ratio(2 * hits, support + answered),
    }


def _multiclass(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    classes = np.arange(scores.shape[1])
    wanted, given = truth[:, None] == classes, scores.argmax(axis=1)[:, None] == classes
    support, answered = weights @ wanted.astype(float), weights @ given.astype(float)
    hits, total = weights @ (wanted & given).astype(float), weights.sum(axis=1)
    per_class = class_scores(hits, support, answered)
    out = {
        "accuracy": _ratio(hits.sum(axis=1), total),
        "balanced_accuracy": mean_defined(per_class["recall"]),
        "macro_f1": mean_defined(per_class["f1"]),
    }
    if len(classes) > TOP:  # of three classes the top three are always right
        out[f"top{TOP}_accuracy"] = _ratio(weights @ in_top(truth, scores), total)
    return out | _areas(wanted, scores, weights)


def _multilabel(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """F1 at probability 0.5; the areas need no threshold."""
    wanted, given = truth > 0.5, scores >= 0.5
    counts = (weights @ which.astype(float) for which in (wanted & given, wanted, given))
    return _areas(wanted, scores, weights) | {"macro_f1": mean_defined(class_scores(*counts)["f1"])}


def _regression(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    total = weights.sum(axis=1)
    error = scores - truth
    return {
        "r2": mean_defined(explained(truth, scores, weights)),
        "r": mean_defined(correlated(truth, scores, weights)),
        "mae": _ratio(weights @ np.abs(error).mean(axis=1), total),
        "rmse": np.sqrt(_ratio(weights @ (error**2).mean(axis=1), total)),
    }


def _key(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    worth = _ratio(weights @ key_scores(truth, scores), weights.sum(axis=1))
    return {"weighted_score": worth} | _multiclass(truth, scores, weights)


def _tempo(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Errors are in octaves, since values are logarithms."""
    total = weights.sum(axis=1)
    shares = {name: _ratio(weights @ hits, total) for name, hits in tempo_hits(truth, scores).items()}
    return shares | _regression(truth, scores, weights)


def explained(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """R² of every target, `(B, K)`: 1 - squared error / squared distance from the mean; nan for a constant target."""
    total = weights.sum(axis=1, keepdims=True)
    mean = _ratio(weights @ truth, total)
    # Centred on the overall mean first, so that the difference of squares loses no digits.
    centre = truth.mean(axis=0)
    spread = weights @ (truth - centre) ** 2 - total * (mean - centre) ** 2
    spread[spread <= 1e-12 * total] = 0
    return 1 - _ratio(weights @ (scores - truth) ** 2, spread)


def correlated(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's r of every target, `(B, K)`: does the prediction rise and fall with it, whatever its scale; nan where
    one of the two is constant. What studies of music and emotion report."""
    total = weights.sum(axis=1, keepdims=True)
    x, y = truth - truth.mean(axis=0), scores - scores.mean(axis=0)  # centred first, so that no digits are lost
    mean_x, mean_y = _ratio(weights @ x, total), _ratio(weights @ y, total)
    spread_x, spread_y = (weights @ v**2 - total * mean**2 for v, mean in ((x, mean_x), (y, mean_y)))
    flat = (spread_x <= 1e-12 * total) | (spread_y <= 1e-12 * total)
    product = np.where(flat, 0.0, spread_x * spread_y)
    return _ratio(weights @ (x * y) - total * mean_x * mean_y, np.sqrt(product))


def in_top(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """`(N,)` 1.0 where the true class is among the `TOP` likeliest; of equal scores the first class comes first."""
    own = scores[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < truth[:, None]
    return (((scores > own) | ((scores == own) & earlier)).sum(axis=1) < TOP).astype(float)


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that are not nan; nan where there is none."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))


def _areas(wanted: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Macro ROC-AUC and PR-AUC over labels, one against the rest."""
    columns = np.ascontiguousarray(weights.T)
    labels = [ranking_areas(wanted[:, k], scores[:, k], columns) for k in range(scores.shape[1])]
    roc, precision = (np.stack(columns, axis=-1) for columns in zip(*labels, strict=True))
    return {"roc_auc": mean_defined(roc), "pr_auc": mean_defined(precision)}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, nan where `whole` is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, np.ndarray]]
_METRICS: dict[str, Metric] = {
    "multiclass": _multiclass,
    "multilabel": _multilabel,
    "regression": _regression,
    "key": _key,
    "tempo": _tempo,
}
