"""Protocols: ways to turn frozen vectors into answers for a test part. One function and one line of `PROTOCOLS` each.

A protocol sees the training and the validation part with their targets, and of the test part nothing but vectors. What
it chooses it chooses on validation, and says so in its `chosen` settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mirclr.errors import DatasetError
from mirclr.evaluation.crossfit import Parts, Problem, check_split, inner_folds, linear_choice, linear_scores
from mirclr.evaluation.fleet import Aim, Items, Trained, answers, train
from mirclr.evaluation.grids import GRIDS, Grid, Stack
from mirclr.evaluation.material import Material
from mirclr.evaluation.neighbours import NEIGHBOURS, knn_scores
from mirclr.evaluation.probes import Standardiser
from mirclr.evaluation.prototypes import prototype_scores
from mirclr.evaluation.stacked import StackedMlp, rows_of
from mirclr.evaluation.tasks import main_metric

Settings = Mapping[str, str | float | int]


@dataclass(frozen=True)
class Answers:
    """`scores` `(T, K)` of a split's test part and the settings that were `chosen` for it."""

    scores: np.ndarray
    chosen: Settings = field(default_factory=dict)


Run = Callable[[Problem, Parts, Material, "Where"], Answers]


@dataclass(frozen=True)
class Where:
    """`seed` of what is drawn, `device` of what is trained."""

    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Protocol:
    """A way of judging: `run`; what it is (`title`) and where it comes from (`source`); its `names` of our measures,
    where it has its own; `tasks` it is defined for; `clips`: it wants the clips of a track; `settings`: what its
    answers depend on beside what `run` is given."""

    run: Run
    title: str
    source: str
    names: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ("multiclass", "multilabel", "regression")
    clips: bool = False
    settings: str = ""


def _linear(problem: Problem, split: Parts, material: Material, where: Where) -> Answers:
    choice = linear_choice(problem, material.vectors, split)
    scores = linear_scores(problem, material.vectors, split, choice.penalty)
    return Answers(scores, {"penalty": choice.penalty})


def _knn(problem: Problem, split: Parts, material: Material, where: Where) -> Answers:
    known = np.concatenate([split.train, split.valid])
    given = (material.vectors[known], problem.targets[known], material.vectors[split.test])
    return Answers(knn_scores(problem.learned, *given, classes=problem.classes), {"k": NEIGHBOURS})


def _fewshot(problem: Problem, split: Parts, material: Material, where: Where) -> Answers:
    known = np.concatenate([split.train, split.valid])
    given = (material.vectors[known], problem.targets[known], material.vectors[split.test])
    return Answers(prototype_scores(problem.learned, *given, classes=problem.classes))


def _grid(name: str) -> Run:
    """The protocol that trains every point of `GRIDS[name]`."""

    def run(problem: Problem, split: Parts, material: Material, where: Where) -> Answers:
        return run_grid(GRIDS[name], problem, split, material, where)

    return run


def run_grid(grid: Grid, problem: Problem, split: Parts, material: Material, where: Where) -> Answers:
    """Train all points, take the one that is best on validation (of equals that of least loss), answer with it.

    A split without a validation part lends a fifth of its training artists. Raises DatasetError as `train`.
    """
    fit, judge = _parts(problem, split)
    metric = grid.chooses.get(problem.task, main_metric(problem.learned))
    aim = Aim.of(problem.learned, metric, problem.targets[fit])
    standardise = Standardiser.fitted(grid_items(material, fit, grid)[0])
    device = torch.device(where.device)

    def items(tracks: np.ndarray) -> Items:
        raw, owner = grid_items(material, tracks, grid)
        both = np.stack([raw, standardise(raw).astype(np.float32)])
        return Items(torch.from_numpy(both), torch.from_numpy(owner), problem.targets[tracks]).to(device)

    learn_from, judge_on = items(fit), items(judge)
    best: _Best | None = None
    for stack in grid.stacks:
        trained = _train_stack(stack, learn_from, judge_on, aim, where, problem.classes)
        best = _better(best, stack, trained)
    if best is None:
        raise DatasetError("a grid without points")
    version = torch.tensor([int(best.stack.standardise[best.point])], device=device)
    scores = answers(best.model, items(split.test), version, aim)[0]
    validated = {f"validation {metric}": best.score, "look": best.look, "points": grid.points}
    return Answers(scores, {**best.stack.settings(best.point), **validated})


