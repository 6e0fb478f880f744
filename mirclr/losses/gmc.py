"""Geometric multimodal contrastive learning (Poklukar et al., ICML 2022, arXiv 2202.03390)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mirclr.losses.contrast import check_options, contrast, item_labels
from mirclr.losses.dcl import decoupled
from mirclr.losses.nt_xent import coupled
from mirclr.losses.objective import unit_rows, wide
from mirclr.losses.rows import chunked


class GMC(nn.Module):
    """Sum over modalities m of the contrast between z_m, what one modality says of an item, and z, what all together
    say; the mean over items. All come from one projection head on top of each modality's own encoder.

    With `s(a, b) = exp(cos(a, b) / t)`, i an item and j the others, the term of item i and modality m is the mean of

        -log( s(z_m^i, z^i) / (s(z_m^i, z^i) + sum over j of s(z_m^i, z^j) + s(z_m^i, z_m^j)) )
        -log( s(z^i, z_m^i) / (s(z^i, z_m^i) + sum over j of s(z^i, z_m^j) + s(z^i, z^j)) )

    which is `nt_xent` with z_m and z as the two views: the loss the authors train with. In the paper's eq. 2 one
    denominator serves the pair, all similarities between items in it and the pair's own not:

        -log( s(z_m^i, z^i) / sum over j of (s(z_m^i, z^j) + s(z_m^i, z_m^j) + s(z^i, z^j)) )

    which is `pooled`. The modalities are pulled to the whole, not to each other, so the whole needs no partner of its
    own, and any one modality stands in for it when the rest is missing.

    An item without a modality is left out of that modality's term altogether, as if the batch were without it; its
    numbers there are not read. Every pair that is present weighs the same: the sum over pairs is divided by the number
    of items. Chance, all projections equal, is M times `log(2 B - 1)`, or `log(3 (B - 1))` pooled. A pair without a
    negative (one item, or one group) costs 0 and pulls nothing, and so does a batch without a pair.

    Args:
        temperature: t > 0; 0.1 is the authors' where the loss stands alone, 0.3 beside labels and in control.
        pooled: False for the loss of the authors' code, in all their experiments; True for the paper's eq. 2, which may
            be negative.
        chunk: rows computed at a time; changes memory (`chunk` x 3 B numbers), not the result.
    """

    source = "Poklukar et al., arXiv 2202.03390, eq. 2"

    def __init__(self, temperature: float = 0.1, pooled: bool = False, chunk: int = 512) -> None:
        super().__init__()
        check_options(temperature, chunk)
        self.temperature, self.pooled, self.chunk = temperature, pooled, chunk

    def forward(
        self, modalities: Tensor, joint: Tensor, groups: Tensor | None = None, present: Tensor | None = None
    ) -> Tensor:
        """Projections of every modality `(M, B, P)` and of the whole `(B, P)` to a scalar in float32 or better.

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives. `present`
        `(M, B)` bool: which item has which modality; None is all.
        Raises ValueError on other shapes and types. Computes in at least float32 whatever autocast says.
        """
        _check(modalities, joint, present)
        labels = item_labels(groups, len(joint), joint.device)  # before items are left out: groups are those of all
        with torch.autocast(joint.device.type, enabled=False):
            total = 0.0 * (wide(joint[:0]).sum() + wide(modalities[:, :0]).sum())  # a batch without a pair learns too
            for m, modality in enumerate(modalities):
                has = slice(None) if present is None else present[m].to(joint.device).nonzero()[:, 0]
                parts, whole = modality[has], joint[has]
                if len(whole):
                    total = total + len(whole) / len(joint) * self._term(parts, whole, labels[has])
            return total

    def _term(self, parts: Tensor, whole: Tensor, labels: Tensor) -> Tensor:
        """The mean over the items `(B, P)` that have a modality."""
        if self.pooled:
            return pooled_contrast(unit_rows(parts), unit_rows(whole), labels, self.temperature, self.chunk)
        views = torch.stack([wide(parts), wide(whole)])
        return contrast(views, labels, coupled, temperature=self.temperature, chunk=self.chunk)


def pooled_contrast(parts: Tensor, whole: Tensor, labels: Tensor, temperature: float, chunk: int) -> Tensor:
    """Mean of eq. 2's term over unit rows `(B, P)`; items with an equal label `(B,)` are not each other's negatives."""
    size = parts.shape[1]

    def some_rows(rows: Tensor, part: slice, columns: Tensor) -> tuple[Tensor, Tensor]:
        (a, b), (parts, whole) = rows.split(size, dim=1), columns.split(size, dim=1)
        logits = torch.cat([a @ whole.T, a @ parts.T, b @ whole.T], dim=1) / temperature
        blocked = (labels[part, None] == labels[None, :]).repeat(1, 3)
        alone = blocked.all(dim=1)
        negatives = logits.masked_fill(blocked & ~alone[:, None], -torch.inf).logsumexp(dim=1)
        losses = decoupled(negatives, (a * b).sum(dim=1, keepdim=True) / temperature)
        return (losses * ~alone).sum(), losses.new_tensor(len(losses))

    rows = torch.cat([parts, whole], dim=1)
    total, count = chunked(some_rows, chunk, rows, rows)
    return total / count


def _check(modalities: Tensor, joint: Tensor, present: Tensor | None) -> None:
    if modalities.ndim != 3 or 0 in modalities.shape or modalities.shape[1:] != joint.shape:
        raise ValueError(
            "modalities must be (modalities >= 1, items >= 1, dimensions >= 1) and joint (items, dimensions), got "
            f"{tuple(modalities.shape)} and {tuple(joint.shape)}"
        )
    if present is not None and (present.shape != modalities.shape[:2] or present.dtype != torch.bool):
        raise ValueError(
            f"present must be {tuple(modalities.shape[:2])} bool, got {tuple(present.shape)} {present.dtype}"
        )
