"""Effects that put another item of the batch under each item, and the choice of that item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option
from mirclr.augment.waveform import added


def partners(u: np.ndarray) -> np.ndarray:
    """`(B,)` uniform numbers in [0, 1) to the index of another item for each, never itself. ValueError at B < 2."""
    size = len(u)
    if size < 2:
        raise ValueError(f"mixing needs at least 2 items, got {size}")
    other = np.minimum((u * (size - 1)).astype(np.int64), size - 2)
    return other + (other >= np.arange(size))


def needed(name: str, batch: Tensor, background: Tensor | None) -> Tensor:
    """The background of the effect `name`; ValueError where there is none."""
    if background is None:
        raise ValueError(f"{name} needs a background of shape {tuple(batch.shape)}")
    return background


def mixed_power(batch: Tensor, background: Tensor, share: Tensor) -> Tensor:
    """Log power of the powers' mix, log((1 - λ) exp a + λ exp b), with λ = `share` (B,) in [0, 1)."""
    share = share.view(-1, 1, 1)
    # log((1 - λ) e^a + λ e^b) = log1p(-λ) + logaddexp(a, b + logit λ): one pass less over the batch.
    return torch.logaddexp(batch, background + torch.logit(share)).add_(torch.log1p(-share))


@dataclass(frozen=True)
class BackgroundMix(Effect):
    """Mixes log-mel power (natural log) with a background: log((1 - λ) exp a + λ exp b).

    Log-mixup-exp of BYOL-A (Niizumi et al., arXiv 2103.06695): powers add as sounds do, and the shares keep the level.
    Its second version (arXiv 2204.07402) draws shares up to 0.2.
    """

    name: ClassVar[str] = "background_mix"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("content",)
    neutral: ClassVar[Mapping[str, float]] = {"share": 0.0}
    mixes: ClassVar[bool] = True
    draws: ClassVar[int] = 1

    max_share: float = option(0.4, "the power share of BYOL-A: the item stays the louder one", low=0, high=0.5)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"share": u[:, 0] * self.max_share}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return mixed_power(batch, needed(self.name, batch, background), drawn["share"])


@dataclass(frozen=True)
class WaveMix(Effect):
    """Adds the samples of a background, softer than the item by a number of decibels (root mean square)."""

    name: ClassVar[str] = "wave_mix"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("content",)
    neutral: ClassVar[Mapping[str, float]] = {"snr_db": math.inf}
    mixes: ClassVar[bool] = True
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("min_snr_db", "max_snr_db"),)
    draws: ClassVar[int] = 1

    min_snr_db: float = option(2.0, "the item stays the louder one, as with a share of 0.4", low=-20, high=100)
    max_snr_db: float = option(20.0, "a neighbour's radio", low=-20, high=100)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"snr_db": self.min_snr_db + u[:, 0] * (self.max_snr_db - self.min_snr_db)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return added(batch, needed(self.name, batch, background), drawn["snr_db"])
