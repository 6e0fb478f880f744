"""Labels of views as rows: checked, and compared."""

from __future__ import annotations

import torch
from torch import Tensor

from mirclr.losses.objective import check_views, unit_rows, wide


def label_rows(labels: Tensor, z: Tensor, signed: bool = False) -> Tensor:
    """Labels `(V, B, C)` of projections `(V, B, P)` as `(V B, C)` in float32 or better; a row of NaN becomes zeros.

    Raises ValueError on another shape, a row that is NaN in part, an infinite number, and a negative one unless
    `signed`.
    """
    check_views(z)
    if labels.ndim != 3 or labels.shape[:2] != z.shape[:2] or labels.shape[2] < 1:
        views, items = z.shape[:2]
        raise ValueError(f"labels must be ({views}, {items}, labels >= 1), got {tuple(labels.shape)}")
    rows = wide(labels.detach().to(z.device)).flatten(0, 1)
    check_numbers("labels", rows, signed)
    return rows.nan_to_num(nan=0.0)


def check_numbers(name: str, rows: Tensor, signed: bool = False) -> None:
    """Raises ValueError on rows `(..., C)` that are NaN in part, infinite, or, unless `signed`, negative."""
    nan = rows.isnan()
    if (nan.any(dim=-1) & ~nan.all(dim=-1)).any():
        raise ValueError(f"{name}: a row must be NaN in whole (unlabelled) or not at all, got one that is in part")
    if rows.isinf().any():
        raise ValueError(f"{name} must be finite, or rows of NaN, got an infinite one")
    if not signed and (rows < 0).any():
        raise ValueError(f"{name} must be >= 0, got {rows[rows < 0].min().item():g}")


def label_cosines(unit: Tensor, part: slice, own: Tensor, unknown: float) -> Tensor:
    """`(c, N)`: how alike the labels of some rows and all rows are, of rows `(N, C)` on the unit sphere.

    A row of zeros has no label: it is 1 to the other views of its item, whatever they have (`own`, `(c, N)` bool), and
    `unknown` to every other row.
    """
    labelled = unit.any(dim=1)
    cosines = unit[part] @ unit.T
    return cosines.where(labelled[part, None] & labelled[None, :], torch.where(own, 1.0, unknown).to(cosines.dtype))


def unit_labels(labels: Tensor, z: Tensor, signed: bool = False) -> Tensor:
    """`label_rows` on the unit sphere, whatever their scale. Raises ValueError as they do."""
    return unit_rows(label_rows(labels, z, signed), least=torch.finfo(torch.float32).tiny)
