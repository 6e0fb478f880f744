"""Projection heads: the loss sees their output, and an exported encoder gives it or the features before it.

For another task the features are the better ones (SimCLR, arXiv 2002.05709, sec. 4.2): a head drops what its objective
does not need. For comparing music of the kind that was trained on, its output is the space made for just that.
"""

from __future__ import annotations

from torch import Tensor, nn


class MLPProjection(nn.Sequential):
    """`(B, D)` embeddings to `(B, dim)`: normalise, linear to `hidden`, normalise, ReLU, linear.

    The first batch norm puts mean- and max-pooled features of all stages, whose scales differ by orders of
    magnitude, on one footing; without it the largest stage alone would drive the loss.

    Raises ValueError when an option is out of range.
    """

    def __init__(self, inputs: int, hidden: int = 512, dim: int = 128) -> None:
        for name, value in (("hidden", hidden), ("dim", dim)):
            if not isinstance(value, int) or value < 2:
                raise ValueError(f"projection.{name} must be a whole number >= 2, got {value!r}")
        super().__init__(
            nn.BatchNorm1d(inputs),
            nn.Linear(inputs, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        )
        self.dim = dim

    def forward(self, embedding: Tensor) -> Tensor:
        """`(B, D)` to `(B, dim)`."""
        projected: Tensor = super().forward(embedding)
        return projected
