"""The field's probing protocols as data: which networks are trained, how, and which of them is taken.

Every point of a grid is trained on the training part, stopped and chosen on the validation part, and only the chosen
one answers for the test part. Settings as in the public repositories, read at the commits named here:

- jukemir (Castellon, Donahue and Liang, ISMIR 2021): p-lambda/jukemir 2415556, jukemir/probe/__init__.py;
- MARBLE (Yuan et al., NeurIPS 2023), version 2: a43992899/MARBLE 938c03a, configs/probe.MERT-v1-95M.GTZANGenre.yaml;
- HEAR (Turian et al., NeurIPS 2021): hearbenchmark/hear-eval-kit 8559649, heareval/predictions/task_predictions.py.

Where this differs from them is said in docs/evaluation.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from mirclr.evaluation.fleet import Schedule
from mirclr.evaluation.stacked import Initial, Shape


@dataclass(frozen=True)
class Stack:
    """Grid points that are trained together: one `shape`, one `schedule`, point p with `dropout[p]`, and the input
    standardised or not (`standardise[p]`)."""

    shape: Shape
    schedule: Schedule
    dropout: tuple[float, ...]
    standardise: tuple[bool, ...]

    def settings(self, point: int) -> dict[str, str | float | int]:
        """The settings of one point, for reports."""
        told: dict[str, str | float | int] = {
            "hidden": " ".join(map(str, self.shape.hidden)) or "none",
            "standardise": "yes" if self.standardise[point] else "no",
            "batch": self.schedule.batch,
            "lr": self.schedule.lr,
            "dropout": self.dropout[point],
            "L2": self.schedule.weight_decay,
        }
        return told if self.shape.initial == "torch" else {**told, "initial": self.shape.initial}


@dataclass(frozen=True)
class Grid:
    """`stacks` of grid points; what an item is ("track": the track's vector, "clip": each stretch of `clip_seconds`);
    `chooses`: the metric that stops and chooses, by task (else the report's main one)."""

    stacks: tuple[Stack, ...]
    clip_seconds: float | None = None
    chooses: Mapping[str, str] = field(default_factory=dict)

    @property
    def points(self) -> int:
        """How many networks it trains."""
        return sum(len(stack.dropout) for stack in self.stacks)


def _jukemir() -> Grid:
    sides = list(itertools.product((0.25, 0.5, 0.75), (False, True)))
    stacks = [
        Stack(
            Shape(hidden, input_dropout=True),
            Schedule(
                batch, lr, patience=256, weight_decay=decay, every=8, random_batches=True, look_first=True, most=None
            ),
            tuple(dropout for dropout, _ in sides),
            tuple(standardise for _, standardise in sides),
        )
        for hidden, batch, lr, decay in itertools.product(
            ((), (512,)), (64, 256), (1e-5, 1e-4, 1e-3), (0.0, 1e-4, 1e-3)
        )
    ]
    return Grid(tuple(stacks))


def _marble() -> Grid:
    schedule = Schedule(batch=64, lr=5e-3, patience=20, most=100, plateau=6)
    return Grid((Stack(Shape((512,)), schedule, (0.2,), (False,)),), clip_seconds=30.2)


def _hear() -> Grid:
    starts: tuple[Initial, ...] = ("xavier_uniform", "xavier_normal")
    stacks = [
        Stack(
            Shape((1024,) * layers, batch_norm=True, initial=initial),
            Schedule(batch=1024, lr=lr, patience=20, every=3, most=500 // 3),
            (0.1,),
            (False,),
        )
        for layers, lr, initial in itertools.product((1, 2), (3.2e-3, 1e-3, 3.2e-4, 1e-4), starts)
    ]
    return Grid(tuple(stacks), chooses={"multilabel": "pr_auc"})


GRIDS: dict[str, Grid] = {"jukemir": _jukemir(), "marble": _marble(), "hear": _hear()}
