"""BYOL, SimSiam, VICReg and Barlow Twins as their papers write them: one pair of views, one dimension at a time."""

from __future__ import annotations

from itertools import combinations, permutations

import torch
from torch import Tensor


def predict(weights: dict[str, Tensor], z: Tensor) -> Tensor:
    """Linear, batch norm over all rows of all views, ReLU, linear: `(V, B, P)` to `(V, B, P)`."""
    hidden = torch.einsum("hp,vbp->vbh", weights["0.weight"], z)
    mean = hidden.mean(dim=(0, 1))
    variance = (hidden - mean).square().mean(dim=(0, 1))
    normal = (hidden - mean) / (variance + 1e-5).sqrt() * weights["1.weight"] + weights["1.bias"]
    return torch.einsum("ph,vbh->vbp", weights["3.weight"], normal.clamp(min=0)) + weights["3.bias"]


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def byol(q: Tensor, target: Tensor) -> Tensor:
    """Eq. 2 with both directions of a pair added, the mean over pairs and items."""
    views, items, _ = q.shape
    losses = []
    for v, w in combinations(range(views), 2):
        for b in range(items):
            there, back = cosine(q[v, b], target[w, b]), cosine(q[w, b], target[v, b])
            losses.append((2 - 2 * there) + (2 - 2 * back))
    return torch.stack(losses).mean()


def simsiam(p: Tensor, z: Tensor) -> Tensor:
    """Eq. 4: half the negative cosines of both directions, the mean over pairs and items."""
    views, items, _ = p.shape
    stopped = z.detach()
    losses = [
        -0.5 * cosine(p[v, b], stopped[w, b]) - 0.5 * cosine(p[w, b], stopped[v, b])
        for v, w in combinations(range(views), 2)
        for b in range(items)
    ]
    return torch.stack(losses).mean()


def covariance(x: Tensor, y: Tensor) -> Tensor:
    """Of two dimensions over the batch, `(B,)` each, divided by B - 1."""
    return ((x - x.mean()) * (y - y.mean())).sum() / (len(x) - 1)


def vicreg(z: Tensor, invariance: float, variance: float, weight: float, gamma: float, eps: float) -> Tensor:
    """Eq. 6, its invariance a mean over dimensions too, the mean over pairs of views."""
    _, items, dims = z.shape

    def v(view: Tensor) -> Tensor:
        roots = [(covariance(view[:, j], view[:, j]) + eps).sqrt() for j in range(dims)]
        return torch.stack([(gamma - root).clamp(min=0) for root in roots]).sum() / dims

    def c(view: Tensor) -> Tensor:
        entries = [covariance(view[:, j], view[:, k]).square() for j, k in permutations(range(dims), 2)]
        return torch.stack(entries).sum() / dims

    losses = []
    for a, b in combinations(z, 2):
        s = torch.stack([(a[i] - b[i]).square().sum() for i in range(items)]).mean() / dims
        losses.append(invariance * s + variance * (v(a) + v(b)) + weight * (c(a) + c(b)))
    return torch.stack(losses).mean()


def barlow(z: Tensor, weight: float, eps: float) -> Tensor:
    """Eq. 1 and 2, the mean over pairs of views; `eps` in each variance."""
    dims = z.shape[-1]
    losses = []
    for a, b in combinations(z, 2):
        total = 0.0 * z.sum()
        for j in range(dims):
            for k in range(dims):
                x, y = a[:, j] - a[:, j].mean(), b[:, k] - b[:, k].mean()
                spread = ((x.square().mean() + eps) * (y.square().mean() + eps)).sqrt()
                entry = (x * y).mean() / spread
                total = total + ((1 - entry).square() if j == k else weight * entry.square())
        losses.append(total)
    return torch.stack(losses).mean()
