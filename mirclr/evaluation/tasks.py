"""What a kind of task means to a probe: its loss, how outputs become answers, the metric that chooses.

The one place where protocols look this up: a new kind of task is one entry in `TASKS`, beside its metrics in
`mirclr.evaluation.metrics`. Several networks are trained at once, so outputs have a leading axis of P networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.evaluation.metrics import MAIN_METRIC, explained, mean_defined
from mirclr.evaluation.ranking import ranking_areas


@dataclass(frozen=True)
class TaskKind:
    """`loss(outputs (P, B, K), targets)`: `(P,)` means over the batch; `answers(outputs)`: what is scored, the same
    shape; `centred`: targets are learned in units of their training deviation from their training mean."""

    loss: Callable[[Tensor, Tensor], Tensor]
    answers: Callable[[Tensor], Tensor]
    centred: bool = False


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    wanted = targets.expand(len(outputs), -1)
    return functional.cross_entropy(outputs.transpose(1, 2), wanted, reduction="none").mean(dim=1)


def _binary(outputs: Tensor, targets: Tensor) -> Tensor:
    wanted = targets.to(outputs).expand_as(outputs)
    return functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none").mean(dim=(1, 2))


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs - targets.to(outputs)) ** 2).mean(dim=(1, 2))


TASKS: dict[str, TaskKind] = {
    "multiclass": TaskKind(_cross_entropy, lambda outputs: outputs.softmax(dim=-1)),
    "multilabel": TaskKind(_binary, lambda outputs: outputs.sigmoid()),
    "regression": TaskKind(_squared, lambda outputs: outputs, centred=True),
}


def _accuracy(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.asarray((scores.argmax(axis=2) == truth).mean(axis=1))


def _area(which: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def areas(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
        weights, wanted = np.ones((len(truth), 1)), truth > 0.5
        columns = range(scores.shape[2])
        each = [[ranking_areas(wanted[:, k], one[:, k], weights)[which][0] for k in columns] for one in scores]
        return mean_defined(np.array(each))

    return areas


def _r2(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    every = np.ones((1, len(truth)))
    return np.concatenate([mean_defined(explained(truth, one, every)) for one in scores])


CHOOSING: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "accuracy": _accuracy,
    "roc_auc": _area(0),
    "pr_auc": _area(1),
    "r2": _r2,
}
"""Metrics that can choose between networks, as `(truth, scores (P, N, K)) -> (P,)`: the numbers of
`score_predictions`, without its other metrics, since a grid asks for them a hundred thousand times."""


def main_metric(task: str) -> str:
    """The metric that decides in reports."""
    return MAIN_METRIC[task]


def as_targets(task: str, targets: np.ndarray) -> Tensor:
    """Targets as a tensor: class numbers stay whole numbers, the rest are float32."""
    return torch.from_numpy(targets.astype(np.int64 if targets.ndim == 1 and task == "multiclass" else np.float32))
