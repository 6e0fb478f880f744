"""Scores of given predictions: the plain measures, intervals over artists, and the constant they are set beside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mirclr.evaluation.held_out_scores import score_held_out

GROUPS = np.arange(12) // 2


def test_accuracy_with_its_interval_and_the_best_constant() -> None:
    truth = np.array([0] * 6 + [1] * 4 + [2] * 2)
    guess = np.where(np.arange(12) % 4 == 0, 1, truth)
    made = score_held_out("multiclass", truth, np.eye(3)[guess], GROUPS)
    accuracy = made.measures["accuracy"]
    assert accuracy.value == (guess == truth).mean()
    assert accuracy.low < accuracy.value < accuracy.high
    assert made.chance["accuracy"] == 0.5
    assert (made.tracks, made.artists) == (12, 6)
    assert made.card()[0]["chance"] == "50.0 %"
    assert made.card()[0]["measure"] == "accuracy"


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_perfect_answers_and_the_mean(task: str) -> None:
    truth = np.random.default_rng(0).random((12, 2))
    truth = truth if task == "regression" else (truth > 0.5).astype(float)
    made = score_held_out(task, truth, truth, GROUPS)
    name, chance = ("r2", 0.0) if task == "regression" else ("roc_auc", 0.5)
    assert made.measures[name].value == 1
    assert made.chance[name] == pytest.approx(chance)


def test_written_it_is_json_with_null_for_the_undefined(tmp_path: Path) -> None:
    truth = np.ones((4, 1))
    made = score_held_out("multilabel", truth, truth, np.arange(4))
    made.write(tmp_path / "test.json")
    told = json.loads((tmp_path / "test.json").read_text())
    assert told["measures"]["roc_auc"] == {"value": None, "low": None, "high": None, "chance": None}
    assert made.card()[0]["value"] == ""


def test_the_same_seed_gives_the_same_interval() -> None:
    truth, scores = np.arange(12) % 3, np.random.default_rng(1).random((12, 3))
    first, again = (score_held_out("multiclass", truth, scores, GROUPS, seed=3) for _ in range(2))
    assert first == again
