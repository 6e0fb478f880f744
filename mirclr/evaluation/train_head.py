"""`train_head`: a linear probe on frozen embeddings, kept as a head whose confidences mean something.

Every track is answered once by a probe that never saw its artist (folds of whole artists). On those answers the
confidences are calibrated and the least confidence is chosen. What is reported of both is one step further from the
training: for each fold, calibration and least confidence come from the answers in the other folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from mirclr.audio.cache import default_folder
from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Material, mass_of, seeded_folds
from mirclr.datasets.targets import per_label
from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation.bootstrap import DRAWS, interval, track_weights
from mirclr.evaluation.calibration import (
    Claims,
    calibration_error,
    claims_of,
    fit_calibration,
    given_shares,
    least_confidence,
    perfect_errors,
    reliability,
)
from mirclr.evaluation.crossfit import Parts, Problem, inner_folds, linear_choice
from mirclr.evaluation.metrics import correlated
from mirclr.evaluation.probes import LinearMap, choose_penalty, fit_map
from mirclr.evaluation.subject import Subject, embed_collection
from mirclr.features.calibration import Calibration
from mirclr.features.embed import embed_tracks
from mirclr.features.extractor import Extractor
from mirclr.features.segment_cache import SegmentCache
from mirclr.models.task_head import TaskHead
from mirclr.reports import Progress, Work
from mirclr.seeds import generator

FOLDS = 5
PERFECT_DRAWS = 400
COLUMNS = ("measure", "value", "95 % interval")


@dataclass(frozen=True)
class Options:
    """`precision` in 0..1: the share of right answers that the least confidence is chosen for. `high` in 0..1: of a
    quantity, the share of the collection's tracks below what counts as much of it. `seed` draws folds and intervals."""

    precision: float = 0.8
    high: float = 0.75
    seed: int = 0


@dataclass(frozen=True)
class TrainedHead:
    """The `head` of a collection's `vocabulary`, its `calibration`, the `table` of what was measured (COLUMNS), `notes`
    and the `quarantine` of what could not be heard."""

    head: TaskHead
    vocabulary: tuple[str, ...]
    calibration: Calibration
    table: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    quarantine: pd.DataFrame


def train_head(collection: Collection, extractor: Extractor, options: Options | None = None) -> Work[TrainedHead]:
    """Fit, calibrate and measure a head for the labels of `collection` on the embeddings of `extractor`.

    Raises UsageError on a task of frames or tempi, DatasetError with too few tracks or artists, or where a label or a
    quantity is the same for every track.
    """
    options = options or Options()
    if collection.kind == "tempo":
        raise UsageError(f"{collection.name}: tempi are for `mirclr finetune --task tempo`; a tag is no number")
    embed = partial(embed_tracks, cache=SegmentCache(default_folder() / "embeddings"))
    subject = yield from embed_collection(collection, {"encoder": extractor}, embed)
    yield Progress("fit", 0, FOLDS + 1)
    problem, vectors = subject.problem, subject.vectors["encoder"]
    _check_labels(collection, problem)
    folds = _folds(collection, subject, options.seed)
    outputs, fold = yield from _out_of_fold(problem, vectors, folds)
    whole = _fitted(problem, vectors, np.arange(len(vectors)), collection.name)
    head = as_head(problem, whole, vectors)
    exam = _Exam(problem, _in_head_units(head, outputs), fold, options)
    yield Progress("fit", FOLDS + 1, FOLDS + 1)
    calibration = exam.calibrated(np.ones(len(fold), bool))
    calibration = replace(calibration, story=exam.story(calibration))
    notes = (f"{len(vectors)} tracks of {len(np.unique(problem.groups))} artists, {len(folds)} folds of whole artists",)
    return TrainedHead(head, collection.vocabulary, calibration, exam.table(), notes, subject.quarantine)


