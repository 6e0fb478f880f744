"""What a falling loss does not show: do vectors still differ, in how many directions, do they find their own track.

Everything here takes `(N, D)` vectors, numpy or torch, N >= 2, computes in float64 and keeps no state. Two views are
two crops of the same N tracks in the same order.

- alignment, uniformity: Wang and Isola, arXiv 2005.10242. Both are best when low.
- effective rank: Roy and Vetterli, EUSIPCO 2007. RankMe: Garrido et al., arXiv 2210.02885.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

Vectors = np.ndarray | Tensor

_BLOCK = 1024  # rows of a similarity matrix held at once: N x N never is
_TIE = 1e-9  # cosines this close are one value that was rounded twice

# Spread is sqrt(1 - mean cosine of all pairs), so this is a mean cosine of 0.999: tracks 2.6 degrees apart. Rounding to
# bfloat16 alone gives 0.001. An untrained residual encoder, whose vectors share a large mean, gives 0.25 to 0.35 on
# 40 real tracks (and an effective rank of 18 to 33).
COLLAPSED_SPREAD = 0.03
# The differences between tracks lie on one line, or a line and a little: two independent properties do not fit.
COLLAPSED_RANK = 2.0
# With fewer tracks a low rank is arithmetic: N centred vectors span at most N - 1 directions.
FEWEST_FOR_RANK = 16


@dataclass(frozen=True)
class Retrieval:
    """Whether each query finds its own key: share at rank 1, median rank (1 is best), mean of 1 / rank; `count` keys.

    Equal cosines share their ranks, as in the mean over random orders, so collapsed vectors score chance and no better:
    recall 1 / N and median rank (N + 1) / 2.
    """

    recall_at_1: float
    median_rank: float
    reciprocal_rank: float
    count: int


@dataclass(frozen=True)
class Geometry:
    """One epoch's picture of the space, from two views of `count` held-out tracks; see the functions of this module."""

    count: int
    alignment: float
    uniformity: float
    effective_rank: float
    rankme: float
    spread: float
    recall_at_1: float
    median_rank: float
    reciprocal_rank: float


def _float64(vectors: Vectors) -> np.ndarray:
    rows = vectors.detach().cpu().double().numpy() if isinstance(vectors, Tensor) else np.asarray(vectors, np.float64)
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 1:
        raise ValueError(f"vectors must be (N >= 2, D), got {rows.shape}")
    return rows


def _pair(first: Vectors, second: Vectors) -> tuple[np.ndarray, np.ndarray]:
    one, two = _float64(first), _float64(second)
    if one.shape != two.shape:
        raise ValueError(f"two views must have one shape, got {one.shape} and {two.shape}")
    return one, two


def unit(vectors: Vectors) -> np.ndarray:
    """Rows scaled to length 1, float64; a row of zeros stays zero."""
    rows = _float64(vectors)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


def alignment(first: Vectors, second: Vectors, alpha: float = 2.0) -> float:
    """Mean over tracks of `|f(x) - f(y)| ** alpha` between unit vectors of two views; 0 (the same) to 2 ** alpha."""
    one, two = _pair(first, second)
    return float((np.linalg.norm(unit(one) - unit(two), axis=1) ** alpha).mean())


def uniformity(vectors: Vectors, t: float = 2.0) -> float:
    """`log of the mean over pairs of exp(-t |f(x) - f(y)| ** 2)` between unit vectors of different tracks.

    0 when all are one point; about -2 t for independent directions in many dimensions.
    """
    rows = unit(vectors)
    squares = (rows * rows).sum(axis=1)
    total = 0.0
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        distances = squares[part, None] + squares - 2.0 * rows[part] @ rows.T
        total += np.exp(-t * np.maximum(distances, 0.0)).sum()
    pairs = len(rows) * (len(rows) - 1)
    return float(np.log((total - len(rows)) / pairs))  # every row met itself once, at distance 0


def _singular_values(rows: np.ndarray) -> np.ndarray:
    """Singular values that sum to 1; all zero for a matrix of zeros."""
    values = np.linalg.svd(rows, compute_uv=False)
    return values / max(values.sum(), np.finfo(np.float64).tiny)


def effective_rank(vectors: Vectors) -> float:
    """exp of the entropy of the normalised singular values: 1 (a line) to min(N - 1, D); 0 when all rows are equal.

    Of centred rows: the mean that all tracks share says nothing about how they differ, and in vectors after a ReLU it
    would dominate. A space fallen to one point is told by `spread`; this tells one fallen to a few directions.
    """
    rows = _float64(vectors)
    centred = rows - rows.mean(axis=0)
    # Differences of equal rows are rounding, which has a rank of its own.
    if np.abs(centred).max() <= 1e-12 * np.abs(rows).max():
        return 0.0
    share = _singular_values(centred)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def rankme(vectors: Vectors, epsilon: float = 1e-7) -> float:
    """RankMe: the same entropy, of rows as they are, with `epsilon` added to each share, as published."""
    share = _singular_values(_float64(vectors)) + epsilon
    return float(np.exp(-(share * np.log(share)).sum()))


