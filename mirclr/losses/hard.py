"""InfoNCE with debiased and hardness-weighted negatives, in one estimator, as Robinson et al. combine them."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.contrast import check_options, item_labels, positive_cosines, unit_views
from mirclr.losses.objective import Objective
from mirclr.losses.rows import chunked


def tilted(logits: Tensor, hardness: float, kept: Tensor | None = None) -> Tensor:
    """`(c, K)` logits s to the log of the mean of `e^s` under weights in proportion to `e^(hardness s)`, `(c,)`.

    Where `kept` `(c, K)` is False a logit does not count; every row must keep one.
    """
    light, heavy = hardness * logits, (1.0 + hardness) * logits
    if kept is not None:
        light, heavy = (x.masked_fill(~kept, -torch.inf) for x in (light, heavy))
    return heavy.logsumexp(dim=1) - light.logsumexp(dim=1)


def debiased(negatives: Tensor, positives: Tensor, prior: float, floor: float) -> Tensor:
    """`log max((e^negatives - prior e^positives) / (1 - prior), e^floor)`, without leaving the logarithm.

    Below the floor nothing is pushed away and the gradient is zero, that of the maximum.
    """
    excess = positives + math.log(prior) - negatives
    nearest = -torch.finfo(excess.dtype).eps  # beyond it the difference is negative, or rounds to nothing
    rest = negatives + (-torch.expm1(excess.clamp(max=nearest))).log() - math.log1p(-prior)
    return torch.where(excess > nearest, floor, rest).clamp(min=floor)


class Hard(Objective):
    """`-log( exp(s_p) / (exp(s_p) + N g) )` with `s = cos / t` and g an estimate, debiased and weighted by hardness, of
    the mean of `exp(s)` over true negatives from all N negatives of the row; the mean over all ordered pairs (i, p) of
    different views of an item.

        g = max( (h(negatives) - prior h(positives)) / (1 - prior), exp(-1 / t) )
        h(set) = sum over the set of exp((1 + hardness) s) / sum over the set of exp(hardness s)

    The positives of h are all other views of i. `prior` is tau+ of debiased contrastive learning (Chuang et al.): the
    share of the negatives that are of the anchor's own kind without anyone having said so; what they add is
    subtracted. `hardness` is beta of hard negative sampling: negatives count in proportion to
    `exp(beta s)`, an importance sample of those most like the anchor. The clamp is the smallest mean there can be.
    Gradients flow through the weights, as in the authors' code. With both at 0 this is NT-Xent.

    Items of a group that is known to be one kind stand in no denominator; `prior` is for what is left unknown.

    Rows without a negative cost 0, as in `NTXent`.

    Args:
        temperature: t > 0. 0.5 is both papers'. Debiasing weighs `prior exp(1 / t)` against a mean near 1: at 0.5 that
            is 0.7, at 0.1 it is 2200, and every row with a good positive sits on the clamp and learns nothing.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
        prior: tau+ >= 0 and < 1, 0 for no debiasing. 0.1 is both papers', for ten classes; a collection of many styles
            wants less.
        hardness: beta >= 0 and finite, 0 for equal weights. 1 is the authors' default.
    """

    source = "Robinson et al., arXiv 2010.04592; Chuang et al., arXiv 2007.00224"

    def __init__(self, temperature: float = 0.5, chunk: int = 512, prior: float = 0.1, hardness: float = 1.0) -> None:
        super().__init__()
        check_options(temperature, chunk)
        if not 0 <= prior < 1:
            raise ValueError(f"prior must be in 0..1 and not 1, got {prior}")
        if not 0 <= hardness < math.inf:
            raise ValueError(f"hardness must be >= 0 and finite, got {hardness}")
        self.temperature, self.chunk, self.prior, self.hardness = temperature, chunk, prior, hardness

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives.
        Raises ValueError on other shapes.
        """
        with torch.autocast(z.device.type, enabled=False):
            unit = unit_views(z)
            labels = item_labels(groups, unit.shape[1], unit.device).repeat(unit.shape[0])
            rows = unit.flatten(0, 1)
            part_loss = partial(self._part, labels=labels)
            total, count = chunked(part_loss, self.chunk, rows, rows, positive_cosines(unit))
        return total / count

    def _part(
        self, mine: Tensor, part: slice, columns: Tensor, cosines: Tensor, *, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A chunk of rows `(c, P)` against all columns: the sum of their losses, and c."""
        kept = labels[part, None] != labels[None, :]
        count = kept.sum(dim=1)
        negatives = mine @ columns.T / self.temperature
        # A row without a negative would be log 0: it is computed as if it had all of them, and then left out.
        mean = tilted(negatives, self.hardness, kept | (count == 0)[:, None])
        positives = cosines[part] / self.temperature
        if self.prior > 0:
            mean = debiased(mean, tilted(positives, self.hardness), self.prior, -1.0 / self.temperature)
        total = (mean + count.clamp(min=1).to(mean.dtype).log())[:, None]
        losses = functional.softplus(total - positives).mean(dim=1)
        return (losses * (count > 0)).sum(), losses.new_tensor(len(losses))
