"""Contrast within a clip: the space of one attribute, in which a view of the same clip can be a negative.

Xiao, Wang, Efros and Darrell, "What should not be contrastive in contrastive learning" (LooC, arXiv 2008.05659);
for music Guinot, Quinton and Fazekas, "Leave-One-EquiVariant" (arXiv 2412.18955).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.contrast import item_labels, unit_views
from mirclr.losses.dcl import DCL
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.objective import Objective
from mirclr.losses.rows import chunked


def _coupled(negatives: Tensor, logits: Tensor) -> Tensor:
    """NT-Xent of every pair: `-log(e^p / (e^p + e^n))`."""
    return functional.softplus(negatives - logits)


def _decoupled(negatives: Tensor, logits: Tensor) -> Tensor:
    """DCL of every pair: `n - p`."""
    return negatives - logits


PAIR_LOSSES: dict[type[Objective], Callable[[Tensor, Tensor], Tensor]] = {NTXent: _coupled, DCL: _decoupled}
"""Objectives that can tell the views of one clip apart, and what one pair costs by its negatives `(c, 1)` (log of the
sum of exponentials) and its own logit."""


def refusal(objective: Objective) -> str | None:
    """Why an objective cannot tell the views of one clip apart; None where it can."""
    if type(objective) not in PAIR_LOSSES:
        return "needs negatives that may be views of the same clip; use loss.name=nt_xent or dcl"
    if isinstance(objective, DCL) and objective.sigma is not None:
        return "dcl's sigma weighs the one pair of an item, and here an item has several; leave it out"
    return None


class _Rows(NamedTuple):
    """Of every row, `(N,)`: its `item`, its item's `label` (equal: not each other's negatives), its `kind`."""

    item: Tensor
    label: Tensor
    kind: Tensor

    def positives(self, part: slice) -> Tensor:
        """`(c, N)`: views of the same item and kind, the row itself excepted."""
        itself = torch.arange(len(self.item), device=self.item.device)
        same = (self.item[part, None] == self.item) & (self.kind[part, None] == self.kind) & (self.kind >= 0)
        return same & (itself[part, None] != itself)

    def others(self, part: slice) -> Tensor:
        """`(c, N)`: views of other items that are negatives."""
        return self.label[part, None] != self.label

    def rivals(self, part: slice) -> Tensor:
        """`(c, N)`: views of the same item and another kind."""
        known = (self.kind[part, None] >= 0) & (self.kind >= 0)
        return known & (self.item[part, None] == self.item) & (self.kind[part, None] != self.kind)


def leave_one_out(objective: Objective, z: Tensor, kinds: Tensor, groups: Tensor | None = None) -> Tensor:
    """`-log( exp(s_ip) / (exp(s_ip) + sum over negatives j of exp(s_ij)) )`, `s = cos / t`, the mean over the positives
    p of every row i, then over all rows that have one; for DCL without the positive in the denominator.

    Positives of a row are the views of its item that are of its kind: in which the attribute was changed in the same
    way. Its negatives are the views of other items, and *the views of its own item that are of another kind*. That is
    LooC's term for the space of one augmentation with every view as a query, not the first alone, and with the batch
    in place of a queue. In the paper other positives of a query cannot occur; here, as in NT-Xent, they stand in no
    denominator.

    Args:
        objective: NT-Xent or DCL, whose `temperature`, `chunk` and `mask_above` count. `mask_above` leaves
            out views of other items alone: those of the own item that are nearest are what is to be told apart.
        z: projections `(V, B, P)`, not normalised.
        kinds: `(V, B)` integers. Views of an item are alike in the attribute where theirs are equal; -1 is a view that
            cannot be compared with the others of its item (it comes from another track).
        groups: `(B,)` integers: items of an equal group other than -1 are not each other's negatives.

    Returns a scalar in float32 (float64 of float64), 0 when no row has a positive. A row without a negative costs 0.
    Raises ValueError on other shapes, and where `refusal` has something to say of the objective.
    """
    said = refusal(objective)
    if said is not None:
        raise ValueError(said)
    assert isinstance(objective, NTXent | DCL)
    if kinds.shape != z.shape[:2]:
        raise ValueError(f"kinds must be {tuple(z.shape[:2])}, like the views, got {tuple(kinds.shape)}")
    pair_loss, temperature, above = PAIR_LOSSES[type(objective)], objective.temperature, objective.mask_above
    with torch.autocast(z.device.type, enabled=False):
        unit = unit_views(z)
        rows = _rows(kinds, groups)

        def some_rows(mine: Tensor, part: slice, columns: Tensor) -> tuple[Tensor, Tensor]:
            cosines, others = mine @ columns.T, rows.others(part)
            if above is not None:
                others = others & (cosines.detach() <= above)
            return _part(cosines / temperature, rows.positives(part), others | rows.rivals(part), pair_loss)

        flat = unit.flatten(0, 1)
        total, count = chunked(some_rows, objective.chunk, flat, flat)
        return total / count.clamp(min=1)


def _rows(kinds: Tensor, groups: Tensor | None) -> _Rows:
    views, items = kinds.shape
    item = torch.arange(items, device=kinds.device).repeat(views)
    return _Rows(item, item_labels(groups, items, kinds.device).repeat(views), kinds.flatten())


def _part(
    logits: Tensor, positive: Tensor, negative: Tensor, pair_loss: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """A chunk of rows `(c, N)`: the sum of their losses, and how many have a positive."""
    pairs, contrasted = positive.sum(dim=1), negative.any(dim=1)
    # A row without a negative would be log 0: it is computed as if it had all of them, and then left out.
    kept = negative | ~contrasted[:, None]
    negatives = logits.masked_fill(~kept, -torch.inf).logsumexp(dim=1, keepdim=True)
    losses = (pair_loss(negatives, logits) * positive).sum(dim=1) / pairs.clamp(min=1)
    # Multiplied, not replaced: NaN has to stay NaN, or a run that has diverged would read as one without a loss.
    return (losses * contrasted).sum(), (pairs > 0).sum().to(losses)
