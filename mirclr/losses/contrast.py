"""From projections of several views to rows, columns, positives and negatives: what NT-Xent and DCL share.

Row (v, b) is view v of item b. Its positives are the other views of item b; its negatives are every view of every
other item, except items of its own group (the same artist, say), which are more likely alike than not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mirclr.losses.fused import FusedContrast, RowLoss
from mirclr.losses.objective import check_views, positive, unit_rows, within


def check_options(temperature: float, chunk: int, mask_above: float | None = None) -> None:
    """Raises ValueError unless the temperature is > 0, the chunk at least one row, and `mask_above` None or -1..1."""
    positive("temperature", temperature)
    if chunk < 1:
        raise ValueError(f"chunk must be >= 1 row, got {chunk}")
    if mask_above is not None:
        within("mask_above", mask_above, -1.0, 1.0)


def unit_views(z: Tensor) -> Tensor:
    """Projections `(V, B, P)` on the unit sphere, float32 or better.

    bfloat16 keeps 8 bits: a cosine of 0.99 is off by 0.004, which at temperature 0.1 is 4 % of its exponential and at
    0.02 a fifth, and the sum over thousands of negatives must not be rounded to 8 bits at all.

    Raises ValueError unless there are at least two views of one item.
    """
    check_views(z)
    return unit_rows(z)


def positive_cosines(unit: Tensor, keys: Tensor | None = None) -> Tensor:
    """Unit views `(V, B, P)` to the cosine of row (v, b) with each other view of its item, `(V * B, V - 1)`.

    The other views are taken from `keys` `(V, B, P)` where they are given, from `unit` itself where not.
    """
    views, items, _ = unit.shape
    cosines = torch.einsum("vbp,wbp->vbw", unit, unit if keys is None else keys)
    others = ~torch.eye(views, dtype=torch.bool, device=unit.device)
    return cosines[others[:, None, :].expand(views, items, views)].view(views * items, views - 1)


def check_groups(groups: Tensor, items: int) -> None:
    """Raises ValueError unless groups are `(B,)` integers."""
    if groups.shape != (items,) or groups.is_floating_point():
        raise ValueError(f"groups must be ({items},) integers, got {tuple(groups.shape)} {groups.dtype}")


def item_labels(groups: Tensor | None, items: int, device: torch.device) -> Tensor:
    """`(B,)` labels, equal for two items that are not each other's negatives: each its own, or that of its group.

    Raises ValueError unless groups is None or `(B,)` of integers.
    """
    own = torch.arange(items, device=device)
    if groups is None:
        return own
    check_groups(groups, items)
    groups = groups.to(device)
    dense = torch.unique(groups, return_inverse=True)[1]
    return torch.where(groups == -1, items + own, dense)


def contrast(
    z: Tensor,
    groups: Tensor | None,
    row_loss: RowLoss,
    *,
    temperature: float,
    chunk: int,
    mask_above: float | None = None,
    weigh: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Mean of `row_loss(negatives, positives)` over all rows of `(V, B, P)` projections; see `FusedContrast`.

    Negatives at a cosine above `mask_above` are left out, as if they were of the row's group. `weigh` changes the
    positive cosines `(V * B, V - 1)` of the whole batch before they are divided by the temperature. Autocast is off
    inside.
    """
    with torch.autocast(z.device.type, enabled=False):
        unit = unit_views(z)
        cosines = positive_cosines(unit)
        positives = (cosines if weigh is None else weigh(cosines)) / temperature
        labels = item_labels(groups, unit.shape[1], unit.device).repeat(unit.shape[0])
        rows = unit.flatten(0, 1)
        if mask_above == 1.0:  # nothing is more alike; but the products of equal rows are rounded, half of them up
            mask_above = None
        return FusedContrast.apply(rows, rows, positives, labels, labels, temperature, chunk, row_loss, mask_above)
