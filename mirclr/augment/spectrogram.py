"""Effects on log-mel spectrograms `(B, F, N)`: F mel bins, N frames, values in natural-log power.

Everything is one or two passes over memory: no effect goes back to samples, so a cached log-mel is enough to train.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, log_symmetric, option, symmetric
from mirclr.augment.spec_resample import read_linear

LOG_POWER_PER_DB = math.log(10) / 10
"""One decibel in natural-log power."""


def _hidden(length: int, drawn: dict[str, Tensor]) -> Tensor:
    """`(B, length)`, true under any of the masks; `width` is a share of the axis, `place` of the room left by it."""
    width = (drawn["width"] * length).floor()
    start = (drawn["place"] * (length - width + 1)).floor()
    position = torch.arange(length, device=width.device).view(1, 1, -1)
    inside = (position >= start[..., None]) & (position < (start + width)[..., None])
    return inside.any(1)


def _masks(u: np.ndarray, max_fraction: float) -> dict[str, np.ndarray]:
    width, place = np.split(u, 2, axis=1)
    return {"width": width * max_fraction, "place": place}


def filled(batch: Tensor, hidden: Tensor) -> Tensor:
    """`batch` with its item's mean where `hidden`: the least surprising value, so that a mask is not an event."""
    return torch.where(hidden, batch.mean((1, 2), keepdim=True), batch)


@dataclass(frozen=True)
class TimeMask(Effect):
    """Hides stretches of time (SpecAugment, Park et al., arXiv 1904.08779), filled with the item's mean."""

    name: ClassVar[str] = "time_mask"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("content",)
    neutral: ClassVar[Mapping[str, float]] = {"width": 0.0}

    max_fraction: float = option(0.2, "two of 0.2 hide 20 % of the frames on average, never half", low=0, high=0.5)
    count: int = option(2, "two short masks leave more rhythm readable than one long one", low=1, high=10)

    @property
    def draws(self) -> int:
        return 2 * self.count

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return _masks(u, self.max_fraction)

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return filled(batch, _hidden(batch.shape[2], drawn)[:, None, :])


@dataclass(frozen=True)
class FrequencyMask(Effect):
    """Hides bands of mel bins (SpecAugment, Park et al., arXiv 1904.08779), filled with the item's mean."""

    name: ClassVar[str] = "frequency_mask"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("content", "timbre")
    neutral: ClassVar[Mapping[str, float]] = {"width": 0.0}

    max_fraction: float = option(0.2, "two of 0.2 hide 20 % of the bins on average, never half", low=0, high=0.5)
    count: int = option(2, "no single instrument's register can be the only cue", low=1, high=10)

    @property
    def draws(self) -> int:
        return 2 * self.count

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return _masks(u, self.max_fraction)

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return filled(batch, _hidden(batch.shape[1], drawn)[:, :, None])


@dataclass(frozen=True)
class FrequencyShift(Effect):
    """Moves the spectrum by a fractional number of mel bins; the edge bin fills what is uncovered.

    Close to a transposition in the upper, logarithmic part of the mel axis (with 64 bins up to 8 kHz one bin is about
    a semitone from 1 kHz on); below, partials shift by equal Hz and become inharmonic, as a small formant change would.
    """

    name: ClassVar[str] = "frequency_shift"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("key", "pitch", "timbre")
    neutral: ClassVar[Mapping[str, float]] = {"bins": 0.0}
    draws: ClassVar[int] = 1

    max_bins: float = option(3.0, "about a minor third at 64 bins; more turns a voice into another", low=0, high=64)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"bins": symmetric(u[:, 0], self.max_bins)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        bins = batch.shape[1]
        bin_index = torch.arange(bins, device=batch.device, dtype=batch.dtype)
        return read_linear(batch, (bin_index - drawn["bins"][:, None]).clamp_(0, bins - 1), axis=1)


@dataclass(frozen=True)
class TimeWarp(Effect):
    """Plays the frames faster or slower around the centre of the crop by linear interpolation along time.

    A faster item needs frames from beyond the crop: they are mirrored at the edges. A held frame would be a sound
    that never occurs; a mirrored one keeps texture and level, and at rate 1.1 it is under 5 % of the crop at each end.
    Pitch and timbre stay (a phase vocoder's effect without its phases).
    """

    name: ClassVar[str] = "time_warp"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("tempo",)
    neutral: ClassVar[Mapping[str, float]] = {"rate": 1.0}
    draws: ClassVar[int] = 1

    max_rate: float = option(
        1.1,
        "rates log-uniform in 1/1.1..1.1: what a live version differs by; 2 would make tempo unreadable",
        low=1,
        high=2,
    )

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"rate": log_symmetric(u[:, 0], self.max_rate)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        last = batch.shape[2] - 1
        from_centre = torch.arange(last + 1, device=batch.device, dtype=batch.dtype) - last / 2
        position = (last / 2 + from_centre * drawn["rate"][:, None]).abs_()
        return read_linear(batch, (last - (last - position).abs_()).clamp_(0, last), axis=2)


@dataclass(frozen=True)
class SpecGain(Effect):
    """Louder or softer by a number of decibels: an offset in log power."""

    name: ClassVar[str] = "spec_gain"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("loudness",)
    neutral: ClassVar[Mapping[str, float]] = {"db": 0.0}
    draws: ClassVar[int] = 1

    max_db: float = option(6.0, "what mastering differs by between releases", low=0, high=60)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"db": symmetric(u[:, 0], self.max_db)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return batch + drawn["db"].view(-1, 1, 1) * LOG_POWER_PER_DB
