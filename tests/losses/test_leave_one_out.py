"""Contrast within a clip: the paper's equation in loops, NT-Xent and DCL as special cases, and what is left out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mirclr.losses.dcl import DCL
from mirclr.losses.leave_one_out import leave_one_out, refusal
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.table import LOSSES, build_loss

PAPER = torch.tensor([0, 1, 0, 2])
"""Kinds of the views of LooC in the space of the first of two augmentations: the query, k_0, k_1, k_2."""


def views(count: int = 4, items: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(count, items, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def oracle(z: Tensor, kinds: Tensor, groups: list[int], t: float, decoupled: bool, above: float = 2.0) -> float:
    """The mean over rows that have a positive, by loops."""
    rows = [(v, b) for v in range(z.shape[0]) for b in range(z.shape[1])]
    losses = []
    for v, b in rows:
        positives, negatives = [], []
        for w, c in rows:
            s = cosine(z[v, b], z[w, c])
            comparable = kinds[v, b] >= 0 and kinds[w, c] >= 0
            if b == c and (v == w or not comparable):
                continue
            if b == c:
                (positives if kinds[v, b] == kinds[w, c] else negatives).append(math.exp(s / t))
            elif (groups[b] == -1 or groups[b] != groups[c]) and s <= above:
                negatives.append(math.exp(s / t))
        if positives:
            denominators = [sum(negatives) + (0 if decoupled else p) for p in positives]
            terms = [-math.log(p / d) for p, d in zip(positives, denominators, strict=True)] if negatives else [0.0]
            losses.append(sum(terms) / len(terms))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("loss", [NTXent(0.3), DCL(0.3), NTXent(0.3, mask_above=0.2), DCL(0.3, chunk=2)])
@pytest.mark.parametrize("groups", [[-1, -1, -1], [4, -1, 4]])
def test_it_is_the_sum_over_rows_of_the_definition(loss: NTXent | DCL, groups: list[int]) -> None:
    z = views()
    kinds = torch.tensor([[0, 0, -1], [1, 0, 1], [0, 2, 1], [-1, 2, 3]])
    expected = oracle(z, kinds, groups, 0.3, isinstance(loss, DCL), loss.mask_above or 2.0)
    assert leave_one_out(loss, z, kinds, torch.tensor(groups)).item() == pytest.approx(expected, rel=1e-9)


def test_the_query_of_the_paper() -> None:
    """LooC, eq. 2: k_1 against every key of the query's own image and of the others; here k_1 asks as well."""
    z, t = views(items=2), 0.2
    e = [[math.exp(cosine(z[q, 0], z[k, b]) / t) for b in range(2) for k in range(4)] for q in (0, 2)]
    query, key = e[0], e[1]
    from_query = -math.log(query[2] / (sum(query) - query[0]))
    from_key = -math.log(key[0] / (sum(key) - key[2]))
    kinds = torch.stack([PAPER, torch.full((4,), -1)], dim=1)
    assert leave_one_out(NTXent(t), z, kinds).item() == pytest.approx((from_query + from_key) / 2, rel=1e-9)


@pytest.mark.parametrize("loss", [NTXent(0.2), DCL(0.2), NTXent(0.2, mask_above=0.1)])
@pytest.mark.parametrize("groups", [None, torch.tensor([2, 2, -1])])
def test_with_one_kind_it_is_the_objective_itself(loss: NTXent | DCL, groups: Tensor | None) -> None:
    z = views()
    torch.testing.assert_close(leave_one_out(loss, z, torch.zeros(4, 3, dtype=torch.int64), groups), loss(z, groups))


def test_gradients_are_those_of_the_definition_in_any_chunks() -> None:
    kinds = torch.stack([PAPER, PAPER, torch.tensor([0, -1, 0, 0])], dim=1)
    for loss in (NTXent(0.3, chunk=3), DCL(0.3, chunk=5)):
        z = views().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, loss=loss: leave_one_out(loss, x, kinds), (z,))


def test_a_view_changed_in_another_way_is_pushed_away_and_a_shared_one_pulled() -> None:
    z = torch.eye(8, dtype=torch.float64).view(4, 2, 8).requires_grad_()  # all as far from each other
    leave_one_out(NTXent(0.2), z, PAPER[:, None].expand(4, 2)).backward()
    step = z.detach() - 0.01 * z.grad
    other, shared, third = (cosine(step[0, 0], step[k, 0]) for k in (1, 2, 3))
    stranger = cosine(step[0, 0], step[1, 1])
    assert shared > 1e-3
    assert other == pytest.approx(third) == pytest.approx(stranger)  # a view of the own clip like one of another clip
    assert other < -1e-4


def test_rows_without_a_positive_or_without_a_negative_cost_nothing() -> None:
    alone = torch.tensor([[0], [1], [2]])
    for loss in (NTXent(), DCL()):
        z = views(3, 1).requires_grad_()
        value = leave_one_out(loss, z, alone)  # no view is like another
        assert (value.item(), bool(value.backward() or z.grad.any())) == (0.0, False)
        z.grad = None
        value = leave_one_out(loss, z, torch.zeros(3, 1, dtype=torch.int64))  # nothing to be told from
        assert (value.item(), bool(value.backward() or z.grad.any())) == (0.0, False)


def test_divergence_is_not_hidden() -> None:
    z = views()
    z[1, 1, 0] = torch.nan
    assert leave_one_out(DCL(), z, PAPER[:, None].expand(4, 3)).isnan()


def test_objectives_that_cannot_are_told_by_name() -> None:
    able = [name for name in LOSSES if refusal(build_loss(name)) is None]
    assert able == ["nt_xent", "dcl"]
    with pytest.raises(ValueError, match=r"use loss\.name=nt_xent or dcl"):
        leave_one_out(build_loss("vicreg"), views(), PAPER[:, None].expand(4, 3))
    with pytest.raises(ValueError, match="dcl's sigma weighs the one pair of an item"):
        leave_one_out(DCL(sigma=0.5), views(), PAPER[:, None].expand(4, 3))


def test_kinds_of_other_views_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kinds must be \(4, 3\), like the views, got \(4,\)"):
        leave_one_out(NTXent(), views(), PAPER)
