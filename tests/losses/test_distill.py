"""Distillation against its equation, what a perfect student has, and its limits: no teacher, a teacher of labels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.distill import Distill
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.supcon import SupCon
from tests.support import supervised_oracle as oracle
from tests.support.projections import LargestTensor, assert_same, projections

NAN = math.nan
GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "all one": [1] * 5}


def teacher(views: int = 2, kind: str = "vectors", items: int = 5) -> Tensor:
    """What a teacher says of every view: of any sign, or probabilities, or with clips it did not hear."""
    vectors = projections(views, items, 6, seed=11)
    if kind == "probabilities":
        return torch.sigmoid(vectors)
    if kind == "unheard":
        vectors[:, 1] = NAN
        vectors[0, 3] = NAN
        vectors[1, 4] = 0.0
    return vectors


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["vectors", "probabilities", "unheard"])
def test_value_and_gradient_are_those_of_the_equation(kind: str, weight: float, grouping: str, views: int) -> None:
    z, labels, groups = projections(views).requires_grad_(), teacher(views, kind), GROUPINGS[grouping]
    got = Distill(0.3, 0.2, weight)(z, torch.tensor(groups), labels=labels)
    assert_same(got, oracle.distill(z, labels, groups, 0.3, 0.2, weight), z)


def test_without_the_teachers_share_two_views_are_nt_xent() -> None:
    z, groups = projections().requires_grad_(), torch.tensor([3, -1, 3, 0, 0])
    assert_same(Distill(0.2, weight=0.0)(z, groups, labels=teacher()), NTXent(0.2)(z, groups), z)


def test_a_teacher_that_heard_nothing_leaves_self_supervision() -> None:
    z, deaf = projections().requires_grad_(), torch.full((2, 5, 3), NAN)
    assert_same(Distill(0.2)(z, labels=deaf), NTXent(0.2)(z), z)


def test_a_sharp_teacher_of_one_label_each_is_supcon() -> None:
    z, labels = projections().requires_grad_(), torch.eye(3)[[0, 1, 0, 2, 1]].expand(2, -1, -1)
    assert_same(Distill(0.2, 1e-3)(z, labels=labels), SupCon(0.2)(z, labels=labels), z)


def test_a_blunt_teacher_asks_for_all_alike() -> None:
    z = torch.ones(2, 5, 4)
    assert Distill(0.1, 1e6)(z, labels=teacher()).item() == pytest.approx(math.log(9), rel=1e-6)
    assert Distill(0.1, 0.1)(z, labels=teacher()).item() == pytest.approx(math.log(9), rel=1e-6)


def test_the_shares_of_the_target_add_up() -> None:
    z, labels = projections(3), teacher(3)
    alone, taught = (Distill(0.2, weight=w)(z, labels=labels) for w in (0.0, 1.0))
    torch.testing.assert_close(Distill(0.2, weight=0.25)(z, labels=labels), 0.75 * alone + 0.25 * taught)


def test_a_perfect_student_costs_the_entropy_of_the_target_and_learns_no_more() -> None:
    labels = teacher()
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
    z = (3.0 * labels @ rotation).requires_grad_()  # another basis, other lengths: the same relations
    loss = Distill(0.2, 0.2)(z, labels=labels)
    rows = functional.normalize(labels.flatten(0, 1), dim=-1)
    logits = (rows @ rows.T / 0.2).fill_diagonal_(-torch.inf)
    entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
    torch.testing.assert_close(loss.detach(), entropy)
    gradient = torch.autograd.grad(loss, z)[0]
    torch.testing.assert_close(gradient, torch.zeros_like(z), atol=1e-12, rtol=0)
    assert Distill(0.2, 0.2)(projections(dimensions=6), labels=labels) > loss


def test_a_student_learns_the_teachers_cosines() -> None:
    labels = teacher(kind="probabilities")
    z = projections(dimensions=6).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        Distill(0.2, 0.2)(z, labels=labels).backward()
        optimiser.step()
    apart = ~torch.eye(10, dtype=torch.bool)
    wanted, learnt = (functional.normalize(x.flatten(0, 1), dim=-1) for x in (labels, z.detach()))
    both = torch.stack([(wanted @ wanted.T)[apart], (learnt @ learnt.T)[apart]])
    assert torch.corrcoef(both)[0, 1] > 0.99


def test_lengths_of_the_teachers_vectors_do_not_matter_and_no_gradient_reaches_them() -> None:
    z, labels = projections().requires_grad_(), teacher().requires_grad_()
    loss = Distill()(z, labels=labels)
    loss.backward()
    assert labels.grad is None
    torch.testing.assert_close(Distill()(z, labels=100 * labels), loss)


def test_gradients_are_those_of_the_value() -> None:
    labels, groups, loss = teacher(kind="unheard"), torch.tensor([3, -1, 3, 0, 0]), Distill(0.3, 0.2, 0.6, chunk=4)
    assert torch.autograd.gradcheck(lambda x: -2.5 * loss(x, groups, labels=labels), (projections().requires_grad_(),))


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_change_nothing(chunk: int) -> None:
    z, labels, groups = projections(3).requires_grad_(), teacher(3, "unheard"), torch.tensor([3, -1, 3, 0, 0])
    whole, parts = (Distill(weight=0.6, chunk=c)(z, groups, labels=labels) for c in (15, chunk))
    assert_same(parts, whole, z)


def test_orders_do_not_matter() -> None:
    z, labels, groups = projections(3).requires_grad_(), teacher(3, "unheard"), torch.tensor([3, -1, 3, 0, 0])
    order, views = torch.tensor([4, 2, 0, 3, 1]), torch.tensor([2, 0, 1])
    loss = Distill(weight=0.6)
    moved = loss(z[views][:, order], groups[order], labels=labels[views][:, order])
    assert_same(moved, loss(z, groups, labels=labels), z)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize(("items", "groups"), [(1, None), (4, [2, 2, 2, 2])])
def test_with_no_other_item_to_see_loss_and_gradient_are_zero(views: int, items: int, groups: list[int] | None) -> None:
    z = projections(views, items).requires_grad_()
    loss = Distill()(z, None if groups is None else torch.tensor(groups), labels=teacher(views, items=items))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(z.grad, torch.zeros_like(z))


def test_the_teacher_is_not_asked_about_group_mates() -> None:
    z, labels, groups = projections(), teacher(), torch.tensor([5, 5, -1, -1, -1])
    z.requires_grad_()
    # Without a mate of its own, row 2 may be asked about items 0 and 1; they may not be asked about each other.
    value = Distill()(z, groups, labels=labels)
    assert value != Distill()(z, labels=labels)
    turned = labels.clone()
    turned[:, 0], turned[:, 1] = labels[:, 1], labels[:, 0]
    torch.testing.assert_close(Distill()(z[:, [1, 0, 2, 3, 4]], groups, labels=turned), value)
    pair = torch.tensor([5, 5])
    assert Distill()(z[:, :2], pair, labels=labels[:, :2]) == 0


def test_half_precision_is_computed_in_float32_also_under_autocast() -> None:
    z, labels = projections(items=20, dimensions=16).bfloat16().requires_grad_(), teacher(items=20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = Distill()(z, labels=labels)
    exact = Distill()(z.detach().double(), labels=labels)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    value.backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_extreme_temperatures_stay_finite_and_nan_stays_nan(temperature: float) -> None:
    z, labels = projections().float().requires_grad_(), teacher(kind="unheard").float()
    loss = Distill(temperature, temperature)
    value = loss(z, labels=labels)
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()
    broken = z.detach().clone()
    broken[1, 3, 0] = NAN
    assert loss(broken, labels=labels).isnan()


def test_no_tensor_is_ever_larger_than_a_chunk_of_rows() -> None:
    z, labels = projections(items=400).requires_grad_(), teacher(items=400)
    with LargestTensor() as seen:
        Distill(chunk=16)(z, torch.arange(400) // 3, labels=labels).backward()
    assert seen.numbers == 16 * 800


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be > 0 and finite, got 0"),
        ({"teacher_temperature": -1.0}, "teacher_temperature must be > 0 and finite, got -1"),
        ({"weight": 1.1}, r"weight must be in 0\.\.1, got 1\.1"),
        ({"weight": NAN}, r"weight must be in 0\.\.1, got nan"),
        ({"chunk": 0}, "chunk must be >= 1"),
    ],
)
def test_options_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distill(**options)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(2, 4, 3), r"labels must be \(2, 5, labels >= 1\), got \(2, 4, 3\)"),
        (torch.full((2, 5, 3), -math.inf), "labels must be finite"),
        (torch.tensor([1.0, NAN]).expand(2, 5, 2), "NaN in whole"),
    ],
)
def test_wrong_vectors_are_named(labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distill()(projections(), labels=labels)
