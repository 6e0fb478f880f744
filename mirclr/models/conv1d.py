"""A CNN along time only, the bands as its input channels: timbre in the first layer, rhythm in all others."""

from __future__ import annotations

from functools import partial

from torch import nn

from mirclr.models.convolution import ResidualBlock, norm_conv
from mirclr.models.options import check_share, check_whole
from mirclr.models.staged import StagedEncoder, doubling


class BandsEncoder(StagedEncoder):
    """Filters over all bands and a few frames at once, then residual blocks over time, pooling after each stage.

    The first layer sees the spectrum whole, as Dieleman and Schrauwen's does, so that a pattern in frequency belongs to
    its pitch and is not heard when transposed; one row in place of F / 4 of them leaves room for many channels.

    `bands`: F, supplied by the builder, any number >= 1; `width`: channels of the first stage, doubled by each of the
    `stages`; `blocks`: residual blocks per stage; `kernel`: frames a filter spans, odd; `stride`: of the first layer,
    over time; `dropout`: share of channels dropped within each block. The defaults are 1.8 M parameters and 0.09 GFLOP
    for 4 s of 64 bands at 62.5 frames a second.

    Raises ValueError when an option is out of range.
    """

    source = "Dieleman and Schrauwen, ICASSP 2014; He et al., arXiv 1512.03385"
    axes = 1

    def __init__(
        self,
        bands: int = 64,
        width: int = 64,
        stages: int = 4,
        blocks: int = 1,
        kernel: int = 3,
        stride: int = 2,
        dropout: float = 0.0,
    ) -> None:
        check_whole(4096, bands=bands)
        check_whole(1024, width=width)
        check_whole(6, stages=stages)
        check_whole(16, blocks=blocks, stride=stride)
        check_whole(31, kernel=kernel)
        if kernel % 2 == 0:
            raise ValueError(f"encoder.kernel must be odd, so that a filter has a centre, got {kernel}")
        check_share(dropout=dropout)
        start = nn.Sequential(*norm_conv(bands, width, 2 * kernel + 1, stride, axes=1), nn.ReLU())
        block = partial(ResidualBlock, dropout=dropout, kernel=kernel, axes=1)
        parts, widths = doubling(block, width, stages, blocks)
        super().__init__(start, parts, widths, [stride * 2**k for k in range(stages)])
        self.bands = bands
