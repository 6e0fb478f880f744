"""Log-mel spectrograms `(B, F, N)` along time: faded, backwards, moved around the circle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option, symmetric
from mirclr.augment.placement import Reverse, TimeShift
from mirclr.augment.spectrogram import LOG_POWER_PER_DB


@dataclass(frozen=True)
class LinearFader(Effect):
    """Fades in or out: a gain that goes in a straight line, in decibels, from one end of the crop to the other.

    Random linear fader of BYOL-A (Niizumi et al., arXiv 2204.07402): both ends are drawn independently. Theirs are up
    to one standard deviation of the log-mels either way; decibels do not depend on the collection.
    """

    name: ClassVar[str] = "linear_fader"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("loudness",)
    neutral: ClassVar[Mapping[str, float]] = {"first_db": 0.0, "last_db": 0.0}
    draws: ClassVar[int] = 2

    max_db: float = option(10.0, "at each end; 20 from end to end is a great crescendo", low=0, high=60)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"first_db": symmetric(u[:, 0], self.max_db), "last_db": symmetric(u[:, 1], self.max_db)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        time = torch.linspace(0, 1, batch.shape[2], device=batch.device, dtype=batch.dtype)
        db = torch.lerp(drawn["first_db"][:, None], drawn["last_db"][:, None], time)
        return batch + (db * LOG_POWER_PER_DB)[:, None, :]


@dataclass(frozen=True)
class SpecReverse(Reverse):
    """Plays the frames backwards: sounds swell where they decayed, and harmony resolves the wrong way."""

    name: ClassVar[str] = "spec_reverse"
    domain: ClassVar[str] = "spec"


@dataclass(frozen=True)
class SpecRoll(TimeShift):
    """Moves the frames around the circle: what leaves at one end comes in at the other; whole frames, exact."""

    name: ClassVar[str] = "spec_roll"
    domain: ClassVar[str] = "spec"
