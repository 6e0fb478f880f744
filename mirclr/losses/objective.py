"""What every objective is: projections of several views in, one number out, and a statement of what else it needs."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

WANTS = ("labels", "target", "affinity")
"""What an objective may ask for beside projections and groups. The learner supplies exactly what is asked.

labels: `(V, B, C)` floats >= 0, how much of each of C labels a view has (rows need not sum to 1); a row of NaN has no
    label. Rows differ between the views of an item where an effect mixed labels (CutMix, mixup).
target: `(V, B, P)` projections of the same views by the momentum network, without gradient.
affinity: `(B, B)` in 0..1, how alike two items are known to be (same artist, same album); the diagonal is not read.
"""


class Objective(nn.Module):
    """Base of every objective. An entry of the table is a subclass with options as keyword arguments.

    Class attributes: `wants`, the part of `WANTS` that `forward` takes as keyword arguments; `source`, where the
    method is published. `momentum`: the decay of the momentum network, for those that want a `target`.

    An option `dim` is supplied by the builder: the size P of a projection, for objectives with parameters of their own
    (a predictor, a queue). Parameters are trained and buffers are saved with the model.

    `forward(z, groups=None, *, ...what it wants)` takes projections `(V, B, P)`, not normalised, to a scalar in float32
    (float64 of float64). `groups` `(B,)` integers: items of an equal group other than -1 are not each other's
    negatives. Raises ValueError on other shapes. Computes in at least float32 whatever autocast says.
    """

    wants: ClassVar[frozenset[str]] = frozenset()
    source: ClassVar[str]
    momentum: float = 0.99


def check_views(z: Tensor, least_views: int = 2) -> None:
    """Raises ValueError unless `z` is `(V, B, P)` with at least `least_views` views of one item, in one dimension."""
    if z.ndim != 3 or z.shape[0] < least_views or 0 in z.shape:
        raise ValueError(
            f"projections must be (views >= {least_views}, items >= 1, dimensions >= 1), got {tuple(z.shape)}"
        )


def wide(z: Tensor) -> Tensor:
    """`z` in float32, or float64 as it is: bfloat16 keeps 8 bits, and sums over a batch need more."""
    return z if z.dtype == torch.float64 else z.float()


def unit_rows(z: Tensor, least: float = 1e-8) -> Tensor:
    """Rows `(..., P)` on the unit sphere, float32 or better.

    A row without an entry of `least` has no direction. It stays as it is, next to zero, and passes its gradient on as
    it comes; over a length of nearly nothing one such row would outweigh all others of the batch.
    """
    z = wide(z)
    # First by the largest entry: the squares of entries beyond 1e19 are infinite, and such rows would become zeros.
    largest = z.detach().abs().amax(dim=-1, keepdim=True)
    return functional.normalize(z / largest.masked_fill(largest < least, 1.0), dim=-1, eps=1.0)


def positive(name: str, value: float) -> None:
    """Raises ValueError unless an option is a number > 0 and finite."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be > 0 and finite, got {value}")


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless an option lies in `low..high`."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low:g}..{high:g}, got {value}")
