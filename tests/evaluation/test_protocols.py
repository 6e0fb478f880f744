"""Contract of every protocol in the table: answers of the right shape, none of which a test target can reach."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

from mirclr.cli.evaluate import PROTOCOLS as OFFERED
from mirclr.datasets.splits import Split
from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation import protocols as room
from mirclr.evaluation.answer_memory import AnswerMemory
from mirclr.evaluation.crossfit import Problem
from mirclr.evaluation.exams import Exams
from mirclr.evaluation.fleet import Schedule
from mirclr.evaluation.grids import GRIDS, Grid, Stack
from mirclr.evaluation.material import Material
from mirclr.evaluation.protocols import PROTOCOLS, Answers, Where, run_grid
from mirclr.seeds import generator

TRACKS, CLASSES = 90, 3
RNG = generator(400)
LABELS = np.arange(TRACKS) % CLASSES
VECTORS = (3 * np.eye(8)[LABELS] + RNG.normal(size=(TRACKS, 8))).astype(np.float32)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[LABELS]
NUMBERS = (40 + 10 * ONE_HOT + RNG.normal(0, 1, ONE_HOT.shape)).astype(np.float32)
TARGETS = {"multiclass": LABELS, "multilabel": ONE_HOT, "regression": NUMBERS}
SPLIT = Split("made", np.arange(50), np.arange(50, 70), np.arange(70, 90))
TEST = SPLIT.test


def problem(task: str, split: Split = SPLIT) -> Problem:
    return Problem(task, TARGETS[task], np.arange(TRACKS), [split], CLASSES)


def small(name: str) -> Grid:
    """The grid's first stack of every shape, with little patience: the same code in a fraction of a second."""
    shapes: dict[object, Stack] = {}
    for stack in GRIDS[name].stacks:
        shapes.setdefault(len(stack.shape.hidden), stack)
    quick = [
        dataclasses.replace(
            stack,
            shape=dataclasses.replace(stack.shape, hidden=(16,) * len(stack.shape.hidden)),
            schedule=dataclasses.replace(stack.schedule, lr=1e-2, patience=5, most=12),
        )
        for stack in shapes.values()
    ]
    return dataclasses.replace(GRIDS[name], stacks=tuple(quick))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GRIDS", {name: small(name) for name in GRIDS})


CASES = [(name, task) for name, protocol in PROTOCOLS.items() for task in protocol.tasks]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_every_protocol_reads_what_is_there_and_no_test_target(name: str, task: str) -> None:
    asked = problem(task)
    answers = PROTOCOLS[name].run(asked, SPLIT, Material(VECTORS), Where())
    assert answers.scores.shape == (len(TEST), CLASSES)
    assert np.isfinite(answers.scores).all()
    truth = TARGETS[task][TEST]
    if task == "multiclass":
        np.testing.assert_allclose(answers.scores.sum(axis=1), 1, atol=1e-6)
        assert accuracy_score(truth, answers.scores.argmax(axis=1)) > 0.8
    elif task == "multilabel":
        assert roc_auc_score(truth, answers.scores, average="macro") > 0.85
    else:
        assert r2_score(truth, answers.scores) > 0.5

    blind = TARGETS[task].copy()
    blind[TEST] = blind[TEST][::-1] if task != "multiclass" else (blind[TEST] + 1) % CLASSES
    again = PROTOCOLS[name].run(dataclasses.replace(asked, targets=blind), SPLIT, Material(VECTORS), Where())
    np.testing.assert_array_equal(again.scores, answers.scores)
    assert dict(again.chosen) == dict(answers.chosen)


def test_the_door_offers_the_table() -> None:
    assert tuple(PROTOCOLS) == OFFERED[: len(PROTOCOLS)]


def test_jukemir_has_the_216_points_of_its_paper() -> None:
    grid = GRIDS["jukemir"]
    points = {tuple(stack.settings(p).items()) for stack in grid.stacks for p in range(len(stack.dropout))}
    assert grid.points == len(points) == 216
    told = [dict(point) for point in points]
    assert {t["lr"] for t in told} == {1e-5, 1e-4, 1e-3}
    assert {t["dropout"] for t in told} == {0.25, 0.5, 0.75}
    assert {t["L2"] for t in told} == {0.0, 1e-4, 1e-3}
    assert {(t["hidden"], t["batch"], t["standardise"]) for t in told} == {
        (h, b, s) for h in ("none", "512") for b in (64, 256) for s in ("yes", "no")
    }
    assert {stack.schedule.every for stack in grid.stacks} == {8}
    assert {stack.schedule.patience for stack in grid.stacks} == {256}


def test_hear_and_marble_are_the_published_ones() -> None:
    hear = GRIDS["hear"]
    assert hear.points == 16
    assert {stack.shape.hidden for stack in hear.stacks} == {(1024,), (1024, 1024)}
    assert {stack.schedule.lr for stack in hear.stacks} == {3.2e-3, 1e-3, 3.2e-4, 1e-4}
    (marble,) = GRIDS["marble"].stacks
    assert (marble.shape.hidden, marble.dropout) == ((512,), (0.2,))
    assert marble.schedule == Schedule(batch=64, lr=5e-3, patience=20, most=100, plateau=6)


