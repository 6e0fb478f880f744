"""Splits: nothing of the test part can reach the probe, however one pulls at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mirclr.datasets.splits import Split
from mirclr.errors import DatasetError
from mirclr.evaluation import crossfit
from mirclr.evaluation.crossfit import Problem, inner_folds, predict_splits
from mirclr.seeds import generator

NOTHING = np.array([], np.int64)


def material(task: str = "multiclass", valid: bool = True) -> tuple[Problem, np.ndarray]:
    """60 tracks of 20 artists in three folds, vectors that know a little."""
    random = generator(30)
    groups = np.repeat(np.arange(20), 3)
    labels = groups % 4
    vectors = np.eye(4)[labels] @ random.normal(size=(4, 10)) + random.normal(size=(60, 10))
    targets = {"multiclass": labels, "multilabel": np.eye(4)[labels], "regression": vectors[:, :4] + 0.5}[task]
    splits = []
    for fold in range(3):
        test, chosen = groups % 3 == fold, groups % 3 == (fold + 1) % 3
        rest = ~test & ~chosen if valid else ~test
        parts = (np.flatnonzero(p) for p in (rest, chosen & valid, test))
        splits.append(Split(f"fold/{fold}", *parts))
    return Problem(task, targets, groups, splits, 4), vectors


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_test_targets_change_neither_the_penalty_nor_a_prediction(task: str, valid: bool) -> None:
    problem, vectors = material(task, valid)
    split = problem.splits[0]
    single = replace(problem, splits=[split])
    wrong = problem.targets.copy()
    wrong[split.test] = np.roll(wrong[split.test], 5, axis=0)[::-1]
    assert (wrong != problem.targets).any()
    honest, cheated = predict_splits(single, vectors), predict_splits(replace(single, targets=wrong), vectors)
    assert honest.choices == cheated.choices
    for probe in ("linear", "knn"):
        np.testing.assert_array_equal(honest.scores[probe], cheated.scores[probe])


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_other_test_vectors_do_not_change_a_prediction(task: str) -> None:
    problem, vectors = material(task)
    split = problem.splits[0]
    single = replace(problem, splits=[split])
    moved = vectors.copy()
    moved[split.test[1:]] *= 100
    before, after = predict_splits(single, vectors), predict_splits(single, moved)
    assert before.choices == after.choices
    for probe in ("linear", "knn"):
        np.testing.assert_allclose(before.scores[probe][0], after.scores[probe][0], rtol=1e-12)


def test_a_large_enough_validation_part_chooses_the_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossfit, "FEWEST_TO_CHOOSE_ON", 1)
    problem, vectors = material()
    split = problem.splits[0]
    wrong = problem.targets.copy()
    wrong[split.valid] = (wrong[split.valid] + 1) % 4
    honest = predict_splits(replace(problem, splits=[split]), vectors).choices[0]
    misled = predict_splits(replace(problem, splits=[split], targets=wrong), vectors).choices[0]
    assert misled.penalty != honest.penalty


def test_a_small_validation_part_joins_the_inner_folds() -> None:
    """Then the split chooses as if its validation part had been given for training."""
    problem, vectors = material()
    split = problem.splits[0]
    known = np.concatenate([split.train, split.valid])
    without = replace(split, train=known, valid=NOTHING)
    small, joined = (predict_splits(replace(problem, splits=[s]), vectors) for s in (split, without))
    assert small.choices == joined.choices
    np.testing.assert_allclose(small.scores["linear"], joined.scores["linear"])


def test_predictions_come_in_the_order_of_tested() -> None:
    problem, vectors = material()
    tested, folds = problem.tested()
    np.testing.assert_array_equal(np.sort(tested), np.arange(60))
    whole = predict_splits(problem, vectors)
    for number, split in enumerate(problem.splits):
        alone = predict_splits(replace(problem, splits=[split]), vectors)
        np.testing.assert_array_equal(whole.scores["linear"][folds == number], alone.scores["linear"])


def test_inner_folds_keep_artists_whole_and_judge_every_training_track_once() -> None:
    groups = np.repeat(np.arange(8), 4)
    train = np.arange(4, 32)
    folds = inner_folds(train, groups, "s")
    assert len(folds) == 5
    for fit, judge in folds:
        assert not set(groups[fit]) & set(groups[judge])
    np.testing.assert_array_equal(np.sort(np.concatenate([judge for _, judge in folds])), train)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (NOTHING, np.arange(3), "split 's': no training tracks are left"),
        (np.arange(9), NOTHING, "split 's': no test tracks are left"),
        (np.arange(3), np.arange(3, 9), "split 's': all 3 training tracks are of one artist"),
    ],
)
def test_splits_that_cannot_be_used_are_refused(train: np.ndarray, test: np.ndarray, message: str) -> None:
    problem, vectors = material()
    with pytest.raises(DatasetError, match=message):
        predict_splits(replace(problem, splits=[Split("s", train, NOTHING, test)]), vectors)
