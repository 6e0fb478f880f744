"""NT-Xent (Chen et al., SimCLR, arXiv 2002.05709, eq. 1), which is InfoNCE with both views as anchors."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mirclr.losses.contrast import check_options, contrast
from mirclr.losses.objective import Objective


def coupled(negatives: Tensor, positives: Tensor) -> Tensor:
    """`(c,)` rows: mean over k of `-log(e^p_k / (e^p_k + e^n))`, written as `softplus(n - p_k)`."""
    return functional.softplus(negatives[:, None] - positives).mean(dim=1)


class NTXent(Objective):
    """`-log( exp(cos(i, p) / t) / (exp(cos(i, p) / t) + sum over negatives j of exp(cos(i, j) / t)) )`, the mean over
    all ordered pairs (i, p) of different views of an item.

    With two views and no groups the denominator is eq. 1's: all 2B - 1 other samples. With more views each pair is
    judged alone: the other positives of i stand in no denominator, since they must not be pushed away. Chance, all
    projections equal, is `log(V (B - 1) + 1)`. The bound `log(V (B - 1) + 1) - loss` on mutual information (InfoNCE,
    arXiv 1807.03748) holds only without groups.

    Rows without a negative (one item, or a batch of one group) cost 0, which is the equation's own value.

    Args:
        temperature: t > 0. 0.1 is the best of {0.05, 0.1, 0.5, 1} in SimCLR's table 5: lower, and a few hard
            negatives, often the same music, get all the gradient; higher, and none of them count.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
        mask_above: None, or a cosine in -1..1: negatives more alike to the anchor than this are left out of its
            denominator, as probably the same music (false negative elimination, Huynh et al., arXiv 2011.11765). Each
            sample is judged by its own cosine to the anchor; the paper also pools over a support set of more views
            and keeps only the top k. The choice passes no gradient. An untrained encoder puts everything at a high
            cosine, so a mask from the first step on has to be close to 1.
    """

    source = "Chen et al., SimCLR, arXiv 2002.05709, eq. 1; van den Oord et al., InfoNCE, arXiv 1807.03748"

    def __init__(self, temperature: float = 0.1, chunk: int = 512, mask_above: float | None = None) -> None:
        super().__init__()
        check_options(temperature, chunk, mask_above)
        self.temperature, self.chunk, self.mask_above = temperature, chunk, mask_above

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives.
        Raises ValueError on other shapes.
        """
        return contrast(z, groups, coupled, temperature=self.temperature, chunk=self.chunk, mask_above=self.mask_above)
