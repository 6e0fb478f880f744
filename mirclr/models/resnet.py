"""A residual CNN with an early stride: most of its work is done on a map 16 times smaller than its input."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import nn

from mirclr.models.convolution import ResidualBlock, norm_conv
from mirclr.models.options import check_share, check_strides, check_whole, check_word
from mirclr.models.staged import StagedEncoder, doubling

SIZES = {"nano": (16, 4, 1), "small": (32, 4, 1), "base": (64, 4, 2)}
"""Width, stages and blocks of each size."""


class ResidualEncoder(StagedEncoder):
    """Spectrograms to embeddings: stem, stages that double the channels and halve the map, pooling after each stage.

    `size` sets what the next three options leave open; for 4 s of 64 bands at 62.5 frames a second:

    - "nano": width 16, 0.31 M parameters, 0.03 GFLOP; the default: a CPU, minutes, hundreds of tracks;
    - "small": width 32, 1.2 M parameters, 0.13 GFLOP; hours, or thousands of tracks;
    - "base": width 64, two blocks per stage (ResNet-18), 11 M parameters, 1.1 GFLOP; a GPU and tens of thousands
      of tracks.

    `width`: channels of the first stage, doubled by each of the `stages`; `blocks`: residual blocks per stage;
    `stem`: stride of the 7x7 stem over (frequency, time); `dropout`: share of channels dropped within each block.

    Raises ValueError when an option is out of range.
    """

    source = "He et al., arXiv 1512.03385"

    def __init__(
        self,
        size: Literal["nano", "small", "base"] = "nano",
        width: int | None = None,
        stages: int | None = None,
        blocks: int | None = None,
        stem: Sequence[int] = (4, 4),
        dropout: float = 0.0,
    ) -> None:
        check_word(tuple(SIZES), size=size)
        given = zip(SIZES[size], (width, stages, blocks), strict=True)
        width, stages, blocks = (preset if own is None else own for preset, own in given)
        check_whole(512, width=width)
        check_whole(6, stages=stages)
        check_whole(16, blocks=blocks)
        check_strides(2, 8, "strides over frequency and time", stem=stem)
        check_share(dropout=dropout)
        start = nn.Sequential(*norm_conv(1, width, 7, (stem[0], stem[1])), nn.ReLU())
        parts, widths = doubling(partial(ResidualBlock, dropout=dropout), width, stages, blocks)
        super().__init__(start, parts, widths, [stem[1] * 2**k for k in range(stages)])
