"""Samples `(B, T)` elsewhere: moved around the circle, backwards, with every phase turned by one angle.

Moving and reversing are the same along the last axis of anything: `mirclr.augment.spec_time` does both to frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option, symmetric


def _per_item(batch: Tensor) -> tuple[int, ...]:
    """The shape in which an item's own numbers lie along the last axis of `batch`, alike on the axes between."""
    return (len(batch), *(1 for _ in batch.shape[2:]), -1)


@dataclass(frozen=True)
class TimeShift(Effect):
    """Moves the item around the circle: what leaves at one end comes in at the other; whole samples, exact."""

    name: ClassVar[str] = "time_shift"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("order",)
    neutral: ClassVar[Mapping[str, float]] = {"share": 0.0}
    draws: ClassVar[int] = 1

    max_share: float = option(0.5, "of the item's length, either way: every place of the circle", low=0, high=0.5)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"share": symmetric(u[:, 0], self.max_share)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        length = batch.shape[-1]
        later = (drawn["share"] * length).round().long()
        place = (torch.arange(length, device=batch.device) - later[:, None]).remainder(length)
        return batch.gather(-1, place.view(_per_item(batch)).expand_as(batch))


@dataclass(frozen=True)
class Reverse(Effect):
    """Plays the item backwards: sounds swell where they decayed, and harmony resolves the wrong way."""

    name: ClassVar[str] = "reverse"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("order", "timbre")
    neutral: ClassVar[Mapping[str, float]] = {"direction": 1.0}
    draws: ClassVar[int] = 0

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"direction": np.full(len(u), -1.0)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return torch.where(drawn["direction"].view(_per_item(batch)) < 0, batch.flip(-1), batch)


@dataclass(frozen=True)
class PhaseRotation(Effect):
    """Turns every frequency's phase by one angle: broadcast processors do it to make waveforms symmetric.

    180 degrees is `polarity`, 90 the Hilbert transform. The magnitude spectrum of the item is kept exactly; the
    constant part and half the sample rate have no phase to turn.
    """

    name: ClassVar[str] = "phase_rotation"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("phase",)
    neutral: ClassVar[Mapping[str, float]] = {"degrees": 0.0}
    draws: ClassVar[int] = 1

    max_degrees: float = option(180.0, "the whole circle", low=0, high=180)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"degrees": symmetric(u[:, 0], self.max_degrees)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        length = batch.shape[1]
        angle = torch.deg2rad(drawn["degrees"])[:, None].expand(-1, length // 2 + 1).clone()
        angle[:, 0] = 0
        angle[:, (length + 1) // 2 :] = 0
        return torch.fft.irfft(torch.fft.rfft(batch) * torch.polar(torch.ones_like(angle), angle), n=length)
