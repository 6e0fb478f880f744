"""Soft positives against loops, what they are with affinities of 0 and 1, and where they rest."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.nt_xent import NTXent
from mirclr.losses.soft_positives import SoftPositives
from tests.support import negatives_oracle as oracle
from tests.support.projections import LargestTensor, evaluated, projections

GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "one pair left": [0, 0, 0, 0, 9]}


def affinities(items: int = 5, seed: int = 0) -> Tensor:
    """`(B, B)`, half of it 0, not symmetric, with a diagonal that nothing may read."""
    generator = torch.Generator().manual_seed(seed)
    alike = torch.rand(items, items, generator=generator, dtype=torch.float64)
    return (alike * (torch.rand(items, items, generator=generator) > 0.5)).fill_diagonal_(0.3)


def sup_con(z: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Khosla et al. eq. 2 over all views of all items."""
    rows, labels = functional.normalize(z, dim=-1).flatten(0, 1), classes.repeat(len(z))
    logits = (rows @ rows.T / temperature).fill_diagonal_(-torch.inf)
    rest = logits.logsumexp(dim=1)
    losses = []
    for i in range(len(rows)):
        positives = [p for p in range(len(rows)) if p != i and labels[p] == labels[i]]
        losses.append(sum(rest[i] - logits[i, p] for p in positives) / len(positives))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("weight", [1.0, 0.4, 0.0])
