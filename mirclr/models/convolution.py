"""Convolutional pieces that several encoders are built from, over maps (frequency, time) or over time alone."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Axes = Literal[1, 2]
"""1: convolutions along time, over `(B, C, N)`; 2: along frequency and time, over `(B, C, F, N)`."""


class _Point2d(nn.Conv2d):
    """A kernel of one cell: with a stride, the cells between are left out first, which computes the same.

    torch 2.13 on a processor with AVX2 alone writes past the end of its memory in the backward pass of this kernel with
    a stride, channels last and fewer than eight input channels.
    """

    def forward(self, maps: Tensor) -> Tensor:
        high, long = self.stride
        return functional.conv2d(maps[:, :, ::high, ::long], self.weight, self.bias, groups=self.groups)


def norm_conv(
    inputs: int, outputs: int, kernel: int, stride: int | tuple[int, int] = 1, *, groups: int = 1, axes: Axes = 2
) -> nn.Sequential:
    """Convolution and batch norm; centred, so that a length N becomes ceil(N / stride) and output k sits at k * stride.

    Without a bias: batch norm takes it out again.
    """
    flat = _Point2d if kernel == 1 else nn.Conv2d
    conv, norm = (flat, nn.BatchNorm2d) if axes == 2 else (nn.Conv1d, nn.BatchNorm1d)
    made = conv(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)  # type: ignore[arg-type]
    return nn.Sequential(made, norm(outputs))


def drop_channels(share: float, axes: Axes = 2) -> nn.Module:
    """Dropout of whole channels (Tompson et al., arXiv 1411.4280): neighbours on a map would give away single cells."""
    if not share:
        return nn.Identity()
    return nn.Dropout2d(share) if axes == 2 else nn.Dropout1d(share)


def pool_layer(
    inputs: int, outputs: int, pool: int | tuple[int, int], activation: nn.Module, dropout: float, axes: Axes = 2
) -> nn.Sequential:
    """Convolution of 3, batch norm, activation, max pooling, dropout: the layer of the VGG family.

    An incomplete window at the end is pooled too: a length N becomes ceil(N / pool), so that no length is too short.
    """
    pooling = nn.MaxPool2d if axes == 2 else nn.MaxPool1d
    parts = (*norm_conv(inputs, outputs, 3, axes=axes), activation, pooling(pool, ceil_mode=True))
    return nn.Sequential(*parts, drop_channels(dropout, axes))


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut (He et al., arXiv 1512.03385, basic block).

    Dropout stands between the convolutions (Zagoruyko and Komodakis, arXiv 1605.07146, sec. 2.4).
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, *, dropout: float = 0.0, kernel: int = 3, axes: Axes = 2
    ) -> None:
        super().__init__()
        self.first = norm_conv(inputs, outputs, kernel, stride, axes=axes)
        self.second = norm_conv(outputs, outputs, kernel, axes=axes)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else norm_conv(inputs, outputs, 1, stride, axes=axes)
        self.dropout = drop_channels(dropout, axes)

    def forward(self, maps: Tensor) -> Tensor:
        """`(B, C, F, N)` to `(B, C', F / stride, N / stride)`, or `(B, C, N)` to `(B, C', N / stride)`."""
        inner = self.dropout(torch.relu(self.first(maps)))
        return torch.relu(self.second(inner) + self.shortcut(maps))
