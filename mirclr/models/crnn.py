"""A convolutional recurrent network: convolutions hear the moment, gated recurrent units hear the order of moments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Literal

from torch import Tensor, nn

from mirclr.models.convolution import pool_layer
from mirclr.models.options import check_share, check_strides, check_whole, check_word
from mirclr.models.staged import StagedEncoder

LAYERS = (1, 2, 2, 2)
"""Channels of each layer as multiples of the first: 64, 128, 128, 128 in the authors' code."""
FREQUENCY_POOLS = (2, 3, 4, 4)
"""Together 96, the paper's number of bands: one row is left of up to 96 bands, and of more their maximum is taken."""


class RecurrentEncoder(StagedEncoder):
    """Four layers of 3x3 convolution, batch norm, ELU and max pooling, then `layers` layers of GRU over time.

    `width`: channels of the first layer, twice as many in the others; `hidden`: units of a GRU layer (32 in the paper);
    `time_pools`: pooling over time of each layer. The paper's (2, 3, 4, 4) is made for half a minute and leaves three
    steps of 4 s; the default leaves sixteen, a quarter of a second each at 62.5 frames a second. `dropout`: share of
    channels dropped after each layer and of units between GRU layers (0.1 and 0.3 in the paper).

    `summary`: "stages" pools the second to the fourth layer and the GRU's outputs by mean and maximum; "last" is the
    paper's alone, the last layer's last output. The defaults are 0.27 M parameters and 0.22 GFLOP for 4 s of 64 bands.

    Raises ValueError when an option is out of range.
    """

    source = "Choi et al., arXiv 1609.04243"

    def __init__(
        self,
        width: int = 32,
        hidden: int = 128,
        layers: int = 2,
        time_pools: Sequence[int] = (2, 2, 2, 2),
        summary: Literal["stages", "last"] = "stages",
        dropout: float = 0.0,
    ) -> None:
        check_whole(512, width=width, hidden=hidden)
        check_whole(4, layers=layers)
        check_strides(4, 8, "pooling over time of each layer", time_pools=time_pools)
        check_word(("stages", "last"), summary=summary)
        check_share(dropout=dropout)
        widths = [width * multiple for multiple in LAYERS]
        pools = list(zip(FREQUENCY_POOLS, time_pools, strict=True))
        shapes = zip([1, *widths[:-1]], widths, pools, strict=True)
        parts = [pool_layer(inputs, outputs, pool, nn.ELU(), dropout) for inputs, outputs, pool in shapes]
        strides = list(accumulate(time_pools, mul))
        super().__init__(parts[0], parts[1:], [*widths[1:], hidden], [*strides[1:], strides[-1]])
        between = dropout if layers > 1 else 0.0  # torch warns of dropout between the layers of one layer
        self.gru = nn.GRU(widths[-1], hidden, layers, batch_first=True, dropout=between)
        self.summary = summary
        if summary == "last":
            self.dim = hidden

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, D)`; D = 12 * width + 2 * hidden, or hidden for "last"."""
        return self._maps(frames)[-1][:, :, -1] if self.summary == "last" else super().forward(frames)

    def depths(self) -> list[nn.Module]:
        return [*super().depths(), self.gru]

    def _maps(self, frames: Tensor) -> list[Tensor]:
        """The maps of the layers, and the GRU's outputs `(B, hidden, N')` behind them."""
        maps = super()._maps(frames)
        outputs, _ = self.gru(maps[-1].amax(dim=2).transpose(1, 2))
        return [*maps, outputs.transpose(1, 2)]
