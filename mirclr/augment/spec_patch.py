"""Masked views of log-mel spectrograms `(B, F, N)`: patches of a grid are hidden, as many as asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option
from mirclr.augment.spectrogram import filled
from mirclr.augment.waveform import hashed


def _chosen(seed: Tensor, share: Tensor, patches: int) -> Tensor:
    """`(B, patches)`, true for the nearest whole number to `share` of them, never all; every choice equally likely."""
    count = (share * patches).round().clamp(max=patches - 1)
    order = hashed(seed, patches).argsort(dim=1, stable=True)
    first = torch.arange(patches, device=seed.device) < count[:, None]
    return torch.zeros_like(first.expand_as(order)).scatter(1, order, first)


@dataclass(frozen=True)
class PatchMask(Effect):
    """Hides a share of the patches of a time-frequency grid, filled with the item's mean.

    The token masking of Myna (Yonay et al., arXiv 2502.12511; there in place of other effects), for any encoder: a
    transformer drops the hidden patches, here they stay as the least surprising value. What is left keeps its key,
    pitch and tempo. The grid starts at the first bin and frame; patches at the other ends may be cut short.
    """

    name: ClassVar[str] = "patch_mask"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("content",)
    neutral: ClassVar[Mapping[str, float]] = {"share": 0.0}
    draws: ClassVar[int] = 1

    share: float = option(0.5, "two views see a quarter in common; Myna hides 0.9 from a transformer", low=0, high=0.95)
    bins: int = option(16, "Myna's patch; as many as the mel axis has hides whole stretches of time", low=1, high=1024)
    frames: int = option(16, "Myna's patch; its tall patches for keys are 128 by 2", low=1, high=4096)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"share": np.full(len(u), float(self.share)), "seed": (u[:, 0] * 2**32).astype(np.int64)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        bins, frames = batch.shape[1:]
        high, wide = -(-bins // self.bins), -(-frames // self.frames)
        hidden = _chosen(drawn["seed"], drawn["share"], high * wide).unflatten(1, (high, wide))
        across = hidden.repeat_interleave(self.frames, 2)[:, :, :frames]
        return filled(batch, across.repeat_interleave(self.bins, 1)[:, :bins])