def dimension_std(vectors: Vectors) -> np.ndarray:
    """`(D,)` standard deviation of each dimension of the unit vectors; `1 / sqrt(D)` on a uniform sphere."""
    return unit(vectors).std(axis=0)


def spread(vectors: Vectors) -> float:
    """Root of the summed variances of unit vectors: 1 when they point everywhere, 0 when all point one way.

    It is `sqrt(1 - mean cosine)` over all pairs, a row with itself included, and sqrt(D) times the root mean square of
    `dimension_std`.
    """
    return float(np.sqrt((dimension_std(vectors) ** 2).sum()))


def _standardised(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both views with each dimension's mean 0 and deviation 1 over the two; a constant dimension becomes 0."""
    both = np.concatenate([one, two])
    deviation = both.std(axis=0)
    scale = np.where(deviation > 1e-12 * np.abs(both).max(), deviation, np.inf)
    return (one - both.mean(axis=0)) / scale, (two - both.mean(axis=0)) / scale


def same_track_retrieval(queries: Vectors, keys: Vectors, standardise: bool = True) -> Retrieval:
    """Rank of key i for query i among all N keys by cosine; queries and keys are two views of the same tracks.

    `standardise`: each dimension first, without which a large common mean makes every cosine nearly 1.
    """
    one, two = _pair(queries, keys)
    one, two = (unit(x) for x in (_standardised(one, two) if standardise else (one, two)))
    above, equal = np.empty(len(one)), np.empty(len(one))
    for start in range(0, len(one), _BLOCK):
        part = slice(start, start + _BLOCK)
        cosines = one[part] @ two.T
        own = (one[part] * two[part]).sum(axis=1, keepdims=True)
        above[part] = (cosines > own + _TIE).sum(axis=1)
        equal[part] = (np.abs(cosines - own) <= _TIE).sum(axis=1)  # itself among them
    return _retrieval(above.astype(int), equal.astype(int))


def _retrieval(above: np.ndarray, equal: np.ndarray) -> Retrieval:
    """From the number of keys `above` the right one and `equal` to it (at least itself), per query."""
    count = len(above)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, count + 1))])
    return Retrieval(
        recall_at_1=float(np.where(above == 0, 1.0 / equal, 0.0).mean()),
        median_rank=float(np.median(above + (equal + 1) / 2)),
        reciprocal_rank=float(((harmonic[above + equal] - harmonic[above]) / equal).mean()),
        count=count,
    )


def geometry(first: Vectors, second: Vectors) -> Geometry:
    """All of the above for two views `(N, D)`: rank and spread of the first, uniformity as the mean of both.

    Raises ValueError unless both are (N >= 2, D), and when a value is not finite.
    """
    one, two = _pair(first, second)
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise ValueError("vectors hold NaN or infinity: the encoder has diverged")
    found = same_track_retrieval(one, two)
    return Geometry(
        count=len(one),
        alignment=alignment(one, two),
        uniformity=(uniformity(one) + uniformity(two)) / 2,
        effective_rank=effective_rank(one),
        rankme=rankme(one),
        spread=spread(one),
        recall_at_1=found.recall_at_1,
        median_rank=found.median_rank,
        reciprocal_rank=found.reciprocal_rank,
    )


def collapse_verdict(seen: Geometry) -> str | None:
    """Why the space has collapsed and what to change, or None while it has not.

    Meant for projections or embeddings after the warm-up. The thresholds are the constants of this module: far below
    what untrained encoders show, so that only a space that has lost its differences is called collapsed.
    """
    if seen.spread < COLLAPSED_SPREAD:
        kind = (
            f"all tracks have nearly the same vector (spread {seen.spread:.4f}, below {COLLAPSED_SPREAD}; "
            "1 is a sphere filled evenly)"
        )
    elif seen.count >= FEWEST_FOR_RANK and seen.effective_rank < COLLAPSED_RANK:
        kind = (
            f"the {seen.count} tracks differ along one direction only (effective rank {seen.effective_rank:.2f}, "
            f"below {COLLAPSED_RANK:g})"
        )
    else:
        return None
    return (
        f"the space has collapsed: {kind}; a held-out track finds its own second crop first in "
        f"{100 * seen.recall_at_1:.0f} % of cases (chance {100 / seen.count:.0f} %). Try a lower learning rate, a "
        "longer warm-up, a larger batch or a higher loss temperature, and weaker augmentation."
    )
