"""Log-mel spectrograms `(B, F, N)` read at fractional positions along one axis, every item at positions of its own.

Positions are `(B, L)` bins (axis 1) or frames (axis 2) in 0..length - 1, where the result has L of them. What lies
beyond an edge is the caller's to decide. Values are interpolated as they are, in log power: halfway between two levels
lies the middle of their decibels.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHARPNESS = -0.5
"""Slope of the cubic kernel at distance 1: Keys's own choice, the only one that is exact for lines and parabolas.
Sharper ones, such as the -0.75 of image libraries, move what lies between bins by up to a twentieth of a bin."""


def _taken(batch: Tensor, index: Tensor, axis: int) -> Tensor:
    """Whole bins or frames of each item by `(B, L)` numbers. Bins are contiguous in memory and are copied as rows."""
    if axis == 2:
        return batch.gather(2, index[:, None, :].expand(-1, batch.shape[1], -1))
    size, bins, frames = batch.shape
    first = bins * torch.arange(size, device=batch.device)[:, None]
    return batch.reshape(-1, frames).index_select(0, (first + index).flatten()).view(size, -1, frames)


def read_linear(batch: Tensor, position: Tensor, axis: int) -> Tensor:
    """`batch` at `position` between its two neighbours."""
    lower = position.floor()
    upper = (lower + 1).clamp_(max=batch.shape[axis] - 1)
    below, above = (_taken(batch, i.long(), axis) for i in (lower, upper))
    return below.lerp_(above, (position - lower).unsqueeze(3 - axis))


def read_cubic(batch: Tensor, position: Tensor, axis: int) -> Tensor:
    """`batch` at `position` by cubic convolution (Keys, 1981) of its four neighbours; edges are held."""
    lower = position.floor()
    fraction = (position - lower).unsqueeze(3 - axis)
    first, second, third, fourth = (
        _taken(batch, (lower.long() + tap).clamp_(0, batch.shape[axis] - 1), axis) for tap in (-1, 0, 1, 2)
    )
    out = first.mul_(_outer(1 + fraction)).addcmul_(second, _inner(fraction))
    return out.addcmul_(third, _inner(1 - fraction)).addcmul_(fourth, _outer(2 - fraction))


def _inner(d: Tensor) -> Tensor:
    """The kernel at distances 0..1."""
    return ((SHARPNESS + 2) * d - (SHARPNESS + 3)) * d * d + 1


def _outer(d: Tensor) -> Tensor:
    """The kernel at distances 1..2."""
    return SHARPNESS * (((d - 5) * d + 8) * d - 4)
