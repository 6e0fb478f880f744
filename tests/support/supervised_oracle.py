"""SupCon, GenSupCon, distillation and GMC as their equations read: Python loops, one row and one column at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.support.contrastive_oracle import Row

Weight = Callable[[Row, Row], float]
Label = list[float] | None


def strength(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    return (torch.cosine_similarity(a, b, dim=0) / temperature).exp()


def mates(i: Row, j: Row, groups: list[int]) -> bool:
    """Different items of one group; -1 is no group."""
    return i[1] != j[1] and groups[i[1]] == groups[j[1]] != -1


def relation(z: Tensor, groups: list[int], temperature: float, weight: Weight) -> Tensor:
    """Mean over rows i of the cross-entropy between normalised weights and the softmax of the cosines."""
    rows = [(v, b) for v in range(z.shape[0]) for b in range(z.shape[1])]
    losses = []
    for i in rows:
        others = [j for j in rows if j != i]
        weights = {j: weight(i, j) for j in others}
        seen = [j for j in others if weights[j] > 0 or not mates(i, j, groups)]
        total = sum(weights.values())
        if total == 0 or all(j[1] == i[1] for j in seen):
            losses.append(0 * z.sum())
            continue
        size = torch.stack([strength(z[i], z[a], temperature) for a in seen]).sum()
        for j in seen:
            share = strength(z[i], z[j], temperature) / size
            losses.append(-weights[j] / total * share.log())
    return torch.stack(losses).sum() / len(rows)


def rows_of(labels: Tensor) -> dict[Row, Label]:
    """The label row of every view, None where it is NaN or all zeros."""
    return {
        (v, b): None if row.isnan().all() or not row.any() else row.tolist()
        for v, view in enumerate(labels)
        for b, row in enumerate(view)
    }


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


def supcon(z: Tensor, labels: Tensor, groups: list[int], temperature: float) -> Tensor:
    """Khosla et al. eq. 2, written apart from `relation`: the mean over the positives of one log-ratio each."""
    y = rows_of(labels)
    losses = []
    for i in y:
        shared = {
            j: j[1] == i[1] or bool(y[i] and y[j] and any(p and q for p, q in zip(y[i], y[j], strict=True)))
            for j in y
            if j != i
        }
        seen = [j for j in shared if shared[j] or not mates(i, j, groups)]
        if all(j[1] == i[1] for j in seen):
            losses.append(0 * z.sum())
            continue
        size = torch.stack([strength(z[i], z[a], temperature) for a in seen]).sum()
        ratios = [(strength(z[i], z[p], temperature) / size).log() for p in shared if shared[p]]
        losses.append(-torch.stack(ratios).mean())
    return torch.stack(losses).mean()


def gen_supcon(z: Tensor, labels: Tensor, groups: list[int], temperature: float) -> Tensor:
    """Kim et al.: weights are the cosines of the labels, or own views where a label is missing."""
    y = rows_of(labels)

    def weight(i: Row, j: Row) -> float:
        if y[i] is None or y[j] is None:
            return float(i[1] == j[1])
        return cosine(y[i], y[j])

    return relation(z, groups, temperature, weight)


def distill(
    z: Tensor, labels: Tensor, groups: list[int], temperature: float, teacher_temperature: float, share: float
) -> Tensor:
    """The teacher's softmax over the rows it may be asked about, and the self-supervised target for the rest."""
    y = rows_of(labels)

    def wanted(i: Row, j: Row) -> float:
        if i == j or mates(i, j, groups):
            return 0.0
        if y[i] is None or y[j] is None:
            return torch.tensor(1 / teacher_temperature, dtype=torch.float64).exp().item() if i[1] == j[1] else 0.0
        return torch.tensor(cosine(y[i], y[j]) / teacher_temperature, dtype=torch.float64).exp().item()

    def weight(i: Row, j: Row) -> float:
        own = float(i[1] == j[1]) / (z.shape[0] - 1)
        return share * wanted(i, j) / sum(wanted(i, k) for k in y) + (1 - share) * own

    return relation(z, groups, temperature, weight)


def gmc(
    modalities: Tensor, joint: Tensor, groups: list[int], present: Tensor, temperature: float, pooled: bool
) -> Tensor:
    """Poklukar et al. eq. 2, or with a denominator for each side of the pair, as the authors' code has it."""

    def s(a: Tensor, b: Tensor) -> Tensor:
        return strength(a, b, temperature)

    losses = [0 * joint.sum()]
    for m, zm in enumerate(modalities):
        items = [i for i in range(len(joint)) if present[m, i]]
        for i in items:
            rest = [j for j in items if j != i and not (groups[j] == groups[i] != -1)]
            if not rest:
                continue
            pair = s(zm[i], joint[i])
            across, back = sum(s(zm[i], joint[j]) for j in rest), sum(s(joint[i], zm[j]) for j in rest)
            within, whole = sum(s(zm[i], zm[j]) for j in rest), sum(s(joint[i], joint[j]) for j in rest)
            if pooled:
                losses.append(-(pair / (across + within + whole)).log())
            else:
                losses.append(-((pair / (pair + across + within)).log() + (pair / (pair + back + whole)).log()) / 2)
    return torch.stack(losses).sum() / len(joint)
