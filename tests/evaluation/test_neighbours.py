"""k nearest neighbours by the definition, one query at a time."""

from __future__ import annotations

import numpy as np
import pytest

from mirclr.evaluation import neighbours
from mirclr.evaluation.neighbours import knn_scores, unit
from mirclr.evaluation.probes import Standardiser
from mirclr.seeds import generator


def material() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = generator(20)
    return random.normal(size=(40, 6)), random.normal(size=(15, 6)), random.integers(3, size=40)


def slow(x: np.ndarray, new: np.ndarray, values: np.ndarray, k: int) -> np.ndarray:
    scaled = Standardiser.fitted(x)
    out = []
    for query in scaled(new):
        near = [
            (float(query @ other / np.linalg.norm(query) / np.linalg.norm(other)), i)
            for i, other in enumerate(scaled(x))
        ]
        best = sorted(near, key=lambda pair: -pair[0])[:k]
        total = sum(1 + cosine for cosine, _ in best)
        out.append(sum((1 + cosine) * values[i] for cosine, i in best) / total)
    return np.array(out)


@pytest.mark.parametrize("block", [4, 1024])
def test_scores_equal_a_loop_over_queries(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    x, new, y = material()
    expected = slow(x, new, np.eye(3)[y], 5)
    np.testing.assert_allclose(knn_scores("multiclass", x, y, new, classes=3), expected, atol=1e-6)
    moods = generator(21).random((40, 2))
    np.testing.assert_allclose(
        knn_scores("regression", x, moods, new, classes=2, k=3), slow(x, new, moods, 3), atol=1e-6
    )


def test_multiclass_scores_are_probabilities() -> None:
    x, new, y = material()
    np.testing.assert_allclose(knn_scores("multiclass", x, y, new, classes=3).sum(axis=1), 1)


def test_nearer_neighbour_breaks_a_tie() -> None:
    x = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    scores = knn_scores("multiclass", x, np.array([0, 1, 2, 3]), np.array([[0.9, 0.5]]), classes=4, k=2)
    assert scores.argmax() == 0
    assert scores[0, 2] > 0


def test_fewer_vectors_than_k_all_vote() -> None:
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    scores = knn_scores("multiclass", x, np.array([0, 1]), x, classes=2, k=5)
    assert scores[0, 0] > scores[0, 1] >= 0


def test_a_zero_vector_is_at_cosine_zero_from_everything() -> None:
    np.testing.assert_array_equal(unit(np.zeros((1, 3))), np.zeros((1, 3)))
