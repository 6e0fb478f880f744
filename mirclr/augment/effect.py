"""What an augmentation is: declared options, a draw, and a deterministic application to a whole batch.

All randomness is in the draw (the pattern of muda, McFee et al., "A software framework for musical data augmentation",
ISMIR 2015). One step further here: the draw is a fixed number of uniform numbers in [0, 1), and an effect only *maps*
them to parameters. So a batch costs one call of each item's generator whatever the length of the chain, every effect
consumes the same numbers whether it is on or off, and the mapping is vectorised over items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from torch import Tensor


def option(
    default: Any, why: str, *, low: float | None = None, high: float | None = None, choices: Sequence[str] = ()
) -> Any:
    """A constructor option of an effect: a number in `low..high`, bounds included, or one of `choices`; and why."""
    return field(default=default, metadata={"why": why, "low": low, "high": high, "choices": tuple(choices)})


def log_uniform(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """Uniform numbers in [0, 1) to `low..high` (> 0), uniform in their logarithm: octaves are equally likely."""
    return np.asarray(low * (high / low) ** u)


def symmetric(u: np.ndarray, bound: float) -> np.ndarray:
    """Uniform numbers in [0, 1) to `-bound..bound`."""
    return (2 * u - 1) * bound


def log_symmetric(u: np.ndarray, bound: float) -> np.ndarray:
    """Uniform numbers in [0, 1) to `1/bound..bound`, uniform in their logarithm: as often slower as faster."""
    return log_uniform(u, 1 / bound, bound)


def _problem(name: str, value: Any, rule: Mapping[str, Any], kind: type) -> str | None:
    if kind is str:
        return (
            None if value in rule["choices"] else f"{name} must be one of {', '.join(rule['choices'])}, got {value!r}"
        )
    wanted = "a whole number" if kind is int else "a number"
    right = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if right and rule["low"] <= value <= rule["high"]:
        return None
    return f"{name} must be {wanted} in {rule['low']:g}..{rule['high']:g}, got {value!r}"


@dataclass(frozen=True)
class Effect(ABC):
    """Base of every augmentation. An entry is a frozen dataclass whose fields are made by `option`.

    Class attributes: `name` in the table; `domain`, "wave" for `(B, T)` samples or "spec" for `(B, F, N)` natural-log
    mel power; `changes`, what it may destroy among tempo, key, pitch, timbre, loudness, order, content and phase;
    `neutral`, the parameters that change nothing; `differentiable`, whether gradients pass from the result to the batch
    (a codec passes none, and only such an effect may have no `neutral`: it is lossy at any setting); `mixes`, whether
    `apply` needs a `background`; `mixes_labels`, whether the other item's label is part of the label afterwards;
    `ordered`, pairs of options of which the first may not exceed the second.

    Raises ValueError naming every option that is out of its range.
    """

    name: ClassVar[str]
    domain: ClassVar[str]
    changes: ClassVar[tuple[str, ...]]
    neutral: ClassVar[Mapping[str, float]] = {}
    differentiable: ClassVar[bool] = True
    mixes: ClassVar[bool] = False
    mixes_labels: ClassVar[bool] = False
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise ValueError(f"{self.name}: " + "; ".join(problems))

    def _problems(self) -> list[str]:
        found = [_problem(f.name, getattr(self, f.name), f.metadata, type(f.default)) for f in fields(self)]
        problems = [text for text in found if text]
        if problems:
            return problems
        wrong = [(a, b) for a, b in self.ordered if getattr(self, a) > getattr(self, b)]
        return [f"{a}={getattr(self, a):g} must not exceed {b}={getattr(self, b):g}" for a, b in wrong]

    @property
    @abstractmethod
    def draws(self) -> int:
        """How many uniform numbers one item needs."""

    @abstractmethod
    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """`(B, draws)` uniform numbers in [0, 1) to parameters whose first axis is B."""

    def draw(self, rng: np.random.Generator) -> dict[str, float | np.ndarray]:
        """The parameters of one item."""
        return {key: value[0] for key, value in self.parameters(rng.random((1, self.draws))).items()}

    def partner_share(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        """`(B,)` in 0..1: how much of the label is the other item's, by the parameters; 0 unless `mixes_labels`."""
        return np.zeros(len(next(iter(drawn.values()))))

    @abstractmethod
    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        """The changed copy of `batch` (B, ...), float32 or float64; `drawn` as `parameters` gave it, on its device.

        `background` (same shape; row i goes under item i) is read by the effects that mix and ignored by the others.
        """
