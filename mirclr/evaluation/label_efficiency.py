"""Label efficiency: how good is a probe that was told 1, 5, 10 or 20 tracks of every label?

From the training and validation part of each split so many tracks of every label are drawn, 20 times, the same for
every row of a report. The linear probe is fitted on them with one fixed penalty: few labels leave none to choose with.
Vectors are standardised by all training tracks, which takes no label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mirclr.evaluation.bootstrap import interval
from mirclr.evaluation.crossfit import Parts, Problem
from mirclr.evaluation.judge import Judge, Judged, Measure
from mirclr.evaluation.metrics import score_predictions
from mirclr.evaluation.probes import Standardiser, fit_path
from mirclr.evaluation.prototypes import prototype_scores
from mirclr.evaluation.sections import Section
from mirclr.evaluation.softmax_newton import softmax_scores
from mirclr.evaluation.tables import table_of
from mirclr.evaluation.tasks import main_metric
from mirclr.seeds import generator

SHOTS = (1, 5, 10, 20)
DRAWS = 20
PENALTY = 1.0  # scikit-learn's default; with a handful of tracks of standardised vectors any moderate one does
TRACKS_A_SHOT = 10  # numbers have no labels to draw from: a shot is then ten tracks, as in a collection of ten labels


@dataclass(frozen=True)
class _Told:
    """Of one split: the tracks that could be told (`known`) and those that are, a row a draw (`drawn`)."""

    split: Parts
    known: np.ndarray
    drawn: Sequence[np.ndarray]


Fit = Callable[[Problem, np.ndarray, _Told], list[np.ndarray]]


def _linear(problem: Problem, vectors: np.ndarray, told: _Told) -> list[np.ndarray]:
    standardise = Standardiser.fitted(vectors[told.known])
    new = vectors[told.split.test]
    if problem.learned == "multiclass":
        drawn = np.stack(told.drawn)  # so many of every label: all draws are of one size
        data = (standardise(vectors[drawn.ravel()]).reshape(*drawn.shape, -1), problem.targets[drawn], standardise(new))
        return list(softmax_scores(*data, classes=problem.classes, penalty=PENALTY))
    given = {"classes": problem.classes, "penalties": [PENALTY], "standardise": standardise}
    return [
        fit_path(problem.learned, vectors[rows], problem.targets[rows], new, **given).scores[0]  # type: ignore[arg-type]
        for rows in told.drawn
    ]


def _centroids(problem: Problem, vectors: np.ndarray, told: _Told) -> list[np.ndarray]:
    new = vectors[told.split.test]
    return [
        prototype_scores(problem.learned, vectors[rows], problem.targets[rows], new, classes=problem.classes)
        for rows in told.drawn
    ]


FITS: dict[str, Fit] = {"linear": _linear, "fewshot": _centroids}
"""What is fitted on few tracks, by the name of its protocol."""


def told_tracks(problem: Problem, known: np.ndarray, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Track numbers, ascending: `shots` of every label among `known`, all there are where there are fewer.

    Several labels a track: tracks are taken in random order as long as one of their labels has too few; so a frequent
    label may come with more. Numbers: `TRACKS_A_SHOT` times `shots` tracks.
    """
    order = known[rng.permutation(len(known))]
    if problem.learned == "regression":
        return np.sort(order[: shots * TRACKS_A_SHOT])
    has = (
        np.eye(problem.classes)[problem.targets[order]]
        if problem.learned == "multiclass"
        else problem.targets[order] > 0.5
    )
    counts, taken = np.zeros(problem.classes), []
    for track, labels in zip(order, has.astype(bool), strict=True):
        if (counts[labels] < shots).any():
            counts += labels
            taken.append(track)
    return np.sort(np.array(taken, np.int64))


def judge_few(
    judge: Judge, vectors: np.ndarray, fit: str, shots: tuple[int, ...] = SHOTS, draws: int = DRAWS
) -> Judged:
    """The main measure under `"N.metric"` for N of `shots` and under `"all.metric"`: the mean over draws, its interval
    over artists and draws together."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

    measures, drawn, metric = {}, {}, main_metric(judge.problem.task)
    with threadpool_limits(1):
        for label, tables in _scores(judge, vectors, FITS[fit], shots, draws):
            key = f"{label}.{metric}"
            values = [_values(judge, scores, place, len(tables)) for place, scores in enumerate(tables)]
            drawn[key] = np.concatenate([each[1:] for each in values])
            measures[key] = Measure(float(np.mean([each[0] for each in values])), *interval(drawn[key]))
    return Judged(measures, drawn)


def _scores(
    judge: Judge, vectors: np.ndarray, fit: Fit, shots: tuple[int, ...], draws: int
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(shots or "all", the scores `(M, K)` of every draw)."""
    problem = judge.problem

    def drawn(split: Parts, known: np.ndarray, shot: int) -> list[np.ndarray]:
        place = (judge.seed, "label efficiency", split.name, shot)
        return [told_tracks(problem, known, shot, generator(*place, draw)) for draw in range(draws)]

    for label, shot in [*((str(shot), shot) for shot in shots), ("all", None)]:
        parts = []
        for split in problem.splits:
            known = np.concatenate([split.train, split.valid])
            told = _Told(split, known, [known] if shot is None else drawn(split, known, shot))
            parts.append(fit(problem, vectors, told))
        yield label, [np.concatenate(draw) for draw in zip(*parts, strict=True)]


def _values(judge: Judge, scores: np.ndarray, place: int, of: int) -> np.ndarray:
    """The main measure of all tested tracks, then under this draw's share of the bootstrap's weights."""
    weights = np.concatenate([judge.every, judge.artists[place::of]])
    metric = main_metric(judge.problem.task)
    return score_predictions(judge.problem.task, judge.truth, scores, weights)[metric]


def efficiency_section(fit: str, judge: Judge, judged: Mapping[str, Judged]) -> Section:
    """A line for every number of tracks a label, a column with its interval for every row of the report."""
    pool = [np.concatenate([split.train, split.valid]) for split in judge.problem.splits]
    task = judge.problem.learned
    labels = 1 if task == "regression" else judge.problem.classes
    every = round(float(np.mean([len(p) for p in pool])) / labels)
    unit = "tracks" if task == "regression" else "tracks per label"
    scale = TRACKS_A_SHOT if task == "regression" else 1
    metric = main_metric(judge.problem.task)
    lines = {**{str(n): n * scale for n in SHOTS}, "all": every}
    fixed = (f"penalty {PENALTY:g} throughout: a few labels leave none to choose with",) if fit == "linear" else ()
    notes = (
        f"{metric}, mean of {DRAWS} draws, the same for every row; intervals over artists and draws",
        f"the last line is told all: {every} on average",
        *fixed,
    )
    table = table_of(unit, {told: f"{key}.{metric}" for key, told in lines.items()}, judged)
    stem = "label-efficiency" if fit == "linear" else f"label-efficiency-{fit}"
    return Section(stem, f"Label efficiency ({fit})", *table, notes, "curve")
