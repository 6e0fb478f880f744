"""Training of stacked networks with early stopping: each is looked at on the validation part and keeps its best state.

A network that has stopped leaves the stack, so that the others do not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mirclr.errors import DatasetError
from mirclr.evaluation.stacked import StackedMlp, rows_of
from mirclr.evaluation.tasks import CHOOSING, TASKS, as_targets


@dataclass(frozen=True)
class Schedule:
    """Adam at `lr` with L2 `weight_decay` in the gradient, batches of `batch` items, a look every `every` epochs (or
    steps, where `random_batches`: each batch is drawn from all items, without replacement within it).

    `patience`: looks without a better one after which a network stops; `most` looks at all; `look_first`: also before
    the first step; `plateau`: looks without a better one after which the rate halves (one network only).
    """

    batch: int
    lr: float
    patience: int
    weight_decay: float = 0.0
    every: int = 1
    random_batches: bool = False
    most: int | None = None
    look_first: bool = False
    plateau: int | None = None


@dataclass(frozen=True)
class Items:
    """What is learned from or judged: `x` (V, M, D) float32 in V versions (raw, standardised), which track each of the
    M items belongs to (`owner`, int64, tracks counted from 0), and the tracks' `targets`."""

    x: Tensor
    owner: Tensor
    targets: np.ndarray

    def to(self, device: torch.device) -> Items:
        """The same with its tensors on `device`."""
        return replace(self, x=self.x.to(device), owner=self.owner.to(device))


@dataclass(frozen=True)
class Trained:
    """Of P networks: the best validation `score` and the validation `loss` then (P,), the number of the `look` it was
    had at, and the `model` in these states."""

    score: np.ndarray
    loss: np.ndarray
    look: np.ndarray
    model: StackedMlp


@dataclass(frozen=True)
class Aim:
    """What is asked: `task`, the `metric` that chooses, and for centred tasks `mean` and `scale` (K,) of targets."""

    task: str
    metric: str
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, task: str, metric: str, targets: np.ndarray) -> Aim:
        """Learned from training `targets`; a target that does not vary has scale 1."""
        if not TASKS[task].centred:
            return cls(task, metric, np.zeros(1), np.ones(1))
        scale = targets.std(axis=0, dtype=np.float64)
        return cls(task, metric, targets.mean(axis=0, dtype=np.float64), np.where(scale > 0, scale, 1.0))

    def wanted(self, targets: np.ndarray) -> Tensor:
        """Targets as the loss takes them."""
        return as_targets(self.task, (targets - self.mean) / self.scale if TASKS[self.task].centred else targets)


def answers(model: StackedMlp, items: Items, version: Tensor, aim: Aim) -> np.ndarray:
    """`(P, T, K)` scores of tracks: the mean over the scores of their items. Network p sees version `version[p]`."""
    was = model.training
    with torch.inference_mode():
        given = TASKS[aim.task].answers(model.eval()(items.x[version]))
        sums = torch.zeros(len(given), len(items.targets), given.shape[2], dtype=torch.float64, device=given.device)
        sums.index_add_(1, items.owner, given.double())
        each = torch.bincount(items.owner, minlength=len(items.targets))
    model.train(was)
    return np.asarray((sums / each[:, None]).cpu().numpy() * aim.scale + aim.mean)


def train(
    model: StackedMlp, train_on: Items, judge_on: Items, version: Tensor, schedule: Schedule, aim: Aim, seed: int
) -> Trained:
    """Train every network of `model` until it stops; `version` (P,) says which version of the input each sees.

    Raises DatasetError when the metric is undefined on the validation part: nothing could be chosen by it.
    """
    fleet = _Fleet(model, version, schedule)
    looks, batches = 0, _batches(train_on, schedule, seed)
    targets = aim.wanted(train_on.targets).to(train_on.owner.device)[train_on.owner]
    while schedule.most is None or looks <= schedule.most:
        if looks or schedule.look_first:
            scores = answers(fleet.model, judge_on, fleet.version, aim)
            fleet.look(looks, CHOOSING[aim.metric](judge_on.targets, scores), _loss(scores, judge_on.targets, aim))
        if not fleet.alive.numel():
            break
        for rows in next(batches):
            fleet.step(train_on.x[:, rows], targets[rows], aim.task)
        looks += 1
    return fleet.trained()