def as_head(problem: Problem, linear: LinearMap, vectors: np.ndarray) -> TaskHead:
    """The same answers as a probe gives, by the one head that mirclr keeps."""
    task, (outputs, inputs) = problem.learned, linear.weights.shape
    head = TaskHead(inputs, outputs, task).fit(torch.from_numpy(vectors))
    weights, bias = linear.weights, linear.bias
    if task == "regression":
        head.fit_targets(torch.from_numpy(problem.targets))
        deviation = head.target_std.double().numpy()
        weights, bias = weights / deviation[:, None], (bias - head.target_mean.double().numpy()) / deviation
    # Batch norm divides by sqrt(variance + eps), a probe by the deviation, and by infinity where nothing varies.
    norm = head.standardise
    ratio = np.sqrt(norm.running_var.double().numpy() + norm.eps) / linear.standardise.scale  # type: ignore[union-attr]
    with torch.no_grad():
        head.map[-1].weight.copy_(torch.from_numpy(weights * ratio))  # type: ignore[operator]
        head.map[-1].bias.copy_(torch.from_numpy(bias))  # type: ignore[operator]
    return head.eval()


def _in_head_units(head: TaskHead, outputs: np.ndarray) -> np.ndarray:
    """Predicted values as the head's outputs, in deviations; logits as they are."""
    if head.task != "regression":
        return outputs
    return np.asarray((outputs - head.target_mean.double().numpy()) / head.target_std.double().numpy())


def _check_labels(collection: Collection, problem: Problem) -> None:
    """Raises DatasetError where there is nothing to tell apart."""
    if problem.learned == "regression":
        same = [n for n, column in zip(collection.vocabulary, problem.targets.T, strict=True) if not np.ptp(column)]
        if same:
            raise DatasetError(f"{collection.name}: {', '.join(same)} is the same for every track; leave it out")
        return
    there = per_label(problem.targets, problem.learned, problem.classes)
    nobody = [name for name, count in zip(collection.vocabulary, there, strict=True) if not count]
    if nobody:
        raise DatasetError(f"{collection.name}: no track that can be heard has the label {', '.join(nobody)}")


def _folds(collection: Collection, subject: Subject, seed: int) -> Sequence[Parts]:
    """The collection's own folds where their test parts are every track once, else seeded ones."""
    problem, count = subject.problem, len(subject.tracks)
    if np.array_equal(np.sort(problem.tested()[0]), np.arange(count)):
        return problem.splits
    mass = mass_of(problem.targets, problem.task, problem.classes)
    return seeded_folds(Material(collection.name, problem.groups, mass, seed), "folds", FOLDS)


def _out_of_fold(problem: Problem, vectors: np.ndarray, folds: Sequence[Parts]) -> Work[tuple[np.ndarray, np.ndarray]]:
    """`(N, K)` outputs for every track by a probe of the other folds, and `(N,)` the fold of each."""
    outputs, fold = np.zeros((len(vectors), problem.classes)), np.zeros(len(vectors), np.int64)
    for number, split in enumerate(folds):
        known = np.concatenate([split.train, split.valid])
        penalty = linear_choice(problem, vectors, split).penalty
        outputs[split.test] = _map(problem, vectors, known, penalty)(vectors[split.test])
        fold[split.test] = number
        yield Progress("fit", number + 1, FOLDS + 1)
    return outputs, fold


def _fitted(problem: Problem, vectors: np.ndarray, rows: np.ndarray, name: str) -> LinearMap:
    """The probe of `rows`, its penalty chosen by folds of whole artists among them."""
    pairs = inner_folds(rows, problem.groups, name)
    choice = choose_penalty(problem.learned, vectors, problem.targets, pairs, problem.classes)
    return _map(problem, vectors, rows, choice.penalty)


def _map(problem: Problem, vectors: np.ndarray, rows: np.ndarray, penalty: float) -> LinearMap:
    data = (problem.learned, vectors[rows], problem.targets[rows])
    return fit_map(*data, classes=problem.classes, penalty=penalty)


