"""Linear probes: how much of a label a straight line through frozen vectors can read.

Vectors are standardised, then multinomial logistic regression (one label a track), one logistic regression per label
(several labels) or ridge regression (numbers) is fitted with an L2 penalty. One penalty serves all labels: a rare
label has too few validation examples to choose its own. Nothing here ever sees a test track.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# From "answers the class frequencies" to "practically free", a decade at a time, strongest first: of equally good
# penalties the strongest is taken, and each fit starts from the solution of the stronger one before it.
PENALTIES = tuple(10.0**e for e in range(6, -2, -1))
MAX_STEPS = 10_000
_TINY = 1e-12  # the least probability a log loss counts with


@dataclass(frozen=True)
class Standardiser:
    """Subtracts `mean` `(D,)` and divides by `scale` `(D,)`; a dimension that does not vary becomes 0."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fitted(cls, vectors: np.ndarray) -> Standardiser:
        """The mean and deviation of `(N, D)` training vectors."""
        wide = vectors.astype(np.float64)
        mean, scale = wide.mean(axis=0), wide.std(axis=0)
        flat = scale <= 1e-7 * np.abs(mean)  # float32 rounding of a constant, not variation
        return cls(mean, np.where(flat | (scale == 0), np.inf, scale))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """`(N, D)` vectors to `(N, D)` float64 standardised vectors."""
        return (vectors - self.mean) / self.scale


@dataclass(frozen=True)
class PenaltyChoice:
    """The chosen `penalty`, the mean validation `losses` of all `PENALTIES`, and fits that hit `MAX_STEPS`."""

    penalty: float
    losses: tuple[float, ...]
    unconverged: int


def choose_penalty(
    task: str, vectors: np.ndarray, targets: np.ndarray, pairs: Iterable[tuple[np.ndarray, np.ndarray]], classes: int
) -> PenaltyChoice:
    """The best penalty over `pairs` of (fit, judge) track indices.

    One label a track: highest mean accuracy, then least log loss, since on 40 validation tracks accuracy moves in steps
    of 2.5 points and leaves much of the grid tied. Log loss alone would not do: where a probe is unsure of new artists
    it prefers the strongest penalties, which answer the class frequencies (an untrained encoder on Emotify then had
    36 % where every penalty from 0.1 to 100 has 48 to 54 %). Several labels: log loss. Numbers: squared error.
    """
    losses, hits, unconverged = [], [], 0
    for fit, judge in pairs:
        path = fit_path(task, vectors[fit], targets[fit], vectors[judge], classes=classes, penalties=PENALTIES)
        losses.append([_loss(task, targets[judge], scores) for scores in path.scores])
        hits.append([_hits(task, targets[judge], scores) for scores in path.scores])
        unconverged += path.unconverged
    mean = np.mean(losses, axis=0)
    best = np.lexsort((mean, -np.mean(hits, axis=0)))[0]
    return PenaltyChoice(PENALTIES[int(best)], tuple(mean.tolist()), unconverged)


@dataclass(frozen=True)
class LinearMap:
    """What a probe has learned: `weights` `(K, D)` on standardised vectors, `bias` `(K,)`. Its outputs are logits of
    classes (softmax), logits of labels (sigmoid) or predicted values."""

    standardise: Standardiser
    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """`(N, D)` vectors to `(N, K)` float64 outputs."""
        return np.asarray(self.standardise(vectors) @ self.weights.T + self.bias)


@dataclass(frozen=True)
class Path:
    """`scores[i]` `(M, K)` of new vectors under penalty i, and how many fits stopped before converging; `maps[i]`:
    what was learned, `(weights (K, R), bias (K,))` on the vectors as the fits saw them."""

    scores: list[np.ndarray]
    unconverged: int
    maps: list[tuple[np.ndarray, np.ndarray]]


def fit_path(
    task: str,
    vectors: np.ndarray,
    targets: np.ndarray,
    new: np.ndarray,
    *,
    classes: int,
    penalties: Sequence[float],
    standardise: Standardiser | None = None,
) -> Path:
    """Fit `(N, D)` `vectors` to `targets` under each penalty (strongest first) and score `(M, D)` `new` vectors.

    `targets` `(N,)` class numbers below `classes`, `(N, K)` zeros and ones, or `(N, K)` values. Scores are
    probabilities (a class absent from `targets` has 0) or predicted values. `standardise`: default, by `vectors`.
    """
    standardise = standardise or Standardiser.fitted(vectors)
    x, rotation = _rotated(standardise(vectors))
    return _fit(task, x, targets, standardise(new) @ rotation, classes, penalties)


def fit_map(task: str, vectors: np.ndarray, targets: np.ndarray, *, classes: int, penalty: float) -> LinearMap:
    """The probe that `fit_path` scores by under `penalty`, to keep: its scores are those of `LinearMap`'s outputs."""
    standardise = Standardiser.fitted(vectors)
    x, rotation = _rotated(standardise(vectors))
    weights, bias = _fit(task, x, targets, x[:0], classes, [penalty]).maps[0]
    return LinearMap(standardise, weights @ rotation.T, bias)