def _loss(scores: np.ndarray, truth: np.ndarray, aim: Aim) -> np.ndarray:
    """Mean log loss, or squared error in units of the targets' deviation, of track scores `(P, T, K)`: `(P,)`."""
    if aim.task == "multiclass":
        right = scores[:, np.arange(len(truth)), truth]
    elif TASKS[aim.task].centred:
        return np.asarray((((scores - truth) / aim.scale) ** 2).mean(axis=(1, 2)))
    else:
        right = np.where(truth > 0.5, scores, 1 - scores)
    return np.asarray(-np.log(np.maximum(right, 1e-12)).reshape(len(scores), -1).mean(axis=1))


def _batches(items: Items, schedule: Schedule, seed: int) -> Iterator[list[Tensor]]:
    """The batches between two looks, without end: the same for every network and for every grid point of one size."""
    generator, count = torch.Generator().manual_seed(seed), items.x.shape[1]
    place = items.x.device

    def shuffled() -> Tensor:
        return torch.randperm(count, generator=generator).to(place)

    while True:
        if schedule.random_batches:
            yield [shuffled()[: schedule.batch] for _ in range(schedule.every)]
        else:
            yield [part for _ in range(schedule.every) for part in shuffled().split(schedule.batch)]


class _Fleet:
    """The networks still in training, their optimiser, and the best state of every one that began."""

    def __init__(self, model: StackedMlp, version: Tensor, schedule: Schedule) -> None:
        count = len(version)
        self.schedule, self.model, self.version = schedule, model.train(), version
        self.alive = torch.arange(count, device=version.device)
        self.best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.first, self.score = model, np.full(count, -np.inf)
        self.loss, self.found = np.full(count, np.inf), np.zeros(count, np.int64)
        self.bored = np.zeros(count, np.int64)
        self.optimiser = self._adam(model)
        self.plateau = None if schedule.plateau is None else torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser, mode="max", factor=0.5, patience=schedule.plateau
        )  # fmt: skip

    def _adam(self, model: StackedMlp) -> torch.optim.Adam:
        # Fused: one pass over weights and moments instead of eight; on a CPU that is most of a step.
        options = {"lr": self.schedule.lr, "weight_decay": self.schedule.weight_decay, "fused": True}
        return torch.optim.Adam(model.parameters(), **options)  # type: ignore[arg-type]  # options by name

    def step(self, x: Tensor, targets: Tensor, task: str) -> None:
        """One step on `(V, B, D)` and their targets. The sum of losses: no network feels another's gradient."""
        loss = TASKS[task].loss(self.model(x[self.version]), targets).sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def look(self, number: int, score: np.ndarray, loss: np.ndarray) -> None:
        """Take note of what the living score, keep the better states, and let go of those that are out of patience."""
        if np.isnan(score).any():
            raise DatasetError(
                "the validation part cannot choose between probes: its labels leave the metric undefined (no label "
                "with and without, or constant numbers); use a split with a larger validation part"
            )
        rows = self.alive.cpu().numpy()
        better = score > self.score[rows]
        self.bored[rows] = np.where(better, 0, self.bored[rows] + 1)
        for table, values in ((self.score, score), (self.loss, loss), (self.found, np.full(len(rows), number))):
            table[rows[better]] = values[better]
        chosen = torch.from_numpy(better).to(self.alive.device)
        for name, tensor in self.model.state_dict().items():
            self.best[name][self.alive[chosen]] = tensor[chosen]
        if self.plateau is not None:
            self.plateau.step(float(score[0]))
        self._release(torch.from_numpy(self.bored[rows] < self.schedule.patience).to(self.alive.device))

    def _release(self, going_on: Tensor) -> None:
        if bool(going_on.all()):
            return
        rows, state = going_on.nonzero()[:, 0], self.optimiser.state_dict()["state"]
        self.alive, self.version = self.alive[rows], self.version[rows]
        if not rows.numel():
            return
        self.model = rows_of(self.model, rows)
        self.optimiser = self._adam(self.model)
        moved = {
            place: {name: t if name == "step" else t[rows].clone() for name, t in moments.items()}
            for place, moments in state.items()
        }
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moved})

    def trained(self) -> Trained:
        """Everybody in their best state."""
        everyone = torch.arange(len(self.score), device=self.version.device)
        model = rows_of(self.first, everyone)
        model.load_state_dict(self.best)
        return Trained(self.score, self.loss, self.found, model.eval())
