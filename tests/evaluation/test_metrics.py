"""Metrics as functions of weights: scikit-learn on the tracks really repeated is the slow oracle."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as oracle

from mirclr.evaluation import metrics
from mirclr.evaluation.metrics import class_scores, confusion_matrix, score_predictions
from mirclr.seeds import generator

CLASSES = 5


def multiclass(tracks: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = generator(3, tracks)
    scores = random.dirichlet(np.ones(CLASSES), tracks)
    return random.integers(CLASSES, size=tracks), scores


def counts(tracks: int, rows: int = 12) -> np.ndarray:
    return generator(4, tracks).integers(0, 4, size=(rows, tracks)).astype(float)


def test_multiclass_equals_scikit_learn_on_repeated_tracks() -> None:
    truth, scores = multiclass()
    weights = counts(60)
    ours = score_predictions("multiclass", truth, scores, weights)
    for b, row in enumerate(weights.astype(int)):
        t, s = np.repeat(truth, row), np.repeat(scores, row, axis=0)
        wanted = np.eye(CLASSES)[t]
        expected = {
            "accuracy": oracle.accuracy_score(t, s.argmax(1)),
            "balanced_accuracy": oracle.balanced_accuracy_score(t, s.argmax(1)),
            "top3_accuracy": oracle.top_k_accuracy_score(t, s, k=3),
            "macro_f1": oracle.f1_score(t, s.argmax(1), average="macro"),
            "roc_auc": oracle.roc_auc_score(wanted, s, average="macro"),
            "pr_auc": oracle.average_precision_score(wanted, s, average="macro"),
        }
        assert {name: values[b] for name, values in ours.items()} == pytest.approx(expected)


def test_multilabel_equals_scikit_learn_on_repeated_tracks() -> None:
    random = generator(5)
    truth, scores = (random.random((50, 4)) < 0.4).astype(np.float32), random.random((50, 4))
    weights = counts(50)
    ours = score_predictions("multilabel", truth, scores, weights)
    for b, row in enumerate(weights.astype(int)):
        t, s = np.repeat(truth, row, axis=0), np.repeat(scores, row, axis=0)
        assert ours["roc_auc"][b] == pytest.approx(oracle.roc_auc_score(t, s, average="macro"))
        assert ours["pr_auc"][b] == pytest.approx(oracle.average_precision_score(t, s, average="macro"))
        assert ours["macro_f1"][b] == pytest.approx(oracle.f1_score(t, s >= 0.5, average="macro"))


def test_regression_equals_scikit_learn_on_repeated_tracks() -> None:
    random = generator(6)
    truth = random.normal(1000, 1, (50, 3)).astype(np.float32)  # far from zero: no digits may be lost
    scores = truth + random.normal(0, 0.7, (50, 3))
    weights = counts(50)
    ours = score_predictions("regression", truth, scores, weights)
    for b, row in enumerate(weights.astype(int)):
        t, s = np.repeat(truth, row, axis=0).astype(float), np.repeat(scores, row, axis=0)
        assert ours["r2"][b] == pytest.approx(oracle.r2_score(t, s), rel=1e-5)
        assert ours["mae"][b] == pytest.approx(oracle.mean_absolute_error(t, s))
        assert ours["rmse"][b] == pytest.approx(oracle.mean_squared_error(t, s) ** 0.5)
        pearson = [np.corrcoef(t[:, k], s[:, k])[0, 1] for k in range(3)]
        assert ours["r"][b] == pytest.approx(np.mean(pearson), rel=1e-5)


def test_a_constant_prediction_has_no_correlation() -> None:
    truth = np.random.default_rng(0).normal(size=(9, 2))
    scores = np.stack([2 * truth[:, 0] - 5, np.full(9, 3.0)], axis=1)
    assert score_predictions("regression", truth, scores, np.ones((1, 9)))["r"][0] == pytest.approx(1.0)
    assert np.isnan(score_predictions("regression", truth, scores[:, [1, 1]], np.ones((1, 9)))["r"][0])


def test_zero_one_weights_are_a_fold() -> None:
    truth, scores = multiclass()
    fold = np.arange(60) < 20
    weighted = score_predictions("multiclass", truth, scores, fold[None, :].astype(float))
    alone = score_predictions("multiclass", truth[fold], scores[fold], np.ones((1, 20)))
    assert {n: v[0] for n, v in weighted.items()} == pytest.approx({n: v[0] for n, v in alone.items()})


def test_labels_absent_from_the_tested_tracks_are_left_out_of_the_mean() -> None:
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]], np.float32)  # the third label has no positive
    scores = np.array([[0.9, 0.2, 0.6], [0.1, 0.8, 0.7], [0.8, 0.1, 0.1], [0.3, 0.9, 0.2]])
    ours = score_predictions("multilabel", truth, scores, np.ones((1, 4)))
    assert ours["roc_auc"][0] == 1.0
    assert ours["pr_auc"][0] == 1.0
    nothing = score_predictions("multilabel", np.zeros((4, 3)), scores, np.ones((1, 4)))
    assert np.isnan(nothing["roc_auc"][0])


def test_class_absent_from_truth_counts_in_f1_only_when_it_is_answered() -> None:
    never_answered = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    wrongly_answered = np.array([[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]])
    truth = np.array([0, 1])
    assert score_predictions("multiclass", truth, never_answered, np.ones((1, 2)))["macro_f1"][0] == 1
    assert score_predictions("multiclass", truth, wrongly_answered, np.ones((1, 2)))["macro_f1"][0] == pytest.approx(
        1 / 3
    )


def test_constant_target_has_no_r2_and_the_others_are_still_averaged() -> None:
    truth = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    assert score_predictions("regression", truth, truth, np.ones((1, 3)))["r2"][0] == 1
    assert np.isnan(metrics.explained(truth, truth, np.ones((1, 3)))[0, 1])


def test_top_three_breaks_ties_by_class_order() -> None:
    scores = np.full((4, 4), 0.25)
    np.testing.assert_array_equal(metrics.in_top(np.arange(4), scores), [1, 1, 1, 0])


def test_top_three_of_three_classes_is_not_reported() -> None:
    truth = np.array([0, 1, 2])
    assert "top3_accuracy" not in score_predictions("multiclass", truth, np.eye(3), np.ones((1, 3)))


def test_blocks_of_weights_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, scores = multiclass()
    whole = score_predictions("multiclass", truth, scores, counts(60))
    monkeypatch.setattr(metrics, "_BLOCK", 130)  # two rows of 60 at a time
    for name, values in score_predictions("multiclass", truth, scores, counts(60)).items():
        np.testing.assert_array_equal(values, whole[name])


def test_confusion_and_class_scores_equal_scikit_learn() -> None:
    truth, scores = multiclass()
    guess = scores.argmax(axis=1)
    ours = confusion_matrix(truth, guess, CLASSES)
    np.testing.assert_array_equal(ours, oracle.confusion_matrix(truth, guess, labels=range(CLASSES)))
    expected = oracle.precision_recall_fscore_support(truth, guess, labels=range(CLASSES))
    scored = class_scores(ours.diagonal(), ours.sum(axis=1), ours.sum(axis=0))
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        np.testing.assert_allclose(scored[name], values)


def test_lengths_that_differ_and_unknown_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="3 truths, 2 scores and weights of 3 do not match"):
        score_predictions("multiclass", np.zeros(3, int), np.ones((2, 2)), np.ones((1, 3)))
    with pytest.raises(
        ValueError, match="task must be one of multiclass, multilabel, regression, key, tempo, got 'genre'"
    ):
        score_predictions("genre", np.zeros(3, int), np.ones((3, 2)), np.ones((1, 3)))
