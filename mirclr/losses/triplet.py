"""Triplet losses: FaceNet (Schroff et al., arXiv 1503.03832) and In Defense of the Triplet Loss (arXiv 1703.07737)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mirclr.config import nearest
from mirclr.losses.contrast import unit_views
from mirclr.losses.objective import Objective, positive, within
from mirclr.losses.pairwise import Pairing, pairing, root, squared_distances
from mirclr.losses.rows import chunked

Mining = Callable[[Tensor, Tensor], Tensor]
"""Distances of some rows to their positives `(c, V - 1)` and negatives `(c, N)`, infinite where a column is none, to
`d(a, p) - d(a, n)` of the triplets chosen; minus infinity is no triplet."""


def batch_all(positives: Tensor, negatives: Tensor) -> Tensor:
    """`(c, V - 1, N)`: every positive with every negative."""
    return positives[:, :, None] - negatives[:, None, :]


def batch_hard(positives: Tensor, negatives: Tensor) -> Tensor:
    """`(c,)`: the farthest positive with the nearest negative."""
    return positives.amax(dim=1) - negatives.amin(dim=1)


def semi_hard(positives: Tensor, negatives: Tensor) -> Tensor:
    """`(c, V - 1)`: each positive with the nearest negative beyond it, or the farthest where none is beyond it."""
    near = negatives[:, None, :] <= positives[:, :, None]
    beyond = negatives[:, None, :].masked_fill(near, torch.inf).amin(dim=2)
    farthest = negatives.masked_fill(negatives.isinf(), -torch.inf).amax(dim=1, keepdim=True)
    farthest = farthest.masked_fill(farthest.isneginf(), torch.inf)
    return positives - torch.where(beyond.isinf(), farthest, beyond)


MINING: dict[str, Mining] = {"all": batch_all, "semi_hard": semi_hard, "hard": batch_hard}


class Triplet(Objective):
    """`max(0, d(a, p) - d(a, n) + margin)` for an anchor a, another view p of its item and a view n of another item,
    d the squared Euclidean distance of projections on the unit sphere; the mean over the triplets that `mining` picks.

    Every row is an anchor. Items of one group are not each other's negatives. A batch without a negative (one item, or
    one group) has no triplets and costs 0.

    Args:
        mining: "semi_hard": for every anchor and positive the hardest of the negatives that are farther than the
            positive (FaceNet; one beyond the margin costs nothing, as if there were none), and where all
            negatives are nearer than the positive the farthest of them, the least hard; mean over all pairs (a, p).
            "hard": the farthest positive and the nearest negative of each anchor (batch hard, Hermans et al.);
            mean over anchors. At the start it easily collapses all to one point, where it costs `margin`.
            "all": every triplet (batch all), the mean over the active ones, those that cost more than 0
            (Hermans et al.'s variant "batch all, not 0"): a mean over all would fade as triplets are learned.
        margin: > 0. FaceNet's 0.2: n has to be farther than p by 0.1 in cosine. None for Hermans et al.'s soft margin
            `log(1 + exp(d(a, p) - d(a, n)))`, which never stops pulling; not with "semi_hard", which the margin bounds.
        squared: whether d is the squared distance, FaceNet's. False for the distance itself, which Hermans et al. find
            less prone to collapse; the margin is then one of distances.
        chunk: rows computed at a time; changes memory (`chunk` x (V - 1) x V B numbers), not the result.
    """

    source = "Schroff et al., FaceNet, arXiv 1503.03832; Hermans et al., arXiv 1703.07737"

    def __init__(
        self, mining: str = "semi_hard", margin: float | None = 0.2, squared: bool = True, chunk: int = 512
    ) -> None:
        super().__init__()
        if mining not in MINING:
            raise ValueError(f"no mining {mining!r}.{nearest(mining, MINING)}")
        if margin is None and mining == "semi_hard":
            raise ValueError("margin must be a number where mining is 'semi_hard', got None")
        if margin is not None:
            positive("margin", margin)
        within("chunk", chunk, 1, math.inf)
        self.mining, self.margin, self.squared, self.chunk = mining, margin, squared, chunk

    def forward(self, z: Tensor, groups: Tensor | None = None) -> Tensor:
        """Projections `(V, B, P)`, not normalised, to a scalar in float32 (float64 of float64).

        `groups` `(B,)` integers: items of an equal group other than -1 are not each other's negatives.
        Raises ValueError on other shapes.
        """
        with torch.autocast(z.device.type, enabled=False):
            unit = unit_views(z)
            pairs, rows = pairing(unit, groups), unit.flatten(0, 1)
            total, count = chunked(lambda *given: self._rows(pairs, *given), self.chunk, rows, rows)
            return total / count.clamp(min=1)

    def _rows(self, pairs: Pairing, rows: Tensor, part: slice, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Sum over the triplets of some anchors, and over how many it is to be a mean."""
        distances = squared_distances(rows, columns)
        distances = distances if self.squared else root(distances)
        positives = distances.gather(1, pairs.partners[part])
        gaps = MINING[self.mining](positives, distances.masked_fill(pairs.blocked(part), torch.inf))
        losses = functional.softplus(gaps) if self.margin is None else functional.relu(gaps + self.margin)
        counted = losses > 0 if self.mining == "all" else ~gaps.isneginf()
        return losses.sum(), counted.sum()
