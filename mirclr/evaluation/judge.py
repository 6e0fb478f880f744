"""One row of a report: vectors in, every measure with its interval, its folds and its bootstrap draws out.

All rows of a report are judged by the same `Judge`: the same tracks, splits and draws of artists. That is what makes
a difference between two rows a paired one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mirclr.datasets.collection import Collection
from mirclr.datasets.tasks import learned
from mirclr.evaluation.bootstrap import DRAWS, interval, track_weights
from mirclr.evaluation.crossfit import PROBES, Predictions, Problem, predict_splits, refuse_frames
from mirclr.evaluation.metrics import MAIN_METRIC, score_predictions
from mirclr.evaluation.retrieval import Ground, Retrieval, expected_at_random, retrieve
from mirclr.seeds import generator

UNBOUNDED = ("r2", "r", "mae", "rmse")  # every other measure lies in 0..1


@dataclass(frozen=True)
class Measure:
    """A `value`, its 95 % interval `low` to `high` over artists, and the value of each fold alone (probes only).

    Chance is a fixed reference: its interval is nan and it has no folds.
    """

    value: float
    low: float
    high: float
    folds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Judged:
    """Measures by name (`linear.accuracy`, `retrieval.artist_r1`), their bootstrap draws `(B,)` under the same names,
    and the predictions they come from (None for the mean of several rows)."""

    measures: dict[str, Measure]
    draws: dict[str, np.ndarray] = field(repr=False)
    predictions: Predictions | None = field(repr=False, default=None)


class Judge:
    """Holds what every row shares. `main` names the measure that decides, e.g. `linear.accuracy`; `every` (1, M) and
    `artists` (draws, M) are weights of the tested tracks: ones, and those of the bootstrap."""

    def __init__(self, problem: Problem, ground: Ground, *, seed: int = 0, draws: int = DRAWS) -> None:
        self.problem, self.ground, self.seed, self.draws = problem, ground, seed, draws
        self.main = f"linear.{MAIN_METRIC[problem.task]}"
        tested, folds = problem.tested()
        self.truth = problem.targets[tested]
        self.every = np.ones((1, len(tested)), np.float32)
        by_fold = (folds == np.arange(len(problem.splits))[:, None]).astype(np.float32)
        self.artists = track_weights(problem.groups[tested], draws, seed)
        self._weights = np.concatenate([self.every, by_fold, self.artists])

    @classmethod
    def of(cls, collection: Collection) -> Judge:
        """The judge of a whole collection, over its own splits. Raises UsageError on a task of frames."""
        refuse_frames(collection.name, collection.kind)
        labels = np.asarray(collection.targets)
        problem = Problem(collection.kind, labels, collection.groups, collection.splits, len(collection.vocabulary))
        return cls(problem, Ground(collection.groups, labels if collection.task == "multiclass" else None))

    def row(self, vectors: np.ndarray, more: Mapping[str, np.ndarray] | None = None) -> Judged:
        """Judge `(N, D)` vectors by probes and by retrieval, and `more` scores `(M, K)` of tested tracks by protocol.

        Raises DatasetError as `predict_splits` does.
        """
        own = predict_splits(self.problem, vectors)
        predictions = Predictions({**own.scores, **(more or {})}, own.choices)
        return self.judged(predictions, retrieve(vectors, self.ground))

    def scored(self, name: str, scores: np.ndarray) -> Judged:
        """Judge `scores` (M, K) of the tested tracks alone, as those of a protocol called `name`."""
        return self.judged(Predictions({name: scores}, ()), Retrieval({}, {}))

    def chance(self) -> Judged:
        """The best constant answer, known in hindsight: label frequencies, or mean values, of the judged tracks.

        Chosen in hindsight it is the hardest constant to beat. (The frequencies of each training part would be too
        easy a rival: in grouped folds they lean away from the test part.) Retrieval: a random ranking, exactly.
        """
        if learned(self.problem.task) == "multiclass":
            share = np.bincount(self.truth, minlength=self.problem.classes) / len(self.truth)
        else:
            share = self.truth.mean(axis=0, dtype=np.float64)
        constant = np.tile(share, (len(self.truth), 1))
        judged = self.judged(Predictions({PROBES[0]: constant}, ()), expected_at_random(self.ground))
        fixed = {key: Measure(m.value, float("nan"), float("nan")) for key, m in judged.measures.items()}
        return Judged(fixed, {}, judged.predictions)

    def judged(self, predictions: Predictions, retrieval: Retrieval) -> Judged:
        """Measures and draws of one row, whose `predictions` are of the tested tracks in the order of its problem."""
        measures, draws = {}, {}
        folds = len(self.problem.splits)
        for probe, scores in predictions.scores.items():
            for name, values in score_predictions(self.problem.task, self.truth, scores, self._weights).items():
                key, drawn = f"{probe}.{name}", values[1 + folds :]
                measures[key] = Measure(float(values[0]), *interval(drawn), tuple(values[1 : 1 + folds].tolist()))
                draws[key] = drawn
        for name, values in retrieval.values.items():
            drawn = self._resampled_mean(values, retrieval.queries[name])
            measures[f"retrieval.{name}"] = Measure(float(values.mean()), *interval(drawn))
            draws[f"retrieval.{name}"] = drawn
        return Judged(measures, draws, predictions)

    def _resampled_mean(self, values: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """`(B,)` means of per-query values over drawn artists; the candidates stay the whole collection."""
        weights = track_weights(self.ground.artists[queries], self.draws, self.seed)
        return np.asarray(weights @ values / weights.sum(axis=1))


def mean_of(rows: Mapping[str, Judged], seed: int = 0) -> Judged:
    """The mean over rows that differ only in their seed of every measure they share.

    Its draws vary the artists and the seeds: each takes n of the n rows with replacement, and their deviation from
    the mean of all is stretched by sqrt(n / (n - 1)), without which a resample of n has only (n - 1) / n of the
    variance of a mean of n. An interval over artists alone would call luck of the seeds a difference.
    """
    members = list(rows.values())
    n, count = len(members), len(next(iter(members[0].draws.values())))
    chosen = generator(seed, "seeds", *rows).integers(n, size=(count, n))
    stretch = np.sqrt(n / (n - 1)) if n > 1 else 1.0
    measures, draws = {}, {}
    for key in members[0].measures:
        every = np.stack([m.draws[key] for m in members], axis=1)
        mean = every.mean(axis=1)
        draws[key] = mean + stretch * (np.take_along_axis(every, chosen, axis=1).mean(axis=1) - mean)
        value = float(np.mean([m.measures[key].value for m in members]))
        ends = interval(draws[key])
        if key.partition(".")[2] not in UNBOUNDED:
            ends = max(0.0, ends[0]), min(1.0, ends[1])  # stretching can lead a little out of the range of a share
        measures[key] = Measure(value, *ends)
    return Judged(measures, draws)


def spread_of(rows: Mapping[str, Judged], key: str) -> float:
    """Standard deviation over seeds (n - 1) of a measure; nan for a single row."""
    values = [row.measures[key].value for row in rows.values()]
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
