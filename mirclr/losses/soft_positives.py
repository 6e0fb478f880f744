"""InfoNCE with soft positives: items known to be somewhat alike are somewhat positive."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from mirclr.losses.contrast import check_options, item_labels, unit_views
from mirclr.losses.objective import Objective, wide, within
from mirclr.losses.rows import chunked


class SoftPositives(Objective):
    """`-sum over a of w(i, a) / W(i) * log( exp(s(i, a)) / sum over a' of exp(s(i, a')) )`, `s = cos / t`, w how much
    row a is a positive of row i and W(i) the sum of its w: the cross-entropy between what is known of the relatives
    of a row and what the projections say of them; the mean over all rows.

    a and a' run over all rows (view u, item c) other than i = (v, b) but those left out. w(i, a) is 1 where c is b, the
    item's own other views, and `weight * affinity[b, c]` elsewhere. Left out are the rows of another item of i's own
    group whose w is 0: known relatives of which nothing says how close they are.

    The gradient by s(i, a) is the softmax of a minus its share w(i, a) / W(i): a soft positive is pulled until the
    softmax gives it its share, and pushed only beyond that. An affinity need not be symmetric. Without any affinity
    this is SupCon with an item's own views as its class, and with two views NT-Xent. All positives stand in the one
    denominator, so the least loss is the entropy of the shares: `log(V - 1)` where there is no affinity.

    Args:
        temperature: t > 0. 0.1 is SupCon's and `NTXent`'s.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers beside the affinity), not the result.
        weight: what an affinity of 1 counts for beside an own view, in 0..1; 1 takes the affinities as they are. Then
            an album of ten tracks at affinity 1, in two views, has 18/19 of each one's pull, and a track need be no
            closer to itself than to its album. Less keeps it closer; 0 ignores the affinities.
    """

    wants = frozenset({"affinity"})
    source = (
        "Dufumier et al., y-Aware InfoNCE, arXiv 2106.08808; Kim et al., generalised supervised contrastive learning, "
        "arXiv 2206.00384; with affinities of 0 and 1 Khosla et al., SupCon, arXiv 2004.11362, eq. 2"
    )

    def __init__(self, temperature: float = 0.1, chunk: int = 512, weight: float = 1.0) -> None:
        super().__init__()
        check_options(temperature, chunk)
        within("weight", weight, 0.0, 1.0)
        self.temperature, self.chunk, self.weight = temperature, chunk, weight

    def forward(self, z: Tensor, groups: Tensor | None = None, *, affinity: Tensor) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives. `affinity`
        `(B, B)` in 0..1: how much the item of a column is a positive of the item of a row; the diagonal is not read.
        Raises ValueError on other shapes.
        """
        with torch.autocast(z.device.type, enabled=False):
            unit = unit_views(z)
            items = unit.shape[1]
            if affinity.shape != (items, items):
                raise ValueError(f"affinity must be ({items}, {items}), got {tuple(affinity.shape)}")
            weights = self.weight * wide(affinity.detach()).to(unit)
            weights = weights.fill_diagonal_(1.0)
            part_loss = partial(self._part, weights=weights, labels=item_labels(groups, items, unit.device))
            rows = unit.flatten(0, 1)
            total, count = chunked(part_loss, self.chunk, rows, rows)
        return total / count

    def _part(
        self, mine: Tensor, part: slice, columns: Tensor, *, weights: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A chunk of rows `(c, P)` against all columns: the sum of their losses, and c."""
        items, views = len(labels), len(columns) // len(labels)
        own = torch.arange(part.start, part.stop, device=mine.device)
        itself = own[:, None] == torch.arange(len(columns), device=mine.device)
        known = weights[own % items]
        unsaid = (labels[own % items, None] == labels) & (known == 0)
        shares = known.repeat(1, views).masked_fill(itself, 0.0)
        shares = shares / shares.sum(dim=1, keepdim=True)
        logits = mine @ columns.T / self.temperature
        everyone = logits.masked_fill(itself | unsaid.repeat(1, views), -torch.inf).logsumexp(dim=1)
        return (everyone - (shares * logits).sum(dim=1)).sum(), everyone.new_tensor(len(mine))
