"""Left-out, debiased, weighted and queued negatives and soft positives as their papers write them: loops over pairs."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from tests.support.contrastive_oracle import Row, mean_over_pairs


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return functional.cosine_similarity(a, b, dim=0)


def same_group(a: int, b: int) -> bool:
    return a == b and a != -1


def _ratio(positive: Tensor, negatives: list[Tensor]) -> Tensor:
    """`-log( e^p / (e^p + sum of e^n) )`."""
    return -(positive.exp() / sum((n.exp() for n in negatives), positive.exp())).log()


def masked(z: Tensor, groups: list[int], temperature: float, mask_above: float, decoupled: bool) -> Tensor:
    """NT-Xent, or DCL, over the negatives whose cosine is at most `mask_above`."""

    def pair(i: Row, p: Row, negatives: list[Row]) -> Tensor:
        kept = [cosine(z[i], z[n]) for n in negatives if cosine(z[i], z[n]).item() <= mask_above]
        positive, rest = cosine(z[i], z[p]) / temperature, [c / temperature for c in kept]
        if not decoupled:
            return _ratio(positive, rest)
        return sum(n.exp() for n in rest).log() - positive if rest else 0.0 * positive

    return mean_over_pairs(z, groups, pair)


def hard(z: Tensor, groups: list[int], temperature: float, prior: float, hardness: float) -> Tensor:
    """Debiased contrastive learning with the importance weights of hard negative sampling."""
    views = len(z)

    def weighted_mean(logits: list[Tensor]) -> Tensor:
        weights = [(hardness * s).exp() for s in logits]
        return sum(w / sum(weights) * s.exp() for w, s in zip(weights, logits, strict=True))

    def pair(i: Row, p: Row, negatives: list[Row]) -> Tensor:
        positive = cosine(z[i], z[p]) / temperature
        if not negatives:
            return 0.0 * positive
        others = [cosine(z[i], z[v, i[1]]) / temperature for v in range(views) if v != i[0]]
        mean = weighted_mean([cosine(z[i], z[n]) / temperature for n in negatives])
        true = (mean - prior * weighted_mean(others)) / (1 - prior)
        floor = math.exp(-1 / temperature)
        true = true if true.item() > floor else torch.full_like(true, floor)
        return -(positive.exp() / (positive.exp() + len(negatives) * true)).log()

    return mean_over_pairs(z, groups, pair)


def moco(z: Tensor, target: Tensor, groups: list[int], queue: list[tuple[Tensor, int]], temperature: float) -> Tensor:
    """MoCo eq. 1 against `(key, group)` of a queue; against the batch's keys of other items where it is empty."""

    def pair(i: Row, p: Row, others: list[Row]) -> Tensor:
        keys = [k for k, group in queue if not same_group(group, groups[i[1]])]
        if not queue:
            keys = [target[n] for n in others]
        positive = cosine(z[i], target[p]) / temperature
        return _ratio(positive, [cosine(z[i], k) / temperature for k in keys])

    return mean_over_pairs(z, groups, pair)


def soft_positives(z: Tensor, groups: list[int], affinity: Tensor, temperature: float, weight: float = 1.0) -> Tensor:
    """Cross-entropy of each row's shares and its softmax over all other rows that are not left out."""
    views, items, _ = z.shape
    losses = []
    for v, b in [(v, b) for v in range(views) for b in range(items)]:
        shares, logits = [], []
        for u, c in [(u, c) for u in range(views) for c in range(items)]:
            share = 1.0 if c == b else weight * affinity[b, c].item()
            if (u, c) == (v, b) or (share == 0 and same_group(groups[b], groups[c])):
                continue
            shares.append(share)
            logits.append(cosine(z[v, b], z[u, c]) / temperature)
        everyone = sum(s.exp() for s in logits).log()
        losses.append(sum(w / sum(shares) * (everyone - s) for w, s in zip(shares, logits, strict=True)))
    return torch.stack(losses).mean()
