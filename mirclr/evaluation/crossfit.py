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
# same encoder, and 43 % accuracy where inner folds over all 160 tracks choose alike in every fold and reach 49 %.
FEWEST_TO_CHOOSE_ON = 100
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
    _check(split)
    task, targets, classes = learned(problem.task), problem.targets, problem.classes
    known = np.concatenate([split.train, split.valid])
    one_artist = len(np.unique(problem.groups[known])) < 2
    published = len(split.valid) and (one_artist or len(split.valid) >= FEWEST_TO_CHOOSE_ON)
    pairs = [(split.train, split.valid)] if published else inner_folds(known, problem.groups, split.name)
    choice = choose_penalty(task, vectors, targets, pairs, classes)
    data = (task, vectors[known], targets[known], vectors[split.test])
    path = fit_path(*data, classes=classes, penalties=[choice.penalty])
    return {"linear": path.scores[0], "knn": knn_scores(*data, classes=classes)}, choice


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


def _check(split: Parts) -> None:
    for part, tracks in (("training", split.train), ("test", split.test)):
        if not len(tracks):
            raise DatasetError(f"split {split.name!r}: no {part} tracks are left; check the files and the split")
