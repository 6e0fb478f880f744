"""Bootstrap your own latent (Grill et al., BYOL, arXiv 2006.07733): predict a slower copy of oneself."""

from __future__ import annotations

import torch
from torch import Tensor

from mirclr.losses.objective import Objective, check_views, wide, within
from mirclr.losses.predictor import Predictor, cross_cosine


class BYOL(Objective):
    """`2 - 2 cos(q(z_v), z'_w) + 2 - 2 cos(q(z_w), z'_v)`, q a predictor that is trained along and z' the projections
    by the momentum network, without gradient; the mean over items and pairs {v, w} of different views.

    Eq. 2 and its symmetric twin; 0 at best, 8 at worst. Nothing is pushed apart. The constant solution is not reached
    because the target moves slowly and only the predictor side learns. Groups are not used: no two items are ever
    compared, so there is no wrong negative to spare. One item is enough.

    Args:
        dim: P, supplied by the builder.
        hidden: width of the predictor, >= 1. The paper's is as wide as the hidden layer of its projection; so is this.
        momentum: decay in 0..1 of the momentum network, per step. The authors begin at 0.99 for runs of 100 and 300
            epochs and at 0.996 for 1000, and raise it to 1 by a cosine; here it is constant.
    """

    wants = frozenset({"target"})
    source = "Grill et al., BYOL, arXiv 2006.07733, eq. 2"

    def __init__(self, dim: int = 128, hidden: int = 512, momentum: float = 0.99) -> None:
        super().__init__()
        within("momentum", momentum, 0.0, 1.0)
        self.predictor, self.momentum = Predictor(dim, hidden), momentum

    def forward(self, z: Tensor, groups: Tensor | None = None, *, target: Tensor) -> Tensor:
        """Projections `(V, B, P)` and their `target` of the same shape to a scalar in float32 (float64 of float64).

        `groups` is not read. Raises ValueError on other shapes.
        """
        check_views(z)
        if target.shape != z.shape:
            raise ValueError(f"target must be {tuple(z.shape)}, like the projections, got {tuple(target.shape)}")
        with torch.autocast(z.device.type, enabled=False):
            return 4.0 - 4.0 * cross_cosine(self.predictor(wide(z)), target.detach())