@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_value_and_gradient_are_those_of_the_loops(grouping: str, views: int, weight: float) -> None:
    z, groups, affinity = projections(views).requires_grad_(), GROUPINGS[grouping], affinities()
    want = oracle.soft_positives(z, groups, affinity, 0.3, weight)
    value, gradient = evaluated(SoftPositives(0.3, weight=weight), z, torch.tensor(groups), affinity=affinity)
    torch.testing.assert_close(value, want.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, torch.autograd.grad(want, z)[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("views", [2, 3, 4])
def test_without_any_affinity_it_is_sup_con_of_an_items_own_views(views: int) -> None:
    z, none = projections(views), torch.zeros(5, 5)
    torch.testing.assert_close(SoftPositives(0.3)(z, affinity=none), sup_con(z, torch.arange(5), 0.3))


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_without_any_affinity_two_views_are_nt_xent(grouping: str) -> None:
    z, groups = projections(), torch.tensor(GROUPINGS[grouping])
    got, want = evaluated(SoftPositives(), z, groups, affinity=torch.zeros(5, 5)), evaluated(NTXent(), z, groups)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("views", [2, 3])
def test_affinities_of_one_within_classes_are_sup_con(views: int) -> None:
    z, classes = projections(views, items=6), torch.tensor([0, 1, 0, 2, 1, 0])
    affinity = (classes[:, None] == classes).double()
    torch.testing.assert_close(SoftPositives(0.3)(z, affinity=affinity), sup_con(z, classes, 0.3))
    # A class that is also a group changes nothing: what is said of its items counts, and it says that they are one.
    torch.testing.assert_close(SoftPositives(0.3)(z, classes, affinity=affinity), sup_con(z, classes, 0.3))


def test_items_of_one_group_without_an_affinity_push_nothing_away() -> None:
    z, affinity = projections(), torch.zeros(5, 5)
    groups = torch.tensor([7, 7, -1, -1, -1])
    gradient = evaluated(SoftPositives(), z[:, :2], groups[:2], affinity=affinity[:2, :2])[1]
    assert torch.allclose(gradient, torch.zeros_like(gradient), atol=1e-14)
    twins = torch.cat([z[:, :1], z[:, :1], z[:, 2:]], dim=1)
    assert SoftPositives()(twins, groups, affinity=affinity) < SoftPositives()(twins, affinity=affinity) - 0.5


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_a_soft_positive_is_pulled_until_its_softmax_is_its_share_and_no_further(share: float) -> None:
    # Two items whose views agree, at cosine c: the softmax of an own view to one of the other is 1 : e^((c - 1) / t).
    def two_items(c: float) -> Tensor:
        item = torch.tensor([[1.0, 0.0], [c, math.sqrt(1 - c * c)]], dtype=torch.float64)
        return item.expand(2, 2, 2).clone()

    affinity, t = torch.tensor([[0.0, share], [share, 0.0]], dtype=torch.float64), 0.4
    rest = 1 + t * math.log(share)
    if share < 1:
        value, gradient = evaluated(SoftPositives(t), two_items(rest), affinity=affinity)
        assert gradient.abs().max() < 1e-12
        total = 1 + 2 * share
        entropy = math.log(total) - 2 * share / total * math.log(share)
        assert value.item() == pytest.approx(entropy, rel=1e-12)
    for c, towards in ((rest - 0.1, 1), (rest + 0.1, -1)):
        if c < 1:
            gradient = evaluated(SoftPositives(t), two_items(c), affinity=affinity)[1]
            assert towards * gradient[0, 1, 0] < 0  # a step against it turns item 1 towards item 0, or away


def test_equal_projections_cost_the_log_of_all_others_whatever_the_affinity() -> None:
    z = torch.ones(3, 6, 4)
    assert SoftPositives()(z, affinity=affinities(6)).item() == pytest.approx(math.log(17), rel=1e-6)


def test_one_item_costs_the_log_of_its_other_views() -> None:
    for views in (2, 3):
        value = SoftPositives()(torch.ones(views, 1, 4), affinity=torch.zeros(1, 1))
        assert value.item() == pytest.approx(math.log(views - 1), abs=1e-6)


def test_the_diagonal_is_not_read_and_the_weight_scales_the_rest() -> None:
    z, affinity = projections(), affinities()
    value = SoftPositives()(z, affinity=affinity)
    assert SoftPositives()(z, affinity=affinity.clone().fill_diagonal_(torch.nan)) == value
    assert affinity.diagonal().tolist() == [0.3] * 5
    scaled = SoftPositives(weight=0.25)(z, affinity=affinity)
    torch.testing.assert_close(scaled, SoftPositives()(z, affinity=0.25 * affinity))
    assert scaled != value


def test_order_does_not_matter_but_who_is_whose_positive_does() -> None:
    z, affinity, groups = projections(3), affinities(), torch.tensor([3, -1, 3, 0, 0])
    value, order = SoftPositives()(z, groups, affinity=affinity), torch.tensor([4, 2, 0, 3, 1])
    moved = SoftPositives()(z[[1, 2, 0]][:, order], groups[order], affinity=affinity[order][:, order])
    torch.testing.assert_close(moved, value)
    assert abs(SoftPositives()(z, groups, affinity=affinity.T) - value) > 1e-3


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_change_nothing(chunk: int) -> None:
    z, groups, affinity = projections(3), torch.tensor([3, -1, 3, 0, 0]), affinities()
    whole, parts = (evaluated(SoftPositives(chunk=c), z, groups, affinity=affinity) for c in (15, chunk))
    torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-14)


def test_gradients_are_those_of_the_value() -> None:
    z, groups, affinity = projections(3).requires_grad_(), torch.tensor([3, -1, 3, 0, 0]), affinities()
    loss = SoftPositives(chunk=4)
    assert torch.autograd.gradcheck(lambda x: -2.5 * loss(x, groups, affinity=affinity), (z,))


def test_no_tensor_is_larger_than_the_affinity() -> None:
    z, affinity = projections(4, items=200, dimensions=8).requires_grad_(), affinities(200)
    with LargestTensor() as seen:
        SoftPositives(chunk=16)(z, torch.arange(200) // 3, affinity=affinity).backward()
    assert seen.numbers == 200 * 200  # and not (4 * 200) ** 2


def test_values_out_of_range_and_wrong_shapes_are_named() -> None:
    for weight in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=rf"weight must be in 0\.\.1, got {weight}"):
            SoftPositives(weight=weight)
    with pytest.raises(ValueError, match="temperature must be > 0"):
        SoftPositives(temperature=0.0)
    with pytest.raises(ValueError, match="chunk must be >= 1"):
        SoftPositives(chunk=0)
    with pytest.raises(ValueError, match=r"affinity must be \(5, 5\), got \(4, 5\)"):
        SoftPositives()(projections(), affinity=torch.zeros(4, 5))
    with pytest.raises(ValueError, match=r"groups must be \(5,\) integers, got \(4,\)"):
        SoftPositives()(projections(), torch.zeros(4, dtype=torch.long), affinity=torch.zeros(5, 5))
