"""Cross-entropy between how alike two clips should be and how alike they are: what the objectives with labels share.

Row (v, b) is view v of item b, row number `v B + b`. Weights >= 0 say how alike a row should be to every other row of
the batch; divided by their sum they are the target distribution p_i. The latent distribution q_i is the softmax of the
cosines over a temperature. The loss is the mean over all rows of `H(p_i, q_i) = -sum over j of p_ij log q_ij`.

Every choice of weights is an objective: who shares a label (mirclr.losses.supcon), how alike the labels are
(mirclr.losses.gen_supcon), what a teacher says (mirclr.losses.distill).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from mirclr.losses.contrast import check_options, item_labels, unit_views
from mirclr.losses.objective import Objective
from mirclr.losses.rows import chunked


class Pairs(NamedTuple):
    """What the batch's layout says of some rows and all columns, each `(c, N)` bool.

    others: all rows but the row itself. own: the other views of its item. mates: the views of the other items of its
    group.
    """

    others: Tensor
    own: Tensor
    mates: Tensor


Weights = Callable[[slice, Pairs], Tensor]


class Relation(Objective):
    """Base of the objectives of labels that are a `relation_loss`; a subclass says which, by its `weights`.

    Args:
        temperature: t > 0 of the softmax of the cosines.
        chunk: rows computed at a time; changes memory (`chunk` x V B numbers), not the result.
    """

    wants: ClassVar[frozenset[str]] = frozenset({"labels"})

    def __init__(self, temperature: float = 0.1, chunk: int = 512) -> None:
        super().__init__()
        check_options(temperature, chunk)
        self.temperature, self.chunk = temperature, chunk

    def weights(self, labels: Tensor, z: Tensor) -> Weights:
        """What `relation_loss` asks for, of the `labels` `(V, B, C)` of `z`. Raises ValueError on labels that are not
        of the objective's kind."""
        raise NotImplementedError

    def forward(self, z: Tensor, groups: Tensor | None = None, *, labels: Tensor) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `labels` `(V, B, C)` as `weights` takes them; a row of NaN has none. `groups` `(B,)` integers: items of an equal
        group other than -1 are not each other's negatives. Raises ValueError on other shapes, and as `weights` does.
        """
        return relation_loss(z, groups, self.weights(labels, z), temperature=self.temperature, chunk=self.chunk)


def relation_loss(z: Tensor, groups: Tensor | None, weights: Weights, *, temperature: float, chunk: int) -> Tensor:
    """Mean over the rows of `(V, B, P)` projections of `H(p_i, q_i)`, a scalar in float32 (float64 of float64).

    `weights(slice of rows, their pairs)` gives the target before it is normalised, `(c, N)` >= 0 and 0 at the row
    itself. Both distributions are over the other rows, without the group mates that have weight 0: they are more
    likely alike than not, so they are pushed by nobody.

    A row costs 0 and pulls nothing where its weights are all 0, or where it sees no other item (one item, or one
    group): the views of a lone item have nothing to be told from. Autocast is off inside.
    """
    with torch.autocast(z.device.type, enabled=False):
        unit = unit_views(z)
        views, items, _ = unit.shape
        item = torch.arange(items, device=unit.device).repeat(views)
        label = item_labels(groups, items, unit.device).repeat(views)

        def some_rows(rows: Tensor, part: slice, columns: Tensor) -> tuple[Tensor, Tensor]:
            pairs = _pairs(part, item, label)
            losses = _cross_entropy(rows @ columns.T / temperature, weights(part, pairs).to(rows.dtype), pairs)
            return losses.sum(), losses.new_tensor(len(losses))

        rows = unit.flatten(0, 1)
        total, count = chunked(some_rows, chunk, rows, rows)
        return total / count


def _pairs(part: slice, item: Tensor, label: Tensor) -> Pairs:
    itself = torch.arange(len(item), device=item.device)
    others = itself[part, None] != itself[None, :]
    same_item = item[part, None] == item[None, :]
    return Pairs(others, same_item & others, (label[part, None] == label[None, :]) & ~same_item)


def _cross_entropy(logits: Tensor, weights: Tensor, pairs: Pairs) -> Tensor:
    """`(c,)` losses as `log sum exp - expected logit`: no logarithm of a probability that has rounded to 0."""
    seen = pairs.others & ~(pairs.mates & (weights == 0))
    mass = weights.sum(dim=1)
    target = weights / mass.clamp(min=torch.finfo(mass.dtype).tiny)[:, None]
    losses = logits.masked_fill(~seen, -torch.inf).logsumexp(dim=1) - (target * logits).sum(dim=1)
    # Multiplied, not replaced: NaN has to stay NaN, or a run that has diverged would read as one without a loss.
    return losses * ((mass > 0) & (seen & ~pairs.own).any(dim=1))
