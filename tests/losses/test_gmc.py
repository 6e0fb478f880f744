"""GMC against its equations in both forms, NT-Xent, closed forms, and batches in which modalities are missing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.gmc import GMC
from mirclr.losses.nt_xent import NTXent
from tests.support import supervised_oracle as oracle
from tests.support.projections import LargestTensor, projections

NAN = math.nan
GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "all one": [1] * 5}
PRESENT = {
    "all": torch.ones(3, 5, dtype=torch.bool),
    "some": torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 1, 0, 0]]).bool(),
    "none": torch.zeros(3, 5, dtype=torch.bool),
}
both_forms = pytest.mark.parametrize("pooled", [False, True])


def batch(modalities: int = 3, items: int = 5, dimensions: int = 4) -> tuple[Tensor, Tensor]:
    """`(M, B, P)` and `(B, P)`, to be learnt from."""
    every = projections(modalities + 1, items, dimensions)
    return every[:-1].clone().requires_grad_(), every[-1].clone().requires_grad_()


def assert_same(got: Tensor, want: Tensor, inputs: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    for mine, theirs in zip(torch.autograd.grad(got, inputs), torch.autograd.grad(want, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@both_forms
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("who", PRESENT)
def test_value_and_gradients_are_those_of_the_equation(who: str, grouping: str, pooled: bool) -> None:
    inputs, groups, present = batch(), GROUPINGS[grouping], PRESENT[who]
    got = GMC(0.3, pooled)(*inputs, torch.tensor(groups), present)
    want = oracle.gmc(*inputs, groups, present, 0.3, pooled) + 0 * inputs[0].sum()
    assert_same(got, want, inputs)


def test_each_modality_is_nt_xent_with_the_whole_as_the_other_view() -> None:
    inputs, groups = batch(), torch.tensor(GROUPINGS["two artists"])
    want = sum(NTXent(0.2)(torch.stack([m, inputs[1]]), groups) for m in inputs[0])
    assert_same(GMC(0.2)(*inputs, groups), want, inputs)


def test_the_pairs_cross_entropy_is_over_all_other_samples_of_the_two() -> None:
    (modality,), joint = batch(1)
    rows = functional.normalize(torch.cat([joint, modality]), dim=-1)
    logits = (rows @ rows.T / 0.1).fill_diagonal_(-torch.inf)
    want = functional.cross_entropy(logits, torch.arange(10).roll(5))
    torch.testing.assert_close(GMC(0.1)(modality[None], joint), want)


@both_forms
def test_equal_projections_cost_the_log_of_the_choices(pooled: bool) -> None:
    want = 3 * math.log(3 * 5 if pooled else 11)
    assert GMC(pooled=pooled)(torch.ones(3, 6, 4), torch.ones(6, 4)).item() == pytest.approx(want, rel=1e-6)


def test_aligned_orthogonal_items_have_a_closed_form() -> None:
    joint = torch.eye(6, dtype=torch.float64)
    modalities = joint.expand(2, 6, 6)
    two_sided = 2 * math.log(1 + 10 * math.exp(-1 / 0.2))
    assert GMC(0.2)(modalities, joint).item() == pytest.approx(two_sided, rel=1e-9)
    assert GMC(0.2, pooled=True)(modalities, joint).item() == pytest.approx(2 * (math.log(15) - 5), rel=1e-9)


@both_forms
def test_what_an_item_lacks_is_not_read_and_is_as_if_the_item_were_not_there(pooled: bool) -> None:
    inputs, loss = batch(1), GMC(pooled=pooled)
    present = torch.tensor([[True, False, True, True, False]])
    groups = torch.tensor([4, 4, -1, -1, -1])
    few = present[0]
    want = 0.6 * loss(inputs[0][:, few], inputs[1][few], groups[few])
    assert_same(loss(*inputs, groups, present), want, inputs)
    broken = inputs[0].detach().clone()
    broken[0, ~few] = NAN
    broken.requires_grad_()
    value = loss(broken, inputs[1], groups, present)
    value.backward()
    torch.testing.assert_close(value, want)
    assert torch.equal(broken.grad[0, ~few], torch.zeros(2, 4, dtype=torch.float64))
    assert broken.grad[0, few].ne(0).any(dim=-1).all()


@both_forms
def test_every_present_pair_weighs_the_same(pooled: bool) -> None:
    modalities, joint = batch(2)
    present = torch.tensor([[True] * 5, [True, True, False, False, False]])
    loss = GMC(pooled=pooled)
    first, second = loss(modalities[:1], joint), loss(modalities[1:, :2], joint[:2])
    torch.testing.assert_close(loss(modalities, joint, present=present), (5 * first + 2 * second) / 5)


@both_forms
@pytest.mark.parametrize(
    ("items", "groups", "present"),
    [(1, None, True), (4, [2] * 4, True), (5, None, False)],
    ids=["one", "group", "none"],
)
def test_without_negatives_or_pairs_loss_and_gradients_are_zero(
    items: int, groups: list[int] | None, present: bool, pooled: bool
) -> None:
    modalities, joint = batch(items=items)
    who = torch.full((3, items), present)
    loss = GMC(pooled=pooled)(modalities, joint, None if groups is None else torch.tensor(groups), who)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(modalities.grad, torch.zeros_like(modalities))
    assert torch.equal(joint.grad, torch.zeros_like(joint))


@both_forms
def test_gradients_are_those_of_the_value(pooled: bool) -> None:
    loss, groups = GMC(0.3, pooled, chunk=3), torch.tensor(GROUPINGS["two artists"])
    assert torch.autograd.gradcheck(lambda *x: -2.5 * loss(*x, groups, PRESENT["some"]), batch())


@both_forms
@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_chunks_change_nothing(chunk: int, pooled: bool) -> None:
    inputs, groups = batch(), torch.tensor(GROUPINGS["two artists"])
    parts, whole = (GMC(0.2, pooled, c)(*inputs, groups, PRESENT["some"]) for c in (chunk, 10))
    assert_same(parts, whole, inputs)


@both_forms
def test_lengths_and_orders_do_not_matter(pooled: bool) -> None:
    (modalities, joint), groups, present = batch(), torch.tensor(GROUPINGS["two artists"]), PRESENT["some"]
    loss, order, kinds = GMC(pooled=pooled), torch.tensor([4, 2, 0, 3, 1]), torch.tensor([2, 0, 1])
    moved = loss(9 * modalities[kinds][:, order], joint[order], groups[order], present[kinds][:, order])
    assert_same(moved, loss(modalities, joint, groups, present), (modalities, joint))


@both_forms
def test_a_group_takes_a_twin_out_of_the_negatives(pooled: bool) -> None:
    modalities, joint = batch()
    twins = torch.tensor([0, 0, 2, 3, 4])
    loss = GMC(pooled=pooled)
    apart, grouped = (loss(modalities[:, twins], joint[twins], g) for g in (None, torch.tensor([7, 7, -1, -1, -1])))
    assert grouped < apart - 0.5


@both_forms
def test_learning_brings_every_modality_to_its_item(pooled: bool) -> None:
    inputs = batch(dimensions=3)
    optimiser = torch.optim.Adam(inputs, lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        GMC(0.5, pooled)(*inputs).backward()
        optimiser.step()
    modalities, joint = (functional.normalize(x.detach(), dim=-1) for x in inputs)
    across = modalities[0] @ modalities[1].T  # never compared with each other, and yet
    assert across.diagonal().min() > 0.95
    assert (across - 2 * torch.eye(5)).max() < 0.5
    assert (modalities * joint).sum(dim=-1).min() > 0.95


@both_forms
def test_half_precision_is_computed_in_float32_also_under_autocast(pooled: bool) -> None:
    inputs = [x.detach().bfloat16().requires_grad_() for x in batch(2, 30, 16)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = GMC(0.05, pooled)(*inputs)
    exact = GMC(0.05, pooled)(*(x.detach().double() for x in inputs))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    value.backward()
    assert all(x.grad.isfinite().all() for x in inputs)


@both_forms
@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_extreme_temperatures_stay_finite_and_nan_stays_nan(temperature: float, pooled: bool) -> None:
    inputs, loss = [x.detach().float().requires_grad_() for x in batch()], GMC(temperature, pooled)
    value = loss(*inputs)
    value.backward()
    assert value.isfinite()
    assert all(x.grad.isfinite().all() for x in inputs)
    broken = inputs[1].detach().clone()
    broken[3, 0] = NAN
    assert loss(inputs[0], broken).isnan()


@both_forms
def test_no_tensor_is_ever_larger_than_a_chunk_of_rows(pooled: bool) -> None:
    inputs = batch(2, 400)
    with LargestTensor() as seen:
        GMC(pooled=pooled, chunk=16)(*inputs, torch.arange(400) // 3).backward()
    assert seen.numbers == 16 * 400 * (3 if pooled else 2)


def test_options_shapes_and_types_are_named() -> None:
    modalities, joint = batch()
    with pytest.raises(ValueError, match="temperature must be > 0 and finite, got 0"):
        GMC(temperature=0)
    with pytest.raises(ValueError, match="chunk must be >= 1"):
        GMC(chunk=0)
    for wrong in (modalities[0], modalities[:0], modalities[:, :4], modalities[..., :2]):
        with pytest.raises(ValueError, match=r"modalities must be .* and joint .*got"):
            GMC()(wrong, joint)
    with pytest.raises(ValueError, match=r"items >= 1.*got \(3, 0, 4\) and \(0, 4\)"):
        GMC()(modalities[:, :0], joint[:0])
    with pytest.raises(ValueError, match=r"present must be \(3, 5\) bool, got \(5,\) torch.bool"):
        GMC()(modalities, joint, present=torch.ones(5, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"present must be \(3, 5\) bool, got \(3, 5\) torch.float32"):
        GMC()(modalities, joint, present=torch.ones(3, 5))
    with pytest.raises(ValueError, match=r"groups must be \(5,\) integers"):
        GMC()(modalities, joint, torch.zeros(4, dtype=torch.long))
