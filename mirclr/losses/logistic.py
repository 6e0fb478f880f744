"""The pairwise sigmoid loss (Zhai et al., SigLIP, arXiv 2303.15343): every pair is a yes-or-no question of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.losses.contrast import unit_views
from mirclr.losses.objective import Objective, positive, wide, within
from mirclr.losses.pairwise import Pairing, pairing
from mirclr.losses.rows import chunked


class Logistic(Objective):
    """`sum over positives of log(1 + exp(-s)) + sum over negatives of log(1 + exp(s))` for each row, with
    `s = t cos(i, j) + b`, t and b learned; the sum over all rows divided by the number of rows.

    The paper's algorithm 1 has an image and a text in place of two views: 1 positive and B - 1 negatives a row. Here a
    row has V - 1 positives and, as in all losses with negatives, every view of every other item: V (B - 1). Sums
    within a row and the mean over rows are the paper's, so the loss grows with the batch. No pair's
    gradient depends on another pair's: no softmax, no normaliser. Views of items in one group are neither kind.

    Chance, all projections equal, is `(V - 1) log(1 + exp(-t - b)) + V (B - 1) log(1 + exp(t + b))`. A batch without a
    negative (one item, or one group) costs 0 and teaches t and b nothing.

    Args:
        scale: t at the start, > 0; 10 in the paper. What `NTXent` calls temperature is 1 / t. Learned as
            `log_temperature`, the paper's `t' = log t`.
        bias: b at the start. -10 in the paper: nearly all pairs are negatives, and from b = 0 the first steps would
            go into learning that. Learned.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
    """

    source = "Zhai et al., SigLIP, arXiv 2303.15343, algorithm 1"

    def __init__(self, scale: float = 10.0, bias: float = -10.0, chunk: int = 512) -> None:
        super().__init__()
        positive("scale", scale)
        within("bias", bias, -1e3, 1e3)
        within("chunk", chunk, 1, math.inf)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))
        self.chunk = chunk

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives.
        Raises ValueError on other shapes.
        """
        with torch.autocast(z.device.type, enabled=False):
            unit = unit_views(z)
            pairs, rows = pairing(unit, groups), unit.flatten(0, 1)
            learned = wide(self.log_temperature), wide(self.bias)
            total, count = chunked(lambda *given: _rows(pairs, *given), self.chunk, rows, rows, *learned)
            return total / count * pairs.contrasts()


def _rows(
    pairs: Pairing, rows: Tensor, part: slice, columns: Tensor, log_temperature: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum over the pairs of some rows, and how many rows."""
    scores = log_temperature.exp() * (rows @ columns.T) + bias
    pull = functional.softplus(-scores.gather(1, pairs.partners[part])).sum()
    push = functional.softplus(scores).masked_fill(pairs.blocked(part), 0.0).sum()
    return pull + push, torch.tensor(len(rows))