class _Exam:
    """Out-of-fold `outputs` `(N, K)` in the head's units, and what confidences made of them are worth."""

    def __init__(self, problem: Problem, outputs: np.ndarray, fold: np.ndarray, options: Options) -> None:
        self.task, self.targets, self.outputs, self.fold = problem.learned, problem.targets, outputs, fold
        self.options = options
        self.high = np.quantile(problem.targets, options.high, axis=0) if self.task == "regression" else None
        self.truth = problem.targets if self.task == "multiclass" else problem.targets > (
            0.5 if self.high is None else self.high
        )  # fmt: skip
        one = np.ones((1, len(fold)), np.float32)
        self.weights = np.concatenate([one, track_weights(problem.groups, DRAWS, options.seed)])
        self.claims, self.least = self._examined()

    def calibrated(self, rows: np.ndarray) -> Calibration:
        """Calibration and least confidence by the answers to `rows`."""
        fitted = fit_calibration(self.task, self.outputs[rows], self.truth[rows])
        claims = claims_of(self.task, fitted.confidences(self.task, self.outputs[rows]), self.truth[rows])
        least = least_confidence(claims, self.options.precision)
        high = None if self.high is None else tuple(self.high.tolist())
        return replace(fitted, high=high, precision=self.options.precision, min_confidence=least)

    def _examined(self) -> tuple[Claims, np.ndarray]:
        """Claims of every fold, and the least confidence `(N,)`, by a calibration of the other folds."""
        confidences, least = np.zeros_like(self.outputs), np.full(len(self.fold), np.inf)
        for number in np.unique(self.fold):
            here = self.fold == number
            other = self.calibrated(~here)
            confidences[here] = other.confidences(self.task, self.outputs[here])
            least[here] = np.inf if other.min_confidence is None else other.min_confidence
        return claims_of(self.task, confidences, self.truth), least

    def _before(self) -> Claims | None:
        """Claims by the probabilities as they come; a quantity has none."""
        if self.task == "regression":
            return None
        plain = Calibration((1.0,) * self.outputs.shape[1], (0.0,) * self.outputs.shape[1])
        return claims_of(self.task, plain.confidences(self.task, self.outputs), self.truth)

    def measures(self) -> dict[str, tuple[float, float | None, float | None]]:
        """(value, low, high) of every measure; the ends of a 95 % interval over artists.

        A calibration error has none: drawing artists again adds noise that the error counts as its own, so that its
        draws lie above it. What it is held against is the range of a perfect head's.
        """
        precision, coverage = given_shares(self.claims, self.least, self.weights)
        found = {
            "right, of all answers": given_shares(self.claims, np.zeros(len(self.fold)), self.weights)[0],
            "right, of answers given": precision,
            "tracks with an answer": coverage,
            "calibration error after": calibration_error(self.claims, self.weights[:1]),
        }
        if self.task != "multiclass":  # every label of every track is a claim: the share of right ones is how many hold
            found["labels that hold, of all"] = found.pop("right, of all answers")
        before = self._before()
        if before is not None:
            found["calibration error before"] = calibration_error(before, self.weights[:1])
        perfect = perfect_errors(self.claims, PERFECT_DRAWS, generator(self.options.seed, "perfect"))
        found["calibration error of a perfect head"] = np.append(perfect.mean(), perfect)
        if self.task == "regression":
            found["Pearson's r"] = correlated(self.targets, self.outputs, self.weights.astype(np.float64)).mean(axis=1)
        ends = {name: interval(draws[1:]) if len(draws) > 1 else (None, None) for name, draws in found.items()}
        return {name: (float(draws[0]), *ends[name]) for name, draws in found.items()}

    def table(self) -> tuple[dict[str, Any], ...]:
        """`measures` for people."""
        rows = [
            (name, value, "" if low is None else f"{low:.3f} to {high:.3f}")
            for name, (value, low, high) in self.measures().items()
        ]
        return tuple(dict(zip(COLUMNS, (name, round(value, 3), ends), strict=True)) for name, value, ends in rows)

    def story(self, calibration: Calibration) -> dict[str, Any]:
        """What is kept with the head, for people."""
        known = claims_of(self.task, calibration.confidences(self.task, self.outputs), self.truth)
        names = ("value", "low", "high")
        measures = {name: dict(zip(names, m, strict=True)) for name, m in self.measures().items()}
        return {"measures": measures, "reliability": reliability(known)}
