"""A depthwise-separable CNN: filtering and mixing of channels apart, at a fraction of a full convolution's work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mirclr.models.convolution import drop_channels, norm_conv
from mirclr.models.options import check_share, check_strides, check_whole
from mirclr.models.staged import StagedEncoder, doubling


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel by 3x3, narrow by 1x1 without a nonlinearity (sec. 3.3 and 3.4).

    The shortcut joins the narrow ends, where input and output have one shape. Without expansion the first 1x1
    is left out, as in the paper's first block.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, dropout: float) -> None:
        super().__init__()
        inner = inputs * expansion
        widen = () if expansion == 1 else (*norm_conv(inputs, inner, 1), nn.ReLU6())
        filtered = (*norm_conv(inner, inner, 3, stride, groups=inner), nn.ReLU6())
        self.branch = nn.Sequential(*widen, *filtered, *norm_conv(inner, outputs, 1), drop_channels(dropout))
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, maps: Tensor) -> Tensor:
        """`(B, C, F, N)` to `(B, C', F / stride, N / stride)`."""
        out: Tensor = self.branch(maps)
        return out + maps if self.shortcut else out


class DepthwiseEncoder(StagedEncoder):
    """Inverted residuals with linear bottlenecks after an early stride, pooling after each stage.

    The network of the paper with the stride taken at once by the stem and, since every stage is pooled into the
    embedding, without the last 1x1 convolution to 1280 channels.

    `width`: channels of the first stage, doubled by each of the `stages`; `blocks` per stage; `expansion`: how much
    wider a block is inside (6 in the paper); `stem`: stride of the 7x7 stem over (frequency, time); `dropout`: share of
    channels dropped at the end of each block's branch. The defaults are 0.86 M parameters and 0.11 GFLOP for 4 s of 64
    bands at 62.5 frames a second; on a CPU the wide maps cost more time than that says.

    Raises ValueError when an option is out of range.
    """

    source = "Sandler et al., arXiv 1801.04381"

    def __init__(
        self,
        width: int = 24,
        stages: int = 4,
        blocks: int = 2,
        expansion: int = 6,
        stem: Sequence[int] = (4, 4),
        dropout: float = 0.0,
    ) -> None:
        check_whole(512, width=width)
        check_whole(6, stages=stages)
        check_whole(16, blocks=blocks, expansion=expansion)
        check_strides(2, 8, "strides over frequency and time", stem=stem)
        check_share(dropout=dropout)
        start = nn.Sequential(*norm_conv(1, width, 7, (stem[0], stem[1])), nn.ReLU6())
        block = partial(InvertedResidual, expansion=expansion, dropout=dropout)
        parts, widths = doubling(block, width, stages, blocks)
        super().__init__(start, parts, widths, [stem[1] * 2**k for k in range(stages)])
