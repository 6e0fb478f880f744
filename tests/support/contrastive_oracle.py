"""NT-Xent, DCL and DCLW as their papers write them: Python floats, loops, one pair at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Row = tuple[int, int]


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def negatives_of(i: Row, views: int, items: int, groups: list[int]) -> list[Row]:
    """Every view of every item that is another one and of another group; -1 is no group."""
    return [
        (v, b)
        for v in range(views)
        for b in range(items)
        if b != i[1] and not (groups[b] == groups[i[1]] and groups[b] != -1)
    ]


def mean_over_pairs(z: Tensor, groups: list[int], pair_loss: Callable[[Row, Row, list[Row]], Tensor]) -> Tensor:
    """The mean of `pair_loss(anchor, positive, negatives)` over all ordered pairs of views of an item."""
    views, items, _ = z.shape
    losses = [
        pair_loss((v, b), (w, b), negatives_of((v, b), views, items, groups))
        for v in range(views)
        for w in range(views)
        if w != v
        for b in range(items)
    ]
    return torch.stack(losses).mean()


def nt_xent(z: Tensor, groups: list[int], temperature: float) -> Tensor:
    """SimCLR eq. 1."""

    def pair(i: Row, p: Row, negatives: list[Row]) -> Tensor:
        top = (_cosine(z[i], z[p]) / temperature).exp()
        rest = [(_cosine(z[i], z[n]) / temperature).exp() for n in negatives]
        return -(top / sum(rest, top)).log()

    return mean_over_pairs(z, groups, pair)


def dcl(z: Tensor, groups: list[int], temperature: float, sigma: float | None = None) -> Tensor:
    """Decoupled contrastive learning eq. 6, with the von Mises-Fisher weights where `sigma` is a number."""

    def strength(i: Row, p: Row, _: list[Row]) -> Tensor:
        return (_cosine(z[i], z[p]) / sigma).exp()

    def pair(i: Row, p: Row, negatives: list[Row]) -> Tensor:
        rest = [(_cosine(z[i], z[n]) / temperature).exp() for n in negatives]
        weight = 1.0 if sigma is None else 2.0 - strength(i, p, []) / mean_strength
        return -weight * _cosine(z[i], z[p]) / temperature + torch.stack(rest).sum().log()

    mean_strength = 1.0 if sigma is None else mean_over_pairs(z, groups, strength)
    return mean_over_pairs(z, groups, pair)
