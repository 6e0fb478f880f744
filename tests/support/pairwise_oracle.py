"""Margin, triplet, N-pair and pairwise sigmoid losses as their papers write them: loops, one pair at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tests.support.contrastive_oracle import Row, negatives_of


def anchors(z: Tensor, groups: list[int]) -> Iterator[tuple[Row, list[Row], list[Row]]]:
    """Every row with its positives and its negatives."""
    views, items, _ = z.shape
    for v in range(views):
        for b in range(items):
            yield (v, b), [(w, b) for w in range(views) if w != v], negatives_of((v, b), views, items, groups)


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum().sqrt()


def squared(z: Tensor, i: Row, j: Row) -> Tensor:
    """The squared Euclidean distance of two projections on the unit sphere."""
    return (unit(z[i]) - unit(z[j])).square().sum()


def mean(values: list[Tensor], z: Tensor) -> Tensor:
    """The mean, 0 of none."""
    return torch.stack(values).mean() if values else 0.0 * z.sum()


def margin(z: Tensor, groups: list[int], margin: float) -> Tensor:
    """Hadsell et al., the mean over each kind of pair."""
    pulls, pushes = [], []
    for a, positives, negatives in anchors(z, groups):
        pulls += [squared(z, a, p) / 2 for p in positives]
        pushes += [(margin - squared(z, a, n).sqrt()).clamp(min=0).square() / 2 for n in negatives]
    return mean(pulls, z) + mean(pushes, z) if pushes else 0.0 * z.sum()


def triplets(distance: dict[Row, Tensor], positives: list[Row], negatives: list[Row], mining: str) -> list[Tensor]:
    """`d(a, p) - d(a, n)` of the triplets of one anchor, given its distances."""
    by_distance = sorted(negatives, key=lambda n: distance[n].item())
    if mining == "all":
        return [distance[p] - distance[n] for p in positives for n in negatives]
    if mining == "hard":
        return [max(distance[p] for p in positives) - distance[by_distance[0]]]
    chosen = []
    for p in positives:
        farther = [n for n in by_distance if distance[n] > distance[p]]
        chosen.append(distance[p] - distance[farther[0] if farther else by_distance[-1]])
    return chosen


def triplet(z: Tensor, groups: list[int], mining: str, margin: float | None, squares: bool) -> Tensor:
    """FaceNet and Hermans et al., over the triplets that are mined."""
    losses = []
    for a, positives, negatives in anchors(z, groups):
        distance = {r: squared(z, a, r) if squares else squared(z, a, r).sqrt() for r in positives + negatives}
        gaps = triplets(distance, positives, negatives, mining) if negatives else []
        losses += [(1 + gap.exp()).log() if margin is None else (gap + margin).clamp(min=0) for gap in gaps]
    return mean([loss for loss in losses if mining != "all" or loss > 0], z)


def n_pair(z: Tensor, groups: list[int], l2: float) -> Tensor:
    """Sohn's N-pair-mc, of all ordered pairs of views."""
    views, items, _ = z.shape
    losses = []
    for (v, b), positives, negatives in anchors(z, groups):
        for w, _ in positives:
            rest = [((z[v, b] * z[w, c]).sum() - (z[v, b] * z[w, b]).sum()).exp() for u, c in negatives if u == w]
            losses.append((1 + sum(rest, 0.0 * z.sum())).log())
    norms = torch.stack([z[v, b].square().sum() for v in range(views) for b in range(items)])
    return mean(losses, z) + l2 / 2 * norms.mean()


def logistic(z: Tensor, groups: list[int], t: Tensor, bias: Tensor) -> Tensor:
    """SigLIP's algorithm 1: one yes-or-no question per pair, summed, divided by the rows."""
    views, items, _ = z.shape
    total = 0.0 * z.sum()
    for a, positives, negatives in anchors(z, groups):
        for sign, others in ((1, positives), (-1, negatives)):
            for j in others:
                score = t * (unit(z[a]) * unit(z[j])).sum() + bias
                total = total - (1 / (1 + (-sign * score).exp())).log()
    return total / (views * items)
