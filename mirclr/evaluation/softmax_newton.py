"""Many small multinomial logistic regressions at once, by Newton's method.

Label efficiency fits hundreds of probes on a handful of tracks. Each is milliseconds of arithmetic under tens of
milliseconds of a general solver's bookkeeping; here the probes of all draws of a split go through one batch of linear
algebra. The minimum is scikit-learn's (held by a test): the sum of log losses plus half the penalty times the squared
weights, intercepts free.
"""

from __future__ import annotations

import numpy as np

STEPS, HALVINGS, TOLERANCE = 50, 30, 1e-6
FORCING = 0.5  # conjugate gradients stop at so much of the slope, or at its root when that is less
_TINY = 1e-9  # of the penalty, on intercepts: adding one number to all of them changes nothing, so one must be chosen


def softmax_scores(x: np.ndarray, targets: np.ndarray, new: np.ndarray, *, classes: int, penalty: float) -> np.ndarray:
    """Probabilities `(P, M, classes)` of `new` `(M, D)` by P probes fitted on `x` `(P, n, D)`, `targets` `(P, n)`.

    Every row of `targets` holds the same classes; the others have probability 0. Raises ValueError where it does not.
    """
    seen = np.unique(targets[0])
    if any(not np.array_equal(np.unique(row), seen) for row in targets):
        raise ValueError("every draw must hold the same classes")
    out = np.zeros((len(x), len(new), classes))
    if len(seen) == 1:
        out[..., seen] = 1
        return out
    known, asked = _rotated(x, new)
    ones = np.ones((len(x), 1, 1))
    known = np.concatenate([known, np.broadcast_to(ones, (*known.shape[:2], 1))], axis=2)
    asked = np.concatenate([asked, np.broadcast_to(ones, (*asked.shape[:2], 1))], axis=2)
    weights = _fitted(known, np.eye(len(seen))[np.searchsorted(seen, targets)], penalty)
    out[..., seen] = _softmax(asked @ weights)
    return out


def _rotated(x: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in the span of each probe's own examples, at most n dimensions: an L2 penalty keeps no weight outside it."""
    if x.shape[2] <= x.shape[1]:
        return x, np.broadcast_to(new, (len(x), *new.shape))
    values, axes = np.linalg.eigh(x @ x.transpose(0, 2, 1))
    kept = values > 1e-10 * np.maximum(values.max(axis=1, keepdims=True), 1.0)
    length = np.sqrt(np.where(kept, values, 1.0))[:, None, :]
    axes = axes * kept[:, None, :]
    return axes * length, new @ x.transpose(0, 2, 1) @ axes / length


def _fitted(x: np.ndarray, wanted: np.ndarray, penalty: float) -> np.ndarray:
    """Weights `(P, R, K)` of examples `(P, n, R)` whose last column is one, `wanted` `(P, n, K)`."""
    held = np.full(x.shape[2], penalty)
    held[-1] = penalty * _TINY
    weights = np.zeros((len(x), x.shape[2], wanted.shape[2]))
    loss = _loss(x, wanted, weights, held)
    for _ in range(STEPS):
        share = _softmax(x @ weights)
        slope = x.transpose(0, 2, 1) @ (share - wanted) + held[:, None] * weights
        if np.abs(slope).max() < TOLERANCE * x.shape[1]:
            break
        step = _step(x, share, slope, held)
        weights, loss = _descended(x, wanted, weights, step, loss, held)
    return weights


def _step(x: np.ndarray, share: np.ndarray, slope: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Newton's step `(P, R, K)` by conjugate gradients, each probe to `FORCING` of its slope (truncated Newton;
    Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.1; the Hessian is positive definite)."""
    step, left = np.zeros_like(slope), slope.copy()
    along, size = left.copy(), _dots(left, left)
    enough = size * np.minimum(FORCING, np.sqrt(size)) ** 2
    for _ in range(slope.shape[1] * slope.shape[2]):
        if (size <= enough).all():
            break
        bent = _curvature(x, share, along, held)
        length = _ratio(size, _dots(along, bent), size > enough)
        step += length * along
        left -= length * bent
        last, size = size, _dots(left, left)
        along = left + _ratio(size, last, last > 0) * along
    return step


def _ratio(above: np.ndarray, below: np.ndarray, where: np.ndarray) -> np.ndarray:
    """`above / below`, 0 for the probes that are done."""
    return np.divide(above, below, out=np.zeros_like(above), where=where & (below > 0))


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Inner product of every probe's weights, `(P, 1, 1)`."""
    return np.asarray(np.einsum("prk,prk->p", a, b)[:, None, None])


def _curvature(x: np.ndarray, share: np.ndarray, along: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The Hessian times `along`: x' (p (o - sum_k p_k o_k)) with o = x along, and the penalty's."""
    outputs = share * (x @ along)
    outputs -= share * outputs.sum(axis=2, keepdims=True)
    return x.transpose(0, 2, 1) @ outputs + held[:, None] * along


def _descended(
    x: np.ndarray, wanted: np.ndarray, weights: np.ndarray, step: np.ndarray, loss: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights after the step, halved for each probe until its loss does not rise, and the loss there."""
    scale = np.ones(len(x))
    for _ in range(HALVINGS):
        tried = weights - scale[:, None, None] * step
        there = _loss(x, wanted, tried, held)
        worse = there > loss + 1e-12 * np.abs(loss)
        if not worse.any():
            return tried, there
        scale[worse] /= 2
    scale[worse] = 0  # at the minimum to the last digit: stay
    tried = weights - scale[:, None, None] * step
    return tried, _loss(x, wanted, tried, held)


def _loss(x: np.ndarray, wanted: np.ndarray, weights: np.ndarray, held: np.ndarray) -> np.ndarray:
    outputs = x @ weights
    highest = outputs.max(axis=2, keepdims=True)
    total = np.log(np.exp(outputs - highest).sum(axis=2)) + highest[..., 0]
    return np.asarray(
        (total - (outputs * wanted).sum(axis=2)).sum(axis=1) + (held[:, None] * weights**2).sum((1, 2)) / 2
    )


def _softmax(outputs: np.ndarray) -> np.ndarray:
    shares = np.exp(outputs - outputs.max(axis=2, keepdims=True))
    return np.asarray(shares / shares.sum(axis=2, keepdims=True))
