"""What the objectives without negatives share that predict one view of an item from another (BYOL, SimSiam)."""

from __future__ import annotations

from torch import Tensor, nn

from mirclr.losses.objective import unit_rows


class Predictor(nn.Sequential):
    """`(V, B, P)` to `(V, B, P)`: linear to `hidden`, batch norm, ReLU, linear; no batch norm at the end.

    The biases are those of SimSiam's code; BYOL's has none in the last layer. All views are one batch of V B rows to
    the batch norm, as they are to the encoder's: its statistics cannot tell the views apart, and one item is enough for
    them. Raises ValueError unless both sizes are whole numbers >= 1.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        for name, value in (("dim", dim), ("hidden", hidden)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
        super().__init__(
            nn.Linear(dim, hidden, bias=False),  # the batch norm has one
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        )
        self.dim = dim

    def forward(self, z: Tensor) -> Tensor:
        """`(V, B, P)` to `(V, B, P)`. Raises ValueError when P is not the predictor's."""
        if z.shape[-1] != self.dim:
            raise ValueError(f"projections must have {self.dim} dimensions, got {z.shape[-1]}")
        predicted: Tensor = super().forward(z.flatten(0, 1))
        return predicted.view_as(z)


def cross_cosine(predicted: Tensor, targets: Tensor) -> Tensor:
    """`(V, B, P)` twice to the mean of `cos(prediction of view v, target of view w)` over all v != w and items.

    The sum over pairs is the product of the sums over views less the pairs of a view with itself: linear in V.
    """
    views, items, _ = predicted.shape
    p, t = unit_rows(predicted), unit_rows(targets)
    return ((p.sum(dim=0) * t.sum(dim=0)).sum() - (p * t).sum()) / (views * (views - 1) * items)
