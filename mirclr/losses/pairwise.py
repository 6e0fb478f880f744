"""What the losses over pairs and triplets share: rows, which rows are their positives, which are not their negatives.

Rows are counted view by view: row `v B + b` is view v of item b. Its positives are the other views of item b, its
negatives every view of every item with another label (`mirclr.losses.contrast.item_labels`). Having the same label is
an equivalence, so a row without a negative means that no row of the batch has one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mirclr.losses.contrast import item_labels


class Pairing(NamedTuple):
    """Who is whose: `labels (N,)`, equal where two rows are not negatives; `partners (N, V - 1)`, the positives."""

    labels: Tensor
    partners: Tensor

    def blocked(self, part: slice) -> Tensor:
        """`(c, N)`: which columns are not negatives of the rows in `part`."""
        return self.labels[part, None] == self.labels[None, :]

    def contrasts(self) -> Tensor:
        """A scalar, 1 where the batch has negatives, else 0: a pull with nothing to push away collapses the space.

        It is to be multiplied with, so that NaN stays NaN: a run that has diverged must not read as one without loss.
        """
        return (self.labels != self.labels[0]).any()


def pairing(z: Tensor, groups: Tensor | None) -> Pairing:
    """The pairing of the rows of `(V, B, P)`. Raises ValueError unless groups is None or `(B,)` of integers."""
    views, items, _ = z.shape
    labels = item_labels(groups, items, z.device).repeat(views)
    rows, steps = (torch.arange(*ends, device=z.device) for ends in ((0, views * items), (1, views)))
    return Pairing(labels, (rows[:, None] + items * steps) % (views * items))


def squared_distances(rows: Tensor, columns: Tensor) -> Tensor:
    """`(c, N)` squared Euclidean distances of unit vectors, `2 - 2 cos`, in 0..4. A row of zeros is 2 from all."""
    return (2.0 - 2.0 * (rows @ columns.T)).clamp(min=0.0)


def root(squared: Tensor) -> Tensor:
    """Distances from squared distances of unit vectors, with gradient 0 where two vectors are the same.

    Coincident vectors have no direction apart, and the slope of the root is infinite there. The same means within a
    few roundings of `2 - 2 cos`.
    """
    same = squared < 8 * torch.finfo(squared.dtype).eps
    return squared.masked_fill(same, 1.0).sqrt().masked_fill(same, 0.0)
