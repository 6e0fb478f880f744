"""A chain of effects: drawn item by item, applied to the whole batch.

Every item always takes the same numbers from its own generator, in the order of the chain: first whether the effect is
on, then its parameters. So what happens to an item does not depend on who else is in the batch, on the number of
workers, or on the probabilities of other effects. (Mixing alone looks at the batch: *which* item lies underneath.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect
from mirclr.augment.mixing import partners

BLOCK_BYTES = 1 << 22
"""How much of a batch an effect works on at a time on a CPU. It bounds the temporaries: an equaliser over 256 clips of
4 s would want half a gigabyte at once. Speed is the same from 1 MiB to everything; a GPU takes everything."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn for B items and E effects: `on` (E, B) bool, `parameters` of each effect with first axis B,
    and `partner` (E, B), numbers in [0, 1) that choose another item for the effects that mix.

    Plain numpy: cheap to send from a worker and to write down.
    """

    on: np.ndarray
    parameters: tuple[dict[str, np.ndarray], ...]
    partner: np.ndarray

    def __len__(self) -> int:
        return self.on.shape[1]


@dataclass(frozen=True)
class Step:
    """An effect and the probability `p` in 0..1 that one view gets it."""

    effect: Effect
    p: float

    @property
    def draws(self) -> int:
        """One number for on or off, the effect's own, and one for the partner when it mixes."""
        return 1 + self.effect.draws + self.effect.mixes


def _tensors(values: dict[str, np.ndarray], rows: np.ndarray, like: Tensor) -> dict[str, Tensor]:
    """Parameters of the chosen items on the batch's device; floats in its dtype, integers (seeds) as they are."""
    chosen = {key: torch.from_numpy(value[rows]) for key, value in values.items()}
    return {k: v.to(like.device, like.dtype if v.is_floating_point() else v.dtype) for k, v in chosen.items()}


@dataclass(frozen=True)
class Chain:
    """Effects in order. An empty chain is the identity.

    >>> drawn = chain.draw([generator(seed, epoch, track, view) for track in batch])
    >>> changed = chain.apply(log_mel, drawn)
    """

    steps: tuple[Step, ...] = ()

    @property
    def draws(self) -> int:
        """How many uniform numbers one item takes from its generator."""
        return sum(step.draws for step in self.steps)

    def draw(self, rngs: Sequence[np.random.Generator]) -> Drawn:
        """Everything random about one application: one generator per item."""
        count = self.draws
        u = np.stack([rng.random(count) for rng in rngs]) if rngs else np.empty((0, count))
        on, partner = np.zeros((2, len(self.steps), len(rngs)))
        parameters, first = [], 0
        for i, step in enumerate(self.steps):
            own = u[:, first : first + step.draws]
            on[i] = own[:, 0] < step.p
            parameters.append(step.effect.parameters(own[:, 1 : 1 + step.effect.draws]))
            partner[i] = own[:, -1]
            first += step.draws
        return Drawn(on.astype(bool), tuple(parameters), partner)

    def apply(self, batch: Tensor, drawn: Drawn, background: Tensor | None = None) -> Tensor:
        """A changed copy of `batch` (B, ...); items with every effect off come back bit for bit.

        `background` (same shape): row i is what effects that mix put under item i; None takes other items of the
        batch as they are at that point of the chain. A batch of one has no other item and stays unmixed.
        Half precision is computed in float32. Raises ValueError when `drawn` is of another chain or batch size.
        """
        self._check(drawn, len(batch))
        work = batch.float() if batch.dtype in (torch.float16, torch.bfloat16) else batch.clone()
        for i, step in enumerate(self.steps):
            rows = np.flatnonzero(drawn.on[i])
            under = _underneath(work, step.effect, drawn.partner[i], rows, background)
            if under is not None or not step.effect.mixes:
                _apply_to(work, rows, step.effect, drawn.parameters[i], under)
        return work.to(batch.dtype)

    def label_weights(self, drawn: Drawn) -> Tensor:
        """`(B, B)` float32 M: the labels after `apply` without a background are M @ labels. Rows sum to 1.

        Row i says how much of each item's label item i has. The identity where no effect mixes labels; where several
        do, each mixes what the ones before it left, with the partners that `apply` takes.
        """
        self._check(drawn, len(drawn))
        weights = torch.eye(len(drawn))
        for i, step in enumerate(self.steps):
            if step.effect.mixes_labels and len(drawn) > 1:
                rows = np.flatnonzero(drawn.on[i])
                share = torch.from_numpy(step.effect.partner_share(drawn.parameters[i])[rows]).float()[:, None]
                weights[rows] = torch.lerp(weights[rows], weights[partners(drawn.partner[i])[rows]], share)
        return weights

    def _check(self, drawn: Drawn, items: int) -> None:
        """Raises ValueError unless `drawn` is of this chain for that many items."""
        if drawn.on.shape != (len(self.steps), items):
            given = f"{drawn.on.shape[0]} effects and {len(drawn)} items"
            raise ValueError(f"drawn for {given}, applied with {len(self.steps)} effects to {items} items")


def _underneath(
    batch: Tensor, effect: Effect, partner: np.ndarray, rows: np.ndarray, background: Tensor | None
) -> Tensor | None:
    """What goes under the items `rows`: their rows of `background`, else other items of the batch, else nothing."""
    if not effect.mixes or (background is None and len(batch) < 2):
        return None
    chosen = rows if background is not None else partners(partner)[rows]
    source = batch if background is None else background.to(batch)
    return source.index_select(0, torch.from_numpy(chosen).to(batch.device))


def _block(batch: Tensor) -> int:
    """How many items of `batch` to work on at a time."""
    item_bytes = max(1, batch.nbytes // max(1, len(batch)))
    return max(1, BLOCK_BYTES // item_bytes if batch.device.type == "cpu" else len(batch))


def _apply_to(
    batch: Tensor, rows: np.ndarray, effect: Effect, parameters: dict[str, np.ndarray], under: Tensor | None
) -> None:
    """Writes the effect into the items `rows` of `batch`; the others are never touched."""
    drawn, block = _tensors(parameters, rows, batch), _block(batch)
    index = torch.from_numpy(rows).to(batch.device)
    for first in range(0, len(rows), block):
        some = slice(first, first + block)
        values = {key: value[some] for key, value in drawn.items()}
        below = None if under is None else under[some]
        batch.index_copy_(0, index[some], effect.apply(batch.index_select(0, index[some]), values, below))
