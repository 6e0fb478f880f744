"""Momentum contrast: InfoNCE against a queue of keys that a slowly following network made in earlier steps."""

from __future__ import annotations

import torch
from torch import Tensor

from mirclr.losses.contrast import check_groups, check_options, item_labels, positive_cosines, unit_views
from mirclr.losses.fused import FusedContrast
from mirclr.losses.nt_xent import coupled
from mirclr.losses.objective import Objective, within


class MoCo(Objective):
    """`-log( exp(cos(q, k) / t) / (exp(cos(q, k) / t) + sum over keys n of the queue of exp(cos(q, n) / t)) )`, the
    mean over all ordered pairs of a view's projection q and the momentum network's projection k of another view.

    Negatives are the queue's keys alone, as in the paper: the other items of the batch push nothing away now, and are
    negatives from the next step on, when their keys (of every view) have entered the queue and the oldest have left
    it. Keys carry no gradient. The number of negatives so no longer depends on the batch. Until the queue is full its
    filled part counts; while it is empty, the batch's keys of other items stand in for it.

    Each key keeps the group of its item, so a group's id has to mean the same in every step; keys of the anchor's own
    group are no negatives. The loss does not know tracks: a key of the anchor's own track from an earlier step does
    count against it. Where N tracks come once an epoch in random order, a queue of the last L <= N holds the anchor's
    own with probability `L^2 / (2 N^2)`: keep `size` well below V N, or give each track a group.

    The queue is saved with the model, and changed by `forward` in training mode only, after the loss is known.

    Args:
        dim: P, supplied by the builder.
        size: keys in the queue, >= 1. The paper's 65536 is for a million images; 1024 keys of two views are 512
            tracks, four batches of 128, in a collection of thousands.
        temperature: t > 0. 0.2 is that of MoCo v2 (arXiv 2003.04297), which has a projection head of several layers as
            we do; the 0.07 of the first paper is for a linear one.
        momentum: decay of the momentum network in 0..1. The paper's 0.999 looks back a thousand steps, more than a
            short run has in all; 0.99, the authors' choice for CIFAR-10 with a queue of 4096, looks back a hundred,
            and keys in a queue of few batches still agree.
        chunk: rows computed at a time; changes memory (`chunk` x `size` numbers), not the result.
    """

    wants = frozenset({"target"})
    source = "He et al., MoCo, arXiv 1911.05722, eq. 1; both views as queries: Chen et al., MoCo v3, arXiv 2104.02057"

    queue: Tensor
    queue_groups: Tensor
    seen: Tensor

    def __init__(
        self, dim: int = 128, size: int = 1024, temperature: float = 0.2, momentum: float = 0.99, chunk: int = 512
    ) -> None:
        super().__init__()
        check_options(temperature, chunk)
        within("momentum", momentum, 0.0, 1.0)
        if size < 1:
            raise ValueError(f"size must be >= 1 key, got {size}")
        self.size, self.temperature, self.momentum, self.chunk = size, temperature, momentum, chunk
        self.register_buffer("queue", torch.zeros(size, dim))
        self.register_buffer("queue_groups", torch.full((size,), -1))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))  # keys ever: the next goes to seen % size

    def forward(self, z: Tensor, groups: Tensor | None = None, *, target: Tensor) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: keys of an equal group other than -1 are no negatives. `target` `(V, B, P)`:
        projections of the same views by the momentum network. Raises ValueError on other shapes.
        """
        if target.shape != z.shape:
            raise ValueError(f"target must be {tuple(z.shape)}, like the projections, got {tuple(target.shape)}")
        if z.shape[-1] != self.queue.shape[1]:
            raise ValueError(f"projections have {z.shape[-1]} dimensions, the queue {self.queue.shape[1]}")
        with torch.autocast(z.device.type, enabled=False):
            queries, keys = unit_views(z), unit_views(target.detach())
            loss = self._contrast(queries, keys, groups)
        if self.training:
            self._enqueue(keys, groups)
        return loss

    def _contrast(self, queries: Tensor, keys: Tensor, groups: Tensor | None) -> Tensor:
        """Unit queries and keys `(V, B, P)` to the loss, by the queue as it is."""
        columns, labels, column_labels = self._negatives(keys, groups)
        positives = positive_cosines(queries, keys) / self.temperature
        rows, row_labels = queries.flatten(0, 1), labels.repeat(len(queries))
        loss: Tensor = FusedContrast.apply(
            rows, columns, positives, row_labels, column_labels, self.temperature, self.chunk, coupled
        )
        return loss

    def _negatives(self, keys: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The keys to push away from `(C, P)`, labels of the batch's items `(B,)` and of those keys `(C,)`."""
        views, items, _ = keys.shape
        filled = min(int(self.seen), self.size)
        if not filled:
            labels = item_labels(groups, items, keys.device)
            return keys.flatten(0, 1), labels, labels.repeat(views)
        everyone = torch.cat([self._groups_of(items, groups), self.queue_groups[:filled]])
        labels = item_labels(everyone, items + filled, keys.device)
        return self.queue[:filled].to(keys.dtype), labels[:items], labels[items:]

    def _groups_of(self, items: int, groups: Tensor | None) -> Tensor:
        if groups is None:
            return self.queue_groups.new_full((items,), -1)
        check_groups(groups, items)
        return groups.to(self.queue_groups)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor, groups: Tensor | None) -> None:
        """Put the keys `(V, B, P)` in the places of the oldest; of more than `size` keys the last ones stay."""
        views, items, _ = keys.shape
        owners = self._groups_of(items, groups).repeat(views)
        places = self.seen + torch.arange(views * items, device=self.seen.device)
        newest = slice(-self.size, None)
        places = places[newest] % self.size
        self.queue[places] = keys.flatten(0, 1)[newest].to(self.queue)
        self.queue_groups[places] = owners[newest]
        self.seen += views * items
