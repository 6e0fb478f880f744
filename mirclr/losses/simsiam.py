"""Simple siamese learning (Chen & He, SimSiam, arXiv 2011.10566): BYOL without the momentum network."""

from __future__ import annotations

import torch
from torch import Tensor

from mirclr.losses.objective import Objective, check_views, wide
from mirclr.losses.predictor import Predictor, cross_cosine


class SimSiam(Objective):
    """`-cos(h(z_v), stopgrad(z_w))`, h a predictor that is trained along; the mean over items and ordered pairs
    (v, w) of different views.

    Eq. 4 of the paper; -1 at best, 1 at worst. Without the stop-gradient all projections collapse to one point at once.
    The paper's projection ends in a batch norm, which is worth little there as long as its hidden layers have theirs
    (section 4.4). Groups are not used: no two items are ever compared, so there is no wrong negative to spare. One item
    is enough.

    Args:
        dim: P, supplied by the builder.
        hidden: width of the predictor, >= 1; None for a quarter of `dim`, the paper's bottleneck (512 of 2048).
    """

    source = "Chen & He, SimSiam, arXiv 2011.10566, eq. 4"

    def __init__(self, dim: int = 128, hidden: int | None = None) -> None:
        super().__init__()
        self.predictor = Predictor(dim, max(1, dim // 4) if hidden is None else hidden)

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` is not read. Raises ValueError on other shapes.
        """
        check_views(z)
        with torch.autocast(z.device.type, enabled=False):
            return -cross_cosine(self.predictor(wide(z)), z.detach())
