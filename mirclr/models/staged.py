"""Encoders that are a stem and stages, every stage pooled into the embedding.

On small data the early stages hold timbre that the last one has already thrown away, and concatenating pooled features
of all stages is worth several points of genre accuracy over the last stage alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.convolution import Axes
from mirclr.models.encoder import Encoder


def pooled(maps: Tensor) -> Tensor:
    """`(B, C, F, N)` or `(B, C, N)` to `(B, 2 C)`: mean and maximum over frequency and time."""
    places = tuple(range(2, maps.ndim))
    return torch.cat([maps.mean(places), maps.amax(places)], dim=1)


def at_rate(rows: Tensor, ratio: int, length: int) -> Tensor:
    """`(B, C, ceil(length / ratio))` features of every `ratio`-th moment as `(B, C, length)`.

    Linear between the moments, and the last one held to the end: feature k stays at the moment it describes.
    """
    between = functional.interpolate(rows, (rows.shape[2] - 1) * ratio + 1, mode="linear", align_corners=True)
    return functional.pad(between, (0, length - between.shape[2]), mode="replicate")


def doubling(
    block: Callable[[int, int, int], nn.Module], width: int, stages: int, blocks: int
) -> tuple[list[nn.Sequential], list[int]]:
    """`stages` of `blocks` blocks and the channels of each, `width` for the first and twice as many for each after it.

    `block` makes one of (inputs, outputs, stride); every stage but the first halves the map with its first block.
    """
    widths = [width * 2**k for k in range(stages)]
    parts = []
    for k, (inputs, outputs) in enumerate(zip([width, *widths[:-1]], widths, strict=True)):
        first = block(inputs, outputs, 1 if k == 0 else 2)
        parts.append(nn.Sequential(first, *(block(outputs, outputs, 1) for _ in range(blocks - 1))))
    return parts, widths


class StagedEncoder(Encoder):
    """Base of the convolutional encoders: a subclass hands over its parts, each stage a map at a rate of its own.

    `widths`: channels of each stage; `strides`: input frames per column of each stage's map, each a multiple of the
    first. D = 2 * sum(widths), C = sum(widths), `frame_stride` = strides[0]. The class attribute `axes` says what the
    convolutions run over.
    """

    axes: ClassVar[Axes] = 2

    def __init__(
        self, stem: nn.Module, stages: Iterable[nn.Module], widths: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        self.stem, self.stages = stem, nn.ModuleList(stages)
        self.dim, self.channels = 2 * sum(widths), sum(widths)
        self.strides, self.frame_stride = tuple(strides), strides[0]
        # 15 to 30 % faster on CPU, and what GPU tensor cores want. (torch's stubs lack this overload.)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, D)`: mean and maximum of every stage, in their order."""
        return torch.cat([pooled(maps) for maps in self._maps(frames)], dim=1)

    def sequence(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, ceil(N / frame_stride), C)`: every stage averaged over frequency, at the first's rate."""
        rows = [maps.mean(dim=2) if maps.ndim == 4 else maps for maps in self._maps(frames)]
        ratios = [stride // self.frame_stride for stride in self.strides]
        whole = [at_rate(row, ratio, rows[0].shape[2]) for row, ratio in zip(rows, ratios, strict=True)]
        return torch.cat(whole, dim=1).transpose(1, 2)

    @property
    def grid(self) -> int:
        """The stride of the last stage, which is a multiple of all others."""
        return self.strides[-1]

    def depths(self) -> list[nn.Module]:
        return [self.stem, *self.stages]

    def _maps(self, frames: Tensor) -> list[Tensor]:
        """The output of every stage, `(B, C_k, F_k, N_k)` or `(B, C_k, N_k)`."""
        frames = self.checked(frames)
        if self.axes == 2:
            frames = frames.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        maps = self.stem(frames)
        return [maps := stage(maps) for stage in self.stages]
