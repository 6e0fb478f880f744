"""Probes over a collection's splits: every prediction is made for a track of an artist the probe has not seen.

In each split the penalty is chosen on the validation part, then the probe is fitted once more on training and
validation together, and the test part is predicted. (Where the training part is small, as in a personal library, the
validation part is a quarter more data; all rows get it alike.) Without a validation part, or with one too small to
choose on, every track outside the test part validates once, in folds of whole artists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mirclr.datasets.tasks import FRAMEWISE, Task, learned
from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation.neighbours import knn_scores
from mirclr.evaluation.probes import PenaltyChoice, choose_penalty, fit_path

INNER_FOLDS = 5
# On the 30 validation tracks of an Emotify fold the choice is a lottery: penalties from 0.1 to 10,000 for one and the
# same encoder, and 43 % accuracy where inner folds over all 160 tracks choose alike in every fold and reach 49 %. So it
# still is on the 197 of the fault-filtered GTZAN: with 57 librosa statistics they choose 100, which has 45.2 % where
# inner folds choose 10 and reach 53.1 %, what LogisticRegressionCV has, too. Of 1,000 the standard error is 1.6 points.
FEWEST_TO_CHOOSE_ON = 1000
PROBES = ("linear", "knn")


class Parts(Protocol):
    """A split: its name and the track numbers of its parts (`mirclr.datasets` makes them)."""

    @property
    def name(self) -> str: ...
    @property
    def train(self) -> np.ndarray: ...
    @property
    def valid(self) -> np.ndarray: ...
    @property
    def test(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Problem:
    """What is predicted: `task` (mirclr.datasets.tasks), which measures depend on, `targets` and `classes` as in
    `fit_path`, `groups` `(N,)` artist numbers, `splits`."""

    task: Task
    targets: np.ndarray
    groups: np.ndarray
    splits: Sequence[Parts]
    classes: int

    @property
    def learned(self) -> Task:
        """What a head learns for the task: multiclass, multilabel or regression."""
        return learned(self.task)

    def tested(self) -> tuple[np.ndarray, np.ndarray]:
        """Track numbers `(M,)` of all test parts in order, and the number `(M,)` of the split each comes from."""
        folds = [np.full(len(split.test), i) for i, split in enumerate(self.splits)]
        return np.concatenate([split.test for split in self.splits]), np.concatenate(folds)


def refuse_frames(name: str, task: Task) -> None:
    """Raises UsageError on a task of frames: probes read vectors of whole tracks."""
    if task in FRAMEWISE:
        raise UsageError(
            f"{name} asks for {task} of every frame, and a report card judges vectors of tracks; train and test a head "
            "on it with `mirclr finetune`"
        )


@dataclass(frozen=True)
class Predictions:
    """`scores` per probe `(M, K)` in the order of `Problem.tested`, and the penalty choice of each split."""

    scores: dict[str, np.ndarray]
    choices: tuple[PenaltyChoice, ...]


def predict_splits(problem: Problem, vectors: np.ndarray) -> Predictions:
    """Predict the test part of every split from `vectors` `(N, D)`.

    Raises DatasetError when a split has nothing to train on, nothing to test, or nothing to choose a penalty with.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

    with threadpool_limits(1):  # small matrices: a second thread costs more than it brings, and sums stay in order
        done = [_one_split(problem, vectors, split) for split in problem.splits]
    scores = {probe: np.concatenate([scores[probe] for scores, _ in done]) for probe in PROBES}
    return Predictions(scores, tuple(choice for _, choice in done))


def _one_split(problem: Problem, vectors: np.ndarray, split: Parts) -> tuple[dict[str, np.ndarray], PenaltyChoice]:
    choice = linear_choice(problem, vectors, split)
    known = np.concatenate([split.train, split.valid])
    data = (problem.learned, vectors[known], problem.targets[known], vectors[split.test])
    scores = linear_scores(problem, vectors, split, choice.penalty)
    return {"linear": scores, "knn": knn_scores(*data, classes=problem.classes)}, choice


def linear_choice(problem: Problem, vectors: np.ndarray, split: Parts) -> PenaltyChoice:
    """The penalty of the linear probe of one split; raises DatasetError as `predict_splits`."""
    check_split(split)
    known = np.concatenate([split.train, split.valid])
    one_artist = len(np.unique(problem.groups[known])) < 2
    published = len(split.valid) and (one_artist or len(split.valid) >= FEWEST_TO_CHOOSE_ON)
    pairs = [(split.train, split.valid)] if published else inner_folds(known, problem.groups, split.name)
    return choose_penalty(problem.learned, vectors, problem.targets, pairs, problem.classes)


def linear_scores(
    problem: Problem, vectors: np.ndarray, split: Parts, penalty: float, new: np.ndarray | None = None
) -> np.ndarray:
    """Scores of the vectors of a split's test part (or of `new` ones) by the probe fitted on its other parts."""
    known = np.concatenate([split.train, split.valid])
    data = (problem.learned, vectors[known], problem.targets[known], vectors[split.test] if new is None else new)
    return fit_path(*data, classes=problem.classes, penalties=[penalty]).scores[0]


def inner_folds(train: np.ndarray, groups: np.ndarray, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(fit, judge) track numbers of up to `INNER_FOLDS` folds of whole artists; raises DatasetError on one artist."""
    from sklearn.model_selection import GroupKFold

    artists = len(np.unique(groups[train]))
    if artists < 2:
        raise DatasetError(
            f"split {name!r}: all {len(train)} training tracks are of one artist and there is no validation part, so "
            "no penalty can be chosen; name a validation part or add artists"
        )
    folds = GroupKFold(min(INNER_FOLDS, artists)).split(train, groups=groups[train])
    return [(train[fit], train[judge]) for fit, judge in folds]


def check_split(split: Parts) -> None:
    """Raises DatasetError when there is nothing to train on or nothing to test."""
    for part, tracks in (("training", split.train), ("test", split.test)):
        if not len(tracks):
            raise DatasetError(f"split {split.name!r}: no {part} tracks are left; check the files and the split")
