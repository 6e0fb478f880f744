"""The contrastive loss with a margin (Hadsell, Chopra & LeCun, CVPR 2006), the first of its kind."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.contrast import positive_cosines, unit_views
from mirclr.losses.objective import Objective, within
from mirclr.losses.pairwise import Pairing, pairing, root, squared_distances
from mirclr.losses.rows import chunked


class Margin(Objective):
    """`mean over positive pairs of D^2 / 2 + mean over negative pairs of max(0, m - D)^2 / 2`, D the Euclidean
    distance of projections on the unit sphere.

    The paper's loss of a pair. Positives are all ordered pairs of different views of an item, negatives all
    ordered pairs of views of items that share no group. Each kind has a mean of its own: a row has V - 1 positives and
    up to V (B - 1) negatives, and in one mean over all pairs the pull would vanish as the batch grows.

    Chance, all projections equal, is `m^2 / 2`, where the push has no direction. A batch without a negative pair (one
    item, or one group) costs 0 and pulls nothing.

    Args:
        margin: m in 0..2, above 0: negatives farther apart cost nothing. 1 is a cosine of 0.5; unrelated directions in
            many dimensions are sqrt(2) apart, so the push is spent on the pairs that are nearer than chance.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
    """

    source = "Hadsell, Chopra & LeCun, CVPR 2006"

    def __init__(self, margin: float = 1.0, chunk: int = 512) -> None:
        super().__init__()
        if not 0 < margin <= 2:
            raise ValueError(f"margin must be > 0 and at most 2, the diameter of the unit sphere, got {margin}")
        within("chunk", chunk, 1, math.inf)
        self.margin, self.chunk = margin, chunk

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives.
        Raises ValueError on other shapes.
        """
        with torch.autocast(z.device.type, enabled=False):
            unit = unit_views(z)
            pairs, rows = pairing(unit, groups), unit.flatten(0, 1)
            pull = (1.0 - positive_cosines(unit)).mean()  # D^2 / 2 = 1 - cos
            push, count = chunked(lambda *given: self._push(pairs, *given), self.chunk, rows, rows)
            return (pull + push / count.clamp(min=1)) * pairs.contrasts()

    def _push(self, pairs: Pairing, rows: Tensor, part: slice, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Sum over the negatives of some rows, and how many there are."""
        blocked = pairs.blocked(part)
        short = functional.relu(self.margin - root(squared_distances(rows, columns)))
        return short.square().div(2).masked_fill(blocked, 0.0).sum(), (~blocked).sum()