def test_of_a_grid_the_point_that_is_best_on_validation_answers() -> None:
    """Two points: one whose rate is too small to learn anything, one that learns."""
    good = small("marble").stacks[0]
    lame = dataclasses.replace(good, schedule=dataclasses.replace(good.schedule, lr=1e-12))
    for stacks in ((lame, good), (good, lame)):
        answers = run_grid(Grid(stacks), problem("multiclass"), SPLIT, Material(VECTORS), Where())
        assert answers.chosen["lr"] == good.schedule.lr
        assert answers.chosen["validation accuracy"] > 0.8


def test_a_track_is_the_mean_of_its_clips() -> None:
    """Clips of two kinds in one track: the answer lies between what either would be."""
    starts = np.array([0.0, 10.0, 31.0, 41.0])
    segments = [(np.stack([v, v, v, v]), starts) for v in VECTORS]
    material = Material(VECTORS, segments)
    items, owner = material.clips(TEST, 30.2)
    assert owner.tolist() == sorted([*range(len(TEST))] * 2)
    np.testing.assert_allclose(items[::2], VECTORS[TEST], rtol=1e-6)
    whole = PROTOCOLS["marble"].run(problem("multiclass"), SPLIT, Material(VECTORS), Where()).scores
    clips = PROTOCOLS["marble"].run(problem("multiclass"), SPLIT, material, Where()).scores
    assert (whole.argmax(axis=1) == clips.argmax(axis=1)).mean() > 0.8


@pytest.mark.parametrize(
    ("starts", "clips"), [([0, 10, 20], 1), ([0, 10, 20, 31], 1), ([0, 10, 31, 41], 2), ([0, 31, 62], 3)]
)
def test_the_short_rest_of_a_track_is_no_clip(starts: list[int], clips: int) -> None:
    vectors = np.arange(len(starts), dtype=np.float32)[:, None]
    material = Material(np.zeros((1, 1), np.float32), [(vectors, np.array(starts, float))])
    assert len(material.clips(np.array([0]), 30.2)[0]) == clips


def test_without_a_validation_part_artists_of_the_training_part_choose() -> None:
    split = Split("two parts", np.arange(70), np.array([], np.int64), TEST)
    answers = PROTOCOLS["marble"].run(problem("multiclass", split), split, Material(VECTORS), Where())
    assert accuracy_score(LABELS[TEST], answers.scores.argmax(axis=1)) > 0.8


def test_a_validation_part_that_cannot_choose_is_an_error() -> None:
    constant = TARGETS["regression"].copy()
    constant[SPLIT.valid] = 1.0
    asked = dataclasses.replace(problem("regression"), targets=constant)
    with pytest.raises(DatasetError, match="validation part cannot choose"):
        PROTOCOLS["marble"].run(asked, SPLIT, Material(VECTORS), Where())


def test_centroids_by_hand() -> None:
    split = Split("hand", np.arange(3), np.array([], np.int64), np.array([3]))
    asked = Problem("multiclass", np.array([0, 0, 1, 0]), np.arange(4), [split], 3)
    vectors = np.array([[0.0, 0], [2, 0], [1, 3], [1, 1]], np.float32)
    scores = PROTOCOLS["fewshot"].run(asked, split, Material(vectors), Where()).scores
    near, far = np.exp(-1.0), np.exp(-2.0)  # centroids (1, 0) and (1, 3)
    np.testing.assert_allclose(scores, [[near / (near + far), far / (near + far), 0]])


def test_answers_are_kept_and_asked_for_once(tmp_path: Path) -> None:
    calls = []

    def run(*given: object) -> Answers:
        calls.append(given)
        return Answers(np.ones((len(TEST), CLASSES)) * len(calls), {"lr": 0.1})

    protocol = dataclasses.replace(PROTOCOLS["linear"], run=run)
    memory, asked, material = AnswerMemory(tmp_path), problem("multiclass"), Material(VECTORS)
    given = ("x", protocol, asked, SPLIT, material, Where())
    first, second = memory.ask(*given), memory.ask(*given)
    assert len(calls) == 1
    np.testing.assert_array_equal(first.scores, second.scores)
    assert second.chosen == {"lr": 0.1}

    memory.ask("x", protocol, asked, SPLIT, Material(VECTORS + 1), Where())
    memory.ask("x", protocol, asked, SPLIT, material, Where(seed=1))
    memory.ask("x", dataclasses.replace(protocol, settings="other"), asked, SPLIT, material, Where())
    assert len(calls) == 4
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:50])
    assert memory.ask(*given).scores[0, 0] == 5  # damaged files are answered anew


def test_protocols_that_do_not_exist_or_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no protocol 'jukmir'.*jukemir"):
        Exams(("jukmir",)).check("multiclass")
    with pytest.raises(UsageError, match="fewshot: made for multiclass, multilabel; this collection is regression"):
        Exams(("fewshot",)).check("regression")


def test_a_seed_means_one_answer() -> None:
    given = (problem("multiclass"), SPLIT, Material(VECTORS))
    one, two = (PROTOCOLS["hear"].run(*given, Where(seed)).scores for seed in (0, 1))
    np.testing.assert_array_equal(PROTOCOLS["hear"].run(*given, Where(0)).scores, one)
    assert not np.array_equal(one, two)
    assert torch.is_grad_enabled()
