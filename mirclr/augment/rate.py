"""Samples `(B, T)` at another rate: tape speed, tempo alone, pitch alone, and a low sample rate and back.

The item's length stays and its middle stays where it is, as `time_warp` does with frames: what a slower item has too
much is cropped at both ends, and what a faster one lacks is its mirror image. Repeating from the start would put a seam
into the music and zeros an end; mirrored sound has the item's own texture and level. Partials too close for a vocoder
to tell apart lose up to 1 dB, so its results are brought to the item's root mean square.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, log_symmetric, log_uniform, option, symmetric
from mirclr.augment.filters import RATE, angular_frequency, filtered
from mirclr.augment.interpolate import mirrored, read_evenly
from mirclr.augment.vocoder import frame_size, stretched
from mirclr.augment.waveform import level_kept

TRANSITION = 0.1
"""Of the new band: where resampling filters fall from all to nothing."""


@dataclass(frozen=True)
class Speed(Effect):
    """Plays the item faster or slower as tape does: tempo and pitch move together; the middle stays, ends mirror."""

    name: ClassVar[str] = "speed"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("tempo", "key", "pitch", "timbre")
    neutral: ClassVar[Mapping[str, float]] = {"rate": 1.0}
    draws: ClassVar[int] = 1

    max_rate: float = option(1.08, "rates log-uniform in 1/1.08..1.08: the slider of a turntable", low=1, high=2)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"rate": log_symmetric(u[:, 0], self.max_rate)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return read_evenly(batch, drawn["rate"], batch.shape[1])


@dataclass(frozen=True)
class TimeStretch(Effect):
    """Plays the item faster or slower at its own pitch and RMS (phase vocoder); the middle stays."""

    name: ClassVar[str] = "time_stretch"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("tempo", "phase")
    neutral: ClassVar[Mapping[str, float]] = {"rate": 1.0}
    draws: ClassVar[int] = 1

    max_rate: float = option(1.2, "log-uniform in 1/1.2..1.2: further, a vocoder smears drums", low=1, high=2)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"rate": log_symmetric(u[:, 0], self.max_rate)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return level_kept(stretched(batch, drawn["rate"], frame_size(self.sample_rate)), batch)


@dataclass(frozen=True)
class PitchShift(Effect):
    """Transposes by a fractional number of semitones at the item's own tempo: stretched, then played at that speed.

    Partials and formants move together, so a voice sounds larger or smaller. The whole item is kept: before it
    is stretched, it is given as much room, mirrored, as the largest shift needs.
    """

    name: ClassVar[str] = "pitch_shift"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("key", "pitch", "timbre", "phase")
    neutral: ClassVar[Mapping[str, float]] = {"semitones": 0.0}
    draws: ClassVar[int] = 1

    max_semitones: float = option(2.0, "what singers transpose by; further, voices become others", low=0, high=12)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"semitones": symmetric(u[:, 0], self.max_semitones)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        length = batch.shape[1]
        margin = math.ceil(length / 2 * (2 ** (self.max_semitones / 12) - 1))
        places = torch.arange(-margin, length + margin, device=batch.device)
        roomy, rate = batch[:, mirrored(places, length)], 2 ** (drawn["semitones"] / 12)
        slow = stretched(roomy, 1 / rate, frame_size(self.sample_rate))
        return level_kept(read_evenly(slow, rate, length), batch)


@dataclass(frozen=True)
class Resample(Effect):
    """Down to a low sample rate and up again: everything above half of it is gone, nothing is aliased.

    Ideal converters down and up are together one linear-phase low-pass whose stop band starts at half the low rate, and
    that filter is what is applied: flat, then a raised cosine over the last tenth of the band.
    """

    name: ClassVar[str] = "resample"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre",)
    neutral: ClassVar[Mapping[str, float]] = {"rate_hz": 1e30}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_hz", "highest_hz"),)
    draws: ClassVar[int] = 1

    lowest_hz: float = option(4000.0, "toys; a telephone has 8000", low=100, high=192_000)
    highest_hz: float = option(12_000.0, "early web audio had 11025", low=100, high=192_000)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"rate_hz": log_uniform(u[:, 0], self.lowest_hz, self.highest_hz)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        hertz = angular_frequency(batch.shape[1], self.sample_rate, batch) * (self.sample_rate / (2 * torch.pi))
        left = (1 - hertz / (drawn["rate_hz"][:, None] / 2)) / TRANSITION
        return filtered(batch, 0.5 - 0.5 * torch.cos(torch.pi * left.clamp(0, 1)), self.sample_rate)
