"""Predictions somebody else made for a held-out part, as numbers with intervals: for models that bring their own head.

A report card compares encoders under one probe; this says how good given answers are, beside the best constant answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.datasets.tasks import Task, learned
from mirclr.evaluation.bootstrap import DRAWS, interval, track_weights
from mirclr.evaluation.judge import Measure
from mirclr.evaluation.metrics import score_predictions
from mirclr.evaluation.verdict import SPOKEN, spread_text, value_text
from mirclr.files import write_atomic


@dataclass(frozen=True)
class HeldOutScores:
    """`measures` by name (`accuracy`), each with its 95 % interval over artists, and the same of the best constant
    answer (`chance`, known in hindsight, without interval); how many `tracks` by how many `artists`."""

    measures: Mapping[str, Measure]
    chance: Mapping[str, float]
    tracks: int
    artists: int

    def card(self) -> tuple[dict[str, str], ...]:
        """A row a measure for a terminal."""
        return tuple(
            {
                "measure": SPOKEN[name][0],
                "value": value_text(f"test.{name}", m.value),
                "95 % interval": _ends(name, m),
                "chance": value_text(f"test.{name}", self.chance[name]),
            }
            for name, m in self.measures.items()
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; an undefined value is null."""
        told = {name: {**asdict(m), "chance": self.chance[name]} for name, m in self.measures.items()}
        plain = {name: {k: v for k, v in row.items() if k != "folds"} for name, row in told.items()}
        known = {n: {k: v if np.isfinite(v) else None for k, v in row.items()} for n, row in plain.items()}
        return {"measures": known, "tracks": self.tracks, "artists": self.artists}

    def write(self, path: Path) -> None:
        """As JSON, atomically."""
        write_atomic(path, json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n")


def score_held_out(
    task: Task,
    truth: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    *,
    values: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> HeldOutScores:
    """Measures of `(M, K)` scores against `truth` (as `score_predictions` takes them), artists `groups` (M,).

    With `values`, measures `(M,)` of each track by name, their means over tracks instead; no constant answer is known
    for those. Raises ValueError on lengths that differ.
    """
    if values:
        return _means(values, groups, seed, draws)
    weights = np.concatenate([np.ones((1, len(truth)), np.float32), track_weights(groups, draws, seed)])
    values = score_predictions(task, truth, scores, weights)
    constant = np.broadcast_to(_constant(task, truth, scores.shape[1]), scores.shape)
    chance = score_predictions(task, truth, constant, weights[:1])
    measures = {name: Measure(float(v[0]), *interval(v[1:])) for name, v in values.items()}
    return HeldOutScores(
        measures, {name: float(v[0]) for name, v in chance.items()}, len(truth), len(np.unique(groups))
    )


def _means(values: Mapping[str, np.ndarray], groups: np.ndarray, seed: int, draws: int) -> HeldOutScores:
    drawn = track_weights(groups, draws, seed)
    drawn = drawn / drawn.sum(axis=1, keepdims=True)
    measures = {name: Measure(float(each.mean()), *interval(drawn @ each)) for name, each in values.items()}
    return HeldOutScores(measures, dict.fromkeys(values, float("nan")), len(groups), len(np.unique(groups)))


def _constant(task: Task, truth: np.ndarray, outputs: int) -> np.ndarray:
    """Label frequencies, or mean values, of the judged tracks: the hardest constant to beat."""
    if learned(task) == "multiclass":
        return np.bincount(truth, minlength=outputs) / len(truth)
    return np.asarray(truth.mean(axis=0, dtype=np.float64))


def _ends(name: str, m: Measure) -> str:
    low, high = (spread_text(f"test.{name}", end) for end in (m.low, m.high))
    return f"{low} to {high}" if np.isfinite(m.low) else ""
