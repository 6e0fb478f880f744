"""Decoupled contrastive learning (Yeh et al., arXiv 2110.06848): InfoNCE without the positive in its denominator."""

from __future__ import annotations

import torch
from torch import Tensor

from mirclr.losses.contrast import check_options, contrast
from mirclr.losses.objective import Objective


def decoupled(negatives: Tensor, positives: Tensor) -> Tensor:
    """`(c,)` rows: `n - mean of p`, 0 where there is no negative."""
    # Not isfinite: NaN has to come out as NaN, or a run that has diverged would read as one without a loss.
    return torch.where(negatives.isneginf(), 0.0, negatives - positives.mean(dim=1))


class DCL(Objective):
    """`-w cos(i, p) / t + log( sum over negatives j of exp(cos(i, j) / t) )`, eq. 6 of the paper, the mean over all
    ordered pairs (i, p) of different views of an item.

    In NT-Xent the gradient of every pair carries the factor `1 - softmax of the positive`, which dies in small batches
    as soon as positives are easy; taking the positive out of the denominator removes it. The loss may be negative.
    Chance, all projections equal, is `log(V (B - 1))`.

    A row without a negative (one item, or a batch of one group) would be minus infinity: it costs 0 and pulls nothing,
    because with nothing to push away the pull alone collapses the space.

    Args:
        temperature: t > 0, see `NTXent`; 0.1 is usual here too.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
        sigma: None for w = 1; a number > 0 for DCLW, the paper's negative von Mises-Fisher weights
            `w = 2 - exp(cos(i, p) / sigma) / mean over pairs of exp(cos / sigma)`, which press hardest on the pairs
            that are least alike. The usual sigma is 0.5. Gradients flow through w, which is part of the formula; some
            implementations hold it constant.
        mask_above: None, or a cosine in -1..1 above which a negative is left out, see `NTXent`.
    """

    source = "Yeh et al., arXiv 2110.06848, eq. 6"

    def __init__(
        self,
        temperature: float = 0.1,
        chunk: int = 512,
        sigma: float | None = None,
        mask_above: float | None = None,
    ) -> None:
        super().__init__()
        check_options(temperature, chunk, mask_above)
        if sigma is not None and not sigma > 0:
            raise ValueError(f"sigma must be > 0 or None, got {sigma}")
        self.temperature, self.chunk, self.sigma, self.mask_above = temperature, chunk, sigma, mask_above

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives.
        Raises ValueError on other shapes.
        """
        weigh = None if self.sigma is None else self._weighted
        return contrast(
            z,
            groups,
            decoupled,
            temperature=self.temperature,
            chunk=self.chunk,
            mask_above=self.mask_above,
            weigh=weigh,
        )

    def _weighted(self, cosines: Tensor) -> Tensor:
        """`w cos` of every pair; the weights' mean is 1."""
        assert self.sigma is not None
        share = torch.softmax(cosines.flatten() / self.sigma, dim=0).view_as(cosines)
        return (2.0 - cosines.numel() * share) * cosines
