"""Uneven warps of log-mel spectrograms `(B, F, N)`: one axis is stretched here and squeezed there, both ends stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option, symmetric
from mirclr.augment.spec_resample import read_linear


def _bent(last: int, source: Tensor, target: Tensor) -> Tensor:
    """`(B, last + 1)` positions to read so that what was at `source` (B,) comes to lie at `target`, ends fixed.

    Linear on both sides of `target`. A side without width is its end, which reads the end.
    """
    place = torch.arange(last + 1, device=source.device, dtype=source.dtype)
    source, target = source[:, None], target[:, None]
    before = place * (source / target.clamp(min=1e-6))
    after = last - (last - place) * ((last - source) / (last - target).clamp(min=1e-6))
    return torch.where((place <= target) & (place < last), before, after).clamp_(0, last)


@dataclass(frozen=True)
class FrequencyWarp(Effect):
    """Stretches the mel axis by a factor up to a corner and squeezes the rest into what is left (or the reverse).

    The warp of vocal tract length perturbation (Jaitly and Hinton, ICML workshop 2013), on mel bins instead of Hz: with
    S the last bin and H the corner, bin f goes to α f as long as f <= H min(α, 1) / α, and from there in a line to S.
    Formants and partials move apart by unequal amounts, as from a small body to a large one; nothing leaves the axis.
    """

    name: ClassVar[str] = "frequency_warp"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("key", "pitch", "timbre")
    neutral: ClassVar[Mapping[str, float]] = {"factor": 1.0}
    draws: ClassVar[int] = 1

    max_stretch: float = option(0.1, "factors 0.9..1.1 as published; 5 of 64 bins at the corner", low=0, high=0.5)
    corner: float = option(0.8, "of the mel axis: the published 4.8 kHz of 8 kHz", low=0.1, high=0.95)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"factor": 1 + symmetric(u[:, 0], self.max_stretch)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        last = batch.shape[1] - 1
        target = self.corner * last * drawn["factor"].clamp(max=1)
        return read_linear(batch, _bent(last, target / drawn["factor"], target), axis=1)


@dataclass(frozen=True)
class TimeBend(Effect):
    """Moves a moment of the crop earlier or later, both ends fixed: the time warp of SpecAugment (arXiv 1904.08779).

    The moment is uniform in (W, 1 - W) of the crop and its move in -W..W (Park et al., section 2). One side plays
    slower and the other faster, in straight lines: tempo changes once within the crop, and over the whole not at all.
    """

    name: ClassVar[str] = "time_bend"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("tempo",)
    neutral: ClassVar[Mapping[str, float]] = {"move": 0.0}
    draws: ClassVar[int] = 2

    max_move: float = option(0.1, "W as a share of the crop; the published 80 frames are 5 to 10 %", low=0, high=0.45)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        moment = self.max_move + u[:, 0] * (1 - 2 * self.max_move)
        return {"moment": moment, "move": symmetric(u[:, 1], self.max_move)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        last = batch.shape[2] - 1
        source = drawn["moment"] * last
        return read_linear(batch, _bent(last, source, source + drawn["move"] * last), axis=2)
