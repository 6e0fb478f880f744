"""Effects that mix another item into each log-mel spectrogram `(B, F, N)`, and its label into the label.

A background (`background_mix`) is noise to be ignored and leaves the label alone. Here the other item is meant to be
heard, and the label says how much of it there is (`Chain.label_weights`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.special import betainc, betaincinv
from torch import Tensor

from mirclr.augment.effect import Effect, option
from mirclr.augment.mixing import mixed_power, needed


@dataclass(frozen=True)
class SpecMixup(Effect):
    """Mixup (Zhang et al., arXiv 1710.09412) of power, log((1 - λ) exp a + λ exp b), and of the labels by λ.

    λ has the published Beta(α, α) distribution below `max_share`. Up to 0.5 nothing is lost: a larger λ is the same mix
    seen from the partner, which here is another item of the batch.
    """

    name: ClassVar[str] = "spec_mixup"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("content",)
    neutral: ClassVar[Mapping[str, float]] = {"share": 0.0}
    mixes: ClassVar[bool] = True
    mixes_labels: ClassVar[bool] = True
    draws: ClassVar[int] = 1

    max_share: float = option(0.5, "the item stays the larger part, also where nothing is labelled", low=0, high=0.5)
    alpha: float = option(1.0, "every share equally likely; the published 0.2 mostly mixes little", low=0.05, high=10)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        below = betainc(self.alpha, self.alpha, self.max_share)
        return {"share": betaincinv(self.alpha, self.alpha, u[:, 0] * below)}

    def partner_share(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        return drawn["share"]

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return mixed_power(batch, needed(self.name, batch, background), drawn["share"])


def _covered(length: int, start: Tensor, size: Tensor) -> Tensor:
    """`(B, length)`: how much of each of `length` cells of an axis 0..1 lies in start..start + size, 0 to 1."""
    edge = torch.arange(length + 1, device=start.device, dtype=start.dtype)
    first, last = start[:, None] * length, (start + size)[:, None] * length
    return (torch.minimum(edge[1:], last) - torch.maximum(edge[:-1], first)).clamp_(0, 1)


@dataclass(frozen=True)
class CutMix(Effect):
    """CutMix (Yun et al., arXiv 1905.04899): a stretch, a band or a rectangle is the other item's, labels mix by area.

    The area's share is uniform, as published; its place is uniform where it fits whole, so that nothing need be clipped
    and the share is the area. A bin or frame that an edge cuts is blended by the part covered, hence the area is exact
    at any length. The other item is heard where it was: the same frames, the same bins.
    """

    name: ClassVar[str] = "cutmix"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("content", "timbre")
    neutral: ClassVar[Mapping[str, float]] = {"width": 0.0}
    mixes: ClassVar[bool] = True
    mixes_labels: ClassVar[bool] = True
    draws: ClassVar[int] = 3

    axis: str = option("time", "a splice: every frame is a sound that occurs", choices=("time", "frequency", "both"))
    max_share: float = option(0.5, "the item stays the larger part, also where nothing is labelled", low=0, high=1)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        share = u[:, 0] * self.max_share
        side = np.sqrt(share) if self.axis == "both" else share
        width = np.ones_like(share) if self.axis == "frequency" else side
        height = np.ones_like(share) if self.axis == "time" else side
        return {"width": width, "left": u[:, 1] * (1 - width), "height": height, "bottom": u[:, 2] * (1 - height)}

    def partner_share(self, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        return drawn["width"] * drawn["height"]

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        other = needed(self.name, batch, background)
        bins = _covered(batch.shape[1], drawn["bottom"], drawn["height"])
        frames = _covered(batch.shape[2], drawn["left"], drawn["width"])
        return torch.lerp(batch, other, bins[:, :, None] * frames[:, None, :])
