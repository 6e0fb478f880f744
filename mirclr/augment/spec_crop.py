"""Random resize crop of log-mel spectrograms `(B, F, N)`: an area of each item, blown up or shrunk to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option
from mirclr.augment.spec_resample import read_cubic


def _area(u: np.ndarray, low: float, high: float, canvas: float) -> tuple[np.ndarray, np.ndarray]:
    """Size and start of the area along an axis, both in lengths of the item, from `(B, 2)` uniform numbers."""
    size = np.minimum(low + u[:, 0] * (high - low), canvas)
    return size, (1 - canvas) / 2 + u[:, 1] * (canvas - size)


def _grid(length: int, start: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """`(B, length)` positions of the area within the item, and how much of each is the item: 1 inside, 0 from one step
    beyond an edge on, in a line between."""
    place = torch.arange(length, device=start.device, dtype=start.dtype)
    position = start[:, None] * (length - 1) + size[:, None] * place
    inside = position.clamp(0, length - 1)
    return inside, (1 - (position - inside).abs()).clamp_(min=0)


@dataclass(frozen=True)
class ResizeCrop(Effect):
    """Random resize crop of BYOL-A (Niizumi et al., arXiv 2103.06695): pitch, tempo and place change at once.

    The item lies in the middle of a canvas; an area of random size and place on the canvas is resized to the item's
    shape by cubic interpolation, its corners on the result's corners. Beyond the item the published canvas is zero,
    which after their normalisation is the mean; here it is each item's own mean, or its floor where that is wanted.
    The area is not rounded to whole bins and frames.
    """

    name: ClassVar[str] = "resize_crop"
    domain: ClassVar[str] = "spec"
    changes: ClassVar[tuple[str, ...]] = ("tempo", "key", "pitch", "timbre", "content")
    neutral: ClassVar[Mapping[str, float]] = {"height": 1.0, "bottom": 0.0, "width": 1.0, "left": 0.0}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("min_height", "max_height"), ("min_width", "max_width"))
    draws: ClassVar[int] = 4

    min_height: float = option(0.6, "of the bins, as published", low=0.1, high=2)
    max_height: float = option(1.5, "as published; what exceeds the canvas is the whole canvas", low=0.1, high=2)
    min_width: float = option(0.6, "of the frames, as published", low=0.1, high=2)
    max_width: float = option(1.5, "as published", low=0.1, high=2)
    canvas_height: float = option(1.0, "as published: there is no sound beyond the mel axis", low=1, high=2)
    canvas_width: float = option(1.5, "as published: a slower item may start late and end early", low=1, high=2)
    fill: str = option("mean", "beyond the item; the floor is silence", choices=("mean", "floor"))

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        height, bottom = _area(u[:, :2], self.min_height, self.max_height, self.canvas_height)
        width, left = _area(u[:, 2:], self.min_width, self.max_width, self.canvas_width)
        return {"height": height, "bottom": bottom, "width": width, "left": left}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        bins, heard_bins = _grid(batch.shape[1], drawn["bottom"], drawn["height"])
        frames, heard_frames = _grid(batch.shape[2], drawn["left"], drawn["width"])
        resized = read_cubic(read_cubic(batch, bins, axis=1), frames, axis=2)
        fill = (batch.mean if self.fill == "mean" else batch.amin)((1, 2), keepdim=True)
        return torch.lerp(fill, resized, heard_bins[:, :, None] * heard_frames[:, None, :])