def _fit(
    task: str, x: np.ndarray, targets: np.ndarray, new: np.ndarray, classes: int, penalties: Sequence[float]
) -> Path:
    """`fit_path` on vectors that are standardised and rotated."""
    if task == "regression":
        return _ridge(x, targets, new, penalties)
    if task == "multiclass":
        return _logistic(x, targets, new, classes, penalties)
    labels = [_logistic(x, targets[:, k] > 0.5, new, 2, penalties) for k in range(classes)]
    maps, scores = [], []
    for i in range(len(penalties)):
        scores.append(np.stack([label.scores[i][:, 1] for label in labels], axis=1))
        pairs = [label.maps[i] for label in labels]  # a label's logit is how far "yes" is above "no"
        maps.append((np.stack([w[1] - w[0] for w, _ in pairs]), np.array([b[1] - b[0] for _, b in pairs])))
    return Path(scores, sum(label.unconverged for label in labels), maps)


def _rotated(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`x` `(N, D)` in its own principal axes `(N, R)`, R <= min(N, D), and the `(D, R)` rotation.

    An L2 penalty does not see rotations and keeps no weight outside the span of the training vectors, so the
    solution is the same and 1,000 dimensions of 100 tracks cost no more than 100.
    """
    if x.shape[1] <= x.shape[0]:
        return x, np.eye(x.shape[1])
    _, strengths, axes = np.linalg.svd(x, full_matrices=False)
    kept = axes[strengths > 1e-10 * max(float(strengths[0]), 1.0)].T
    return x @ kept, kept


def _logistic(x: np.ndarray, targets: np.ndarray, new: np.ndarray, classes: int, penalties: Sequence[float]) -> Path:
    """Multinomial logistic regression along the path; probabilities `(M, classes)` each."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(targets).astype(int)
    if len(seen) == 1 or x.shape[1] == 0:
        share = np.bincount(targets.astype(int), minlength=classes) / len(targets)
        constant = np.zeros((classes, x.shape[1])), np.log(np.maximum(share, _TINY))
        return Path([np.tile(share, (len(new), 1)) for _ in penalties], 0, [constant for _ in penalties])
    # newton-cg: a half to a third of the time of the default solver on a hundred tracks, and nearer to the solution.
    model = LogisticRegression(solver="newton-cg", tol=1e-5, max_iter=MAX_STEPS, warm_start=True)
    scores, unconverged, maps = [], 0, []
    for penalty in penalties:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # counted below, and the report says it
            model.set_params(C=1 / penalty).fit(x, targets)
        unconverged += int(model.n_iter_.max() >= MAX_STEPS)
        table = np.zeros((len(new), classes))
        if len(new):
            table[:, seen] = model.predict_proba(new)
        scores.append(table)
        maps.append(_all_classes(model, seen, classes))
    return Path(scores, unconverged, maps)


def _all_classes(model: Any, seen: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of all classes of a logistic regression that met those in `seen`; the others never win.

    Of two classes scikit-learn keeps one row of weights, for the second.
    """
    weights, bias = np.zeros((classes, model.coef_.shape[1])), np.full(classes, np.log(_TINY))
    bias[seen] = 0.0
    rows = seen[1:] if len(seen) == 2 else seen
    weights[rows], bias[rows] = model.coef_, model.intercept_
    return weights, bias


def _ridge(x: np.ndarray, targets: np.ndarray, new: np.ndarray, penalties: Sequence[float]) -> Path:
    """Ridge regression with a free intercept: one decomposition serves every penalty.

    With x = U S V' centred, the prediction is mean(y) + new V diag(S / (S² + penalty)) U' (y - mean(y)).
    """
    centre, mean = x.mean(axis=0), targets.mean(axis=0, dtype=np.float64)
    left, strengths, right = np.linalg.svd(x - centre, full_matrices=False)
    seen, wanted = (new - centre) @ right.T, left.T @ (targets - mean)
    by_axis = [(strengths / (strengths**2 + p))[:, None] * wanted for p in penalties]
    maps = [(weights, mean - weights @ centre) for weights in ((right.T @ each).T for each in by_axis)]
    return Path([mean + seen @ each for each in by_axis], 0, maps)


def _hits(task: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """Accuracy where a track has one label; elsewhere the same for all, so that the loss decides alone."""
    return float((scores.argmax(axis=1) == truth).mean()) if task == "multiclass" else 0.0


def _loss(task: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean log loss, or squared error of targets in units of their validation deviation."""
    if task == "multiclass":
        return float(-np.log(np.maximum(scores[np.arange(len(truth)), truth], _TINY)).mean())
    if task == "multilabel":
        right = np.where(truth > 0.5, scores, 1 - scores)
        return float(-np.log(np.maximum(right, _TINY)).mean())
    spread = np.maximum(truth.var(axis=0), _TINY)
    return float((((scores - truth) ** 2).mean(axis=0) / spread).mean())
