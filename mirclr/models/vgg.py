"""The short-chunk CNN: seven layers of 3x3 convolution and 2x2 max pooling, made for clips of a few seconds."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from mirclr.models.convolution import pool_layer
from mirclr.models.options import check_share, check_whole, check_word
from mirclr.models.staged import StagedEncoder

LAYERS = (1, 1, 2, 2, 2, 2, 4)
"""Channels of each layer as multiples of the first: 128, 128, 256, 256, 256, 256, 512 in the paper."""


class ShortChunkEncoder(StagedEncoder):
    """Convolution, batch norm, ReLU and 2x2 max pooling, seven times, for any number of bands.

    `width`: channels of the first layer. The default 32 is 0.21 M parameters and 0.15 GFLOP for 4 s of 64 bands at 62.5
    frames a second, a CPU's share; the paper's 128 is 3.4 M and 2.2 GFLOP. `dropout`: share of channels dropped after
    each layer.

    `summary`: "stages" pools the second to the seventh layer by mean and maximum, the paper's embedding among them as
    the last 4 * `width` numbers; "last" is the paper's alone, the global maximum of the seventh.

    Raises ValueError when an option is out of range.
    """

    source = "Won et al., arXiv 2006.00751"

    def __init__(self, width: int = 32, summary: Literal["stages", "last"] = "stages", dropout: float = 0.0) -> None:
        check_whole(512, width=width)
        check_word(("stages", "last"), summary=summary)
        check_share(dropout=dropout)
        widths = [width * multiple for multiple in LAYERS]
        inputs = [1, *widths[:-1]]
        layers = [pool_layer(i, o, 2, nn.ReLU(), dropout) for i, o in zip(inputs, widths, strict=True)]
        super().__init__(layers[0], layers[1:], widths[1:], [2 ** (k + 2) for k in range(len(layers) - 1)])
        self.summary = summary
        if summary == "last":
            self.dim = widths[-1]

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, D)`; D = 26 * width, or 4 * width for "last"."""
        return self._maps(frames)[-1].amax((2, 3)) if self.summary == "last" else super().forward(frames)
