"""Nearest neighbours by cosine: the geometry of the vectors, with nothing learned on top."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mirclr.evaluation.probes import Standardiser

NEIGHBOURS = 5  # fixed for every row and collection: nothing is chosen, so nothing can be chosen in a row's favour
BLOCK = 1024  # queries compared at a time: 8,000 tracks take 64 MB, not the square of their number


def unit(vectors: np.ndarray) -> np.ndarray:
    """`(N, D)` vectors scaled to length 1; a zero vector stays zero and is at cosine 0 from everything."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors, dtype=np.float64), where=length > 0)


def similarity_blocks(queries: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first query, `(<= BLOCK, M)` cosines) of unit `queries` `(N, D)` against unit `others` `(M, D)`."""
    for first in range(0, len(queries), BLOCK):
        yield first, queries[first : first + BLOCK] @ others.T


def knn_scores(
    task: str, vectors: np.ndarray, targets: np.ndarray, new: np.ndarray, *, classes: int, k: int = NEIGHBOURS
) -> np.ndarray:
    """Scores `(M, K)` of `new` vectors from their `k` nearest of `(N, D)` `vectors`, standardised on the latter.

    Class shares (multiclass), label shares (multilabel) or the mean (regression), each neighbour weighing
    1 + cosine: never negative, and a nearer neighbour breaks a tie. With fewer than `k` vectors all of them vote.
    """
    standardise = Standardiser.fitted(vectors)
    known, asked = unit(standardise(vectors)), unit(standardise(new))
    values = np.eye(classes)[targets] if task == "multiclass" else targets.astype(np.float64)
    out = np.empty((len(new), values.shape[1]))
    for first, cosine in similarity_blocks(asked, known):
        nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        weight = 1 + np.take_along_axis(cosine, nearest, axis=1).clip(-1, 1) + 1e-9
        votes = weight[..., None] * values[nearest]
        out[first : first + len(cosine)] = votes.sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return out
