"""SampleCNN: convolutions of three samples on the raw waveform, ten of them deep."""

from __future__ import annotations

from torch import nn

from mirclr.models.convolution import norm_conv, pool_layer
from mirclr.models.options import check_share, check_whole
from mirclr.models.staged import StagedEncoder

MODULES = (1, 1, 2, 2, 2, 2, 2, 2, 4)
"""Channels of each module as multiples of the first: 128 twice, 256 six times and 512 in the paper."""
FINE = 3
"""How many modules belong to the stem: up to a stride of 81 samples (5 ms at 16 kHz) a map is a filtered waveform,
whose mean and maximum say little but how loud it is."""


class SampleEncoder(StagedEncoder):
    """The 3^9 model: a convolution of stride 3, nine modules of convolution, batch norm, ReLU and pooling by 3, a 1x1.

    Takes samples `(B, 1, T)` in -1..1. At the paper's 59049 (3^10) samples the last map has one column; shorter input
    works down to one sample, longer input has more columns, and both are pooled.

    `width`: channels of the first layer. The default 32 is 0.12 M parameters and 0.24 GFLOP for 4 s at 16 kHz, a CPU's
    share; the paper's 128 is 1.8 M and 3.7 GFLOP. `dropout`: share of channels dropped after each module. The embedding
    is mean and maximum of the fourth to the ninth module, of the last behind the 1x1 convolution.

    Raises ValueError when an option is out of range.
    """

    source = "Lee et al., arXiv 1703.01789"
    domain = "wave"
    axes = 1

    def __init__(self, width: int = 32, dropout: float = 0.0) -> None:
        check_whole(512, width=width)
        check_share(dropout=dropout)
        widths = [width * multiple for multiple in MODULES]
        start = [*norm_conv(1, width, 3, 3, axes=1), nn.ReLU()]
        inputs = [width, *widths[:-1]]
        modules = [pool_layer(i, o, 3, nn.ReLU(), dropout, axes=1) for i, o in zip(inputs, widths, strict=True)]
        modules[-1].extend([*norm_conv(widths[-1], widths[-1], 1, axes=1), nn.ReLU()])
        strides = [3 ** (k + 2) for k in range(FINE, len(modules))]
        super().__init__(nn.Sequential(*start, *modules[:FINE]), modules[FINE:], widths[FINE:], strides)
        self.bands = 1
