"""The multi-class N-pair loss (Sohn, NeurIPS 2016): a triplet loss with every negative at once."""

from __future__ import annotations

import math
from itertools import permutations

import torch
from torch import Tensor

from mirclr.losses.fused import FusedContrast
from mirclr.losses.nt_xent import coupled
from mirclr.losses.objective import Objective, check_views, wide, within
from mirclr.losses.pairwise import pairing


class NPair(Objective):
    """`log(1 + sum over j != i of exp(f_i . g_j - f_i . g_i)) + l2 / 2 |f_i|^2`, f one view of the items and g another,
    not normalised; the mean over items and ordered pairs of different views.

    The paper's N-pair-mc for all ordered pairs of views in place of one (anchor, positive). The negatives of f_i are
    the other items in view g only, those of its own group left out. The inner products are not divided by norms: the
    products of unit vectors end at 1, which makes the loss hard to optimise, so the paper keeps the norms small by the
    second term instead.

    Chance, all projections 0, is `log B`. A batch without a negative (one item, or one group) costs 0.

    Args:
        l2: weight >= 0 of the norms. 0.002, that of TensorFlow's implementation, leaves products of some hundred within
            reach, far more than the loss needs, and stops their growth once the loss is learned.
        chunk: rows computed at a time; changes memory (`chunk` x B numbers), not the result.
    """

    source = "Sohn, NeurIPS 2016, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, N-pair-mc"

    def __init__(self, l2: float = 0.002, chunk: int = 512) -> None:
        super().__init__()
        within("l2", l2, 0.0, 1e6)
        within("chunk", chunk, 1, math.inf)
        self.l2, self.chunk = l2, chunk

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives.
        Raises ValueError on other shapes.
        """
        check_views(z)
        with torch.autocast(z.device.type, enabled=False):
            z, pairs = wide(z), pairing(z, groups)
            labels = pairs.labels[: z.shape[1]]
            losses = [self._pair(f, g, labels) for f, g in permutations(z, 2)]
            norms = z.square().sum(dim=-1).mean()
            return (torch.stack(losses).mean() + self.l2 / 2 * norms) * pairs.contrasts()

    def _pair(self, anchors: Tensor, others: Tensor, labels: Tensor) -> Tensor:
        """The mean over items of one ordered pair of views, each `(B, P)`."""
        products = (anchors * others).sum(dim=-1, keepdim=True)
        loss: Tensor = FusedContrast.apply(anchors, others, products, labels, labels, 1.0, self.chunk, coupled)
        return loss
