"""Areas under the curves: scikit-learn one weighting at a time is the slow oracle."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mirclr.evaluation.ranking import ranking_areas
from mirclr.seeds import generator


@pytest.mark.parametrize("levels", [3, 10, 1000])
def test_areas_equal_scikit_learn_under_every_weighting(levels: int) -> None:
    random = generator(1, levels)
    positive = random.random(60) < 0.3
    score = random.integers(levels, size=60) / levels  # few levels: many ties
    weights = random.integers(0, 4, size=(20, 60)).astype(float)
    roc, precision = ranking_areas(positive, score, weights.T)
    np.testing.assert_allclose(roc, [roc_auc_score(positive, score, sample_weight=w) for w in weights])
    np.testing.assert_allclose(precision, [average_precision_score(positive, score, sample_weight=w) for w in weights])


def test_order_of_ties_does_not_matter() -> None:
    random = generator(2)
    positive, score = random.random(50) < 0.5, random.integers(3, size=50) / 3
    shuffled = random.permutation(50)
    plain = ranking_areas(positive, score, np.ones((50, 1)))
    other = ranking_areas(positive[shuffled], score[shuffled], np.ones((50, 1)))
    np.testing.assert_allclose(plain, other, rtol=1e-12)


def test_constant_score_is_half_and_the_share_of_positives() -> None:
    positive = np.arange(10) < 3
    roc, precision = ranking_areas(positive, np.full(10, 0.7), np.ones((10, 1)))
    assert roc[0] == pytest.approx(0.5)
    assert precision[0] == pytest.approx(0.3)


def test_perfect_and_reversed_rankings() -> None:
    positive = np.arange(6) < 2
    roc, precision = ranking_areas(positive, positive.astype(float), np.ones((6, 1)))
    assert (roc[0], precision[0]) == (1, 1)
    assert ranking_areas(positive, -positive.astype(float), np.ones((6, 1)))[0][0] == 0


@pytest.mark.parametrize("weights", [[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
def test_without_a_positive_or_a_negative_there_is_no_curve(weights: list[float]) -> None:
    positive = np.array([True, True, False, False])
    roc, precision = ranking_areas(positive, np.array([0.9, 0.1, 0.8, 0.2]), np.array([weights], float).T)
    assert np.isnan(roc[0])
    assert np.isnan(precision[0])


def test_no_positive_at_all_is_no_curve() -> None:
    roc, precision = ranking_areas(np.zeros(4, bool), np.arange(4.0), np.ones((4, 3)))
    assert np.isnan(roc).tolist() == np.isnan(precision).tolist() == [True] * 3
