"""Equalisers on log-mel spectrograms `(B, F, N)`, natural-log power: a curve over the mel axis is added to every frame.

Without them a contrastive model recognises the codec and the mastering instead of the music.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option, symmetric
from mirclr.augment.spectrogram import LOG_POWER_PER_DB


def _mel_axis(batch: Tensor) -> Tensor:
    """`(F,)` positions of the bins on the mel axis, 0 lowest to 1 highest."""
    return torch.linspace(0, 1, batch.shape[1], device=batch.device, dtype=batch.dtype)


@dataclass(frozen=True)
class SpecEq(Effect):
    """A smooth random equaliser: gains at evenly spaced points of the mel axis, joined by raised cosines.

    Raised cosines never overshoot their points, so no bin is changed by more than `max_db`.
    """

    name: ClassVar[str] = "spec_eq"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness")
    neutral: ClassVar[Mapping[str, float]] = {"db": 0.0}

    max_db: float = option(8.0, "covers phone speakers to bass-heavy masters without burying a band", low=0, high=40)
    points: int = option(5, "about one per two octaves: broader than a voice's formants", low=2, high=32)

    @property
    def draws(self) -> int:
        return self.points

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"db": symmetric(u, self.max_db)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        index = torch.arange(self.points, device=batch.device, dtype=batch.dtype)[:, None]
        distance = (_mel_axis(batch) * (self.points - 1) - index).abs().clamp_(max=1)
        weights = 0.5 * (1 + torch.cos(torch.pi * distance))  # (points, F); each column sums to 1
        return batch + (drawn["db"] @ weights)[:, :, None] * LOG_POWER_PER_DB


def _rolled_off(batch: Tensor, beyond: Tensor, slope_db: Tensor) -> Tensor:
    """`batch` falling by `slope_db` per unit of the mel axis `beyond` (B, F) the corner, but not below its own floor.

    The floor matters: a log-mel has a smallest value, and a real file with its treble cut shows that, not less.
    """
    curve = beyond.clamp(min=0) * slope_db[:, None] * LOG_POWER_PER_DB
    return torch.maximum(batch - curve[:, :, None], batch.amin((1, 2), keepdim=True))


@dataclass(frozen=True)
class SpecLowPass(Effect):
    """Takes the treble away above a corner on the mel axis: old recordings, phone speakers, low bit rates."""

    name: ClassVar[str] = "spec_low_pass"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness")
    neutral: ClassVar[Mapping[str, float]] = {"slope_db": 0.0}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_corner", "highest_corner"), ("min_db", "max_db"))
    draws: ClassVar[int] = 2

    lowest_corner: float = option(0.5, "about 1.7 kHz at 64 bins up to 8 kHz: telephone", low=0, high=1)
    highest_corner: float = option(0.95, "just audible", low=0, high=1)
    min_db: float = option(50.0, "dB lost over the whole axis: a gentle shelf", low=0, high=1000)
    max_db: float = option(400.0, "steep as a codec's low-pass", low=0, high=1000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        corner = self.lowest_corner + u[:, 0] * (self.highest_corner - self.lowest_corner)
        return {"corner": corner, "slope_db": self.min_db + u[:, 1] * (self.max_db - self.min_db)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return _rolled_off(batch, _mel_axis(batch) - drawn["corner"][:, None], drawn["slope_db"])


@dataclass(frozen=True)
class SpecHighPass(Effect):
    """Takes the bass away below a corner on the mel axis: small speakers, rumble filters."""

    name: ClassVar[str] = "spec_high_pass"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness")
    neutral: ClassVar[Mapping[str, float]] = {"slope_db": 0.0}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_corner", "highest_corner"), ("min_db", "max_db"))
    draws: ClassVar[int] = 2

    lowest_corner: float = option(0.02, "just audible", low=0, high=1)
    highest_corner: float = option(0.2, "about 400 Hz at 64 bins up to 8 kHz: telephone", low=0, high=1)
    min_db: float = option(50.0, "dB lost over the whole axis: a gentle shelf", low=0, high=1000)
    max_db: float = option(400.0, "the bass is gone", low=0, high=1000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        corner = self.lowest_corner + u[:, 0] * (self.highest_corner - self.lowest_corner)
        return {"corner": corner, "slope_db": self.min_db + u[:, 1] * (self.max_db - self.min_db)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return _rolled_off(batch, drawn["corner"][:, None] - _mel_axis(batch), drawn["slope_db"])
