"""How the learning rate moves and how a wall-clock budget becomes a number of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass


def warmup_cosine(progress: float, warmup: float) -> float:
    """Factor in 0..1 at `progress` in 0..1: linear over the first `warmup`, then half a cosine to zero.

    SGDR (arXiv 1608.03983, eq. 5) without restarts.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


@dataclass
class Plan:
    """How far the schedule runs: `total` steps, and `minutes` when it follows a clock rather than a count; by the clock
    no farther than `most` steps."""

    total: int
    minutes: float | None = None
    most: float = math.inf

    @property
    def cut(self) -> bool:
        """Whether `most` ends it before the clock does."""
        return self.minutes is not None and self.total >= self.most

    def progress(self, step: int) -> float:
        """Where the middle of `step` lies in 0..1; the middle, so that neither end has a learning rate of zero."""
        return min(1.0, (step + 0.5) / self.total)

    def replan(self, step: int, elapsed_s: float, step_s: float) -> None:
        """Fit the steps still possible into the time still left, from the measured `step_s`; a count never moves.

        The cosine is a function of progress, so it bends smoothly towards the new end.
        """
        if self.minutes is None:
            return
        left = self.minutes * 60 - elapsed_s
        self.total = int(min(self.most, max(step + 1, step + int(left / max(step_s, 1e-6)))))

    def over(self, step: int, elapsed_s: float) -> bool:
        """Whether `step` is past the end. A clock that ran out ends the run whatever the count says."""
        return step >= self.total or (self.minutes is not None and elapsed_s >= self.minutes * 60)


def decay_groups(named: list[tuple[str, object]], weight_decay: float) -> list[dict[str, object]]:
    """AdamW parameter groups: matrices and kernels decay, vectors (norms, biases) do not."""
    matrices = [p for _, p in named if p.ndim > 1]  # type: ignore[attr-defined]  # parameters, kept free of torch here
    vectors = [p for _, p in named if p.ndim <= 1]  # type: ignore[attr-defined]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
