"""Objectives that keep the space open by statistics of its dimensions over the batch, not by pairs of items.

VICReg (Bardes et al., arXiv 2105.04906) and Barlow Twins (Zbontar et al., arXiv 2103.03230). Both pull the views of an
item together and take redundancy out: every dimension must vary over the batch, and no two may say the same. Both are
made for wide projections, 8192 in the papers: what collapses is the number of dimensions in use.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.objective import Objective, check_views, positive, wide, within


class VICReg(Objective):
    """`invariance s(Z, Z') + variance (v(Z) + v(Z')) + covariance (c(Z) + c(Z'))`, the mean over pairs (Z, Z') of
    different views.

    - s: the squared difference of the two views, mean over items and dimensions.
    - v: `max(0, gamma - sqrt(Var(z_j) + eps))`, mean over dimensions j (eq. 1), the variance over the batch.
    - c: the sum of the squared entries off the diagonal of the covariance over the batch, divided by P (eq. 4).

    The sum is eq. 6. Projections are not normalised. s is a mean over dimensions as in the authors' code, which the
    weights belong to; eq. 5 writes the sum. That code also halves the variance term, which eq. 6 does not. Variances
    and covariances divide by B - 1. Chance, all projections equal, is `2 variance (gamma - sqrt(eps))`, where nothing
    pulls.

    Groups are not used: no two items are compared, and two alike only lower the variance a little. A batch of one item
    has no variance: ValueError.

    Args:
        invariance, variance, covariance: weights, 0..1e6; 25, 25 and 1 are the paper's.
        gamma: the standard deviation every dimension should have at least, > 0; the scale of the space, 1 in the paper.
        eps: > 0, keeps the slope of the root finite where a dimension is constant.
    """

    source = "Bardes et al., VICReg, arXiv 2105.04906, eq. 1-6"

    def __init__(
        self,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        gamma: float = 1.0,
        eps: float = 1e-4,
    ) -> None:
        super().__init__()
        for name, weight in (("invariance", invariance), ("variance", variance), ("covariance", covariance)):
            within(name, weight, 0.0, 1e6)
        positive("gamma", gamma)
        positive("eps", eps)
        self.invariance, self.variance, self.covariance = invariance, variance, covariance
        self.gamma, self.eps = gamma, eps

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` is not read. Raises ValueError on other shapes and on fewer than 2 items.
        """
        _check_batch("vicreg", z)
        with torch.autocast(z.device.type, enabled=False):
            z = wide(z)
            # The mean of |a - b|^2 over pairs is twice the variance; a term per view counts twice in a mean over pairs.
            difference = 2.0 * z.var(dim=0).mean()
            shortfall = functional.relu(self.gamma - (z.var(dim=1) + self.eps).sqrt())
            return (
                self.invariance * difference
                + self.variance * 2.0 * shortfall.mean()
                + self.covariance * 2.0 * _squares_off_diagonal(_covariance(z)) / (len(z) * z.shape[-1])
            )


class BarlowTwins(Objective):
    """`sum over j of (1 - C_jj)^2 + lambda * sum over j != k of C_jk^2`, C_jk the correlation over the batch of
    dimension j of one view with dimension k of another; the mean over pairs of different views.

    Eq. 1 and 2 of the paper. The diagonal makes a dimension say the same of both views, the rest makes it say what no
    other does. The scale and offset of a dimension do not matter. Chance, no correlation at all, is P; so are
    projections that are all equal: a constant dimension correlates with nothing.

    Groups are not used: no two items are compared. A batch of one item has no correlation: ValueError.

    Args:
        weight: lambda, the weight of the entries off the diagonal, 0..1e6; 5e-3 is the paper's (0.0051 in its code),
            which finds the result not to be sensitive to it.
        eps: > 0, added to each variance (batch norm's 1e-5): the gradient of a constant dimension stays finite.
    """

    source = "Zbontar et al., Barlow Twins, arXiv 2103.03230, eq. 1-2"

    def __init__(self, weight: float = 5e-3, eps: float = 1e-5) -> None:
        super().__init__()
        within("weight", weight, 0.0, 1e6)
        positive("eps", eps)
        self.weight, self.eps = weight, eps

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` is not read. Raises ValueError on other shapes and on fewer than 2 items.
        """
        _check_batch("barlow", z)
        with torch.autocast(z.device.type, enabled=False):
            centred = wide(z) - wide(z).mean(dim=1, keepdim=True)
            scaled = centred * (centred.square().mean(dim=1, keepdim=True) + self.eps).rsqrt()
            first, second = torch.triu_indices(len(z), len(z), offset=1, device=z.device)
            correlation = scaled[first].mT @ scaled[second] / z.shape[1]
            agreement = (1.0 - correlation.diagonal(dim1=-2, dim2=-1)).square().sum()
            return (agreement + self.weight * _squares_off_diagonal(correlation)) / len(first)


def _check_batch(name: str, z: Tensor) -> None:
    check_views(z)
    if z.shape[1] < 2:
        raise ValueError(f"{name} is made of statistics over a batch: it needs at least 2 items, got {z.shape[1]}")


def _covariance(z: Tensor) -> Tensor:
    """`(V, B, P)` to the covariance over the batch of each view, `(V, P, P)`."""
    centred = z - z.mean(dim=1, keepdim=True)
    return centred.mT @ centred / (z.shape[1] - 1)


def _squares_off_diagonal(matrices: Tensor) -> Tensor:
    """The sum of the squares of all entries of `(..., P, P)` but the diagonals'."""
    diagonal = torch.diag_embed(matrices.diagonal(dim1=-2, dim2=-1))
    return (matrices - diagonal).square().sum()