@dataclass(frozen=True)
class _Best:
    stack: Stack
    point: int
    score: float
    loss: float
    look: int
    model: StackedMlp


def _better(best: _Best | None, stack: Stack, trained: Trained) -> _Best:
    """The best of what was and of the points of one stack."""
    point = int(np.lexsort((trained.loss, -trained.score))[0])
    score, loss = float(trained.score[point]), float(trained.loss[point])
    if best is not None and (best.score, -best.loss) >= (score, -loss):
        return best
    rows = torch.tensor([point], device=trained.model.get_parameter("weight0").device)
    return _Best(stack, point, score, loss, int(trained.look[point]), rows_of(trained.model, rows))


def _train_stack(stack: Stack, learn_from: Items, judge_on: Items, aim: Aim, where: Where, classes: int) -> Trained:
    device = learn_from.x.device
    generator = torch.Generator(device).manual_seed(where.seed)
    model = StackedMlp(stack.shape, learn_from.x.shape[2], classes, stack.dropout, generator).to(device)
    version = torch.tensor([int(s) for s in stack.standardise], device=device)
    batch = min(stack.schedule.batch, learn_from.x.shape[1])
    return train(model, learn_from, judge_on, version, replace(stack.schedule, batch=batch), aim, where.seed)


def grid_items(material: Material, tracks: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The items of `tracks` as the grid's protocol cuts them."""
    return material.clips(tracks, grid.clip_seconds)


def _parts(problem: Problem, split: Parts) -> tuple[np.ndarray, np.ndarray]:
    """(fit, judge) track numbers: training and validation part, or a fold of whole artists taken from training."""
    check_split(split)
    if len(split.valid):
        return split.train, split.valid
    return inner_folds(split.train, problem.groups, split.name)[0]


JUKEMIR = {"accuracy": "accuracy", "roc_auc": "auc_roc", "pr_auc": "ap", "r2": "r2"}
MARBLE = {"accuracy": "acc", "roc_auc": "auroc", "pr_auc": "ap", "macro_f1": "f1_macro", "r2": "r2"}
HEAR = {"accuracy": "top1_acc", "pr_auc": "mAP", "roc_auc": "aucroc", "r2": "r2"}
LABELS = ("multiclass", "multilabel")


def _field(name: str, title: str, source: str, names: Mapping[str, str]) -> Protocol:
    """A grid of the field as a protocol."""
    grid = GRIDS[name]
    clips = grid.clip_seconds is not None
    return Protocol(_grid(name), title, source, names, clips=clips, settings=repr(grid))


PROTOCOLS: dict[str, Protocol] = {
    "linear": Protocol(_linear, "linear probe, penalty chosen on validation", "mirclr"),
    "knn": Protocol(_knn, f"{NEIGHBOURS} nearest neighbours by cosine", "mirclr"),
    "fewshot": Protocol(_fewshot, "nearest class centroid", "MARBLE's few-shot task", tasks=LABELS),
    "jukemir": _field("jukemir", "216 linear and one-layer probes", "Castellon et al., ISMIR 2021", JUKEMIR),
    "marble": _field("marble", "MLP of 512 units on clips", "Yuan et al., NeurIPS 2023", MARBLE),
    "hear": _field("hear", "16 MLPs of 1024 units", "Turian et al., NeurIPS 2021", HEAR),
}
ALWAYS = ("linear", "knn")
"""Cheap enough for every card; the others are asked for by name."""
