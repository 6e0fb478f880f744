"""Which negatives count and how much: left out above a cosine, debiased, weighted by hardness."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mirclr.losses.dcl import DCL
from mirclr.losses.hard import Hard
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.objective import Objective
from mirclr.losses.table import build_loss
from tests.support import negatives_oracle as oracle
from tests.support.projections import LargestTensor, evaluated, projections

GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "one pair left": [0, 0, 0, 0, 9]}
SETTINGS = [(0.0, 0.0), (0.1, 0.0), (0.0, 1.0), (0.1, 1.0), (0.3, 2.5)]
NINE = torch.tensor([0, 0, -1, 2, 2, 2, -1, -1, 4])
CHUNKED = [
    NTXent(mask_above=0.3),
    DCL(mask_above=0.3),
    DCL(mask_above=0.3, sigma=0.5),
    Hard(),
    Hard(prior=0.02, hardness=0.0),
]


def assert_same(got: tuple[Tensor, Tensor], want: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(got[0], want[0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(got[1], want[1], rtol=1e-9, atol=1e-11)


def with_gradient(value: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    return value.detach(), torch.autograd.grad(value, z)[0]


@pytest.mark.parametrize("mask_above", [-0.5, 0.3, 0.9])
@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_masked_value_and_gradient_are_those_of_the_loops(
    name: str, grouping: str, views: int, mask_above: float
) -> None:
    z, groups = projections(views).requires_grad_(), GROUPINGS[grouping]
    want = oracle.masked(z, groups, 0.3, mask_above, decoupled=name == "dcl")
    got = evaluated(build_loss(name, temperature=0.3, mask_above=mask_above), z, torch.tensor(groups))
    assert_same(got, with_gradient(want, z))


@pytest.mark.parametrize("loss", [NTXent, DCL])
def test_a_mask_leaves_a_twin_out_as_a_group_does(loss: type[Objective]) -> None:
    z = projections(1, items=4).repeat(2, 1, 1)
    z[:, 1] = z[:, 0]
    assert_same(evaluated(loss(mask_above=0.99), z), evaluated(loss(), z, torch.tensor([5, 5, -1, -1])))


@pytest.mark.parametrize("loss", [NTXent, DCL])
def test_a_cosine_at_the_threshold_stays_and_the_ends_of_the_range_are_all_and_none(loss: type[Objective]) -> None:
    apart = torch.eye(6, dtype=torch.float64).expand(2, 6, 6)
    assert loss(mask_above=0.0)(apart) == loss()(apart)
    assert loss(mask_above=-1e-9)(apart) == 0.0
    z = projections(items=6)
    assert_same(evaluated(loss(mask_above=1.0), z), evaluated(loss(), z))
    value, gradient = evaluated(loss(mask_above=-1.0), z)
    assert value == 0.0
    assert torch.equal(gradient, torch.zeros_like(z))


def test_nothing_is_more_alike_than_the_same_also_in_float32() -> None:
    for seed in range(20):  # the cosine of a row with its twin is rounded up for half of the seeds
        z = projections(1, items=6, dimensions=64, seed=seed).float().repeat(2, 1, 1)
        z[:, 1] = z[:, 0]
        assert NTXent(mask_above=1.0)(z) == NTXent()(z)


def test_positives_are_never_masked() -> None:
    apart = torch.eye(6, dtype=torch.float64).expand(2, 6, 6)  # positives at cosine 1, negatives at 0
    assert DCL(temperature=0.5, mask_above=0.5)(apart).item() == pytest.approx(math.log(10) - 2)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize(("prior", "hardness"), SETTINGS)
def test_hard_value_and_gradient_are_the_papers(prior: float, hardness: float, grouping: str, views: int) -> None:
    z, groups = projections(views).requires_grad_(), GROUPINGS[grouping]
    want = oracle.hard(z, groups, 0.4, prior, hardness)
    got = evaluated(Hard(temperature=0.4, prior=prior, hardness=hardness), z, torch.tensor(groups))
    assert_same(got, with_gradient(want, z))


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_hard_with_both_off_is_nt_xent(grouping: str, views: int) -> None:
    z, groups = projections(views), torch.tensor(GROUPINGS[grouping])
    off = Hard(temperature=0.1, prior=0.0, hardness=0.0)
    assert_same(evaluated(off, z, groups), evaluated(NTXent(temperature=0.1), z, groups))


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize(("prior", "hardness"), SETTINGS)
def test_equal_projections_cost_the_log_of_the_choices_whatever_the_weights(
    prior: float, hardness: float, views: int
) -> None:
    loss = Hard(prior=prior, hardness=hardness)
    assert loss(torch.ones(views, 6, 4)).item() == pytest.approx(math.log(views * 5 + 1), rel=1e-6)


def test_debiasing_subtracts_the_prior_until_the_clamp_holds() -> None:
    apart, push, t = torch.eye(6, dtype=torch.float64).expand(2, 6, 6), 10, 0.5
    mean = (1 - 0.05 * math.exp(1 / t)) / 0.95
    want = math.log(1 + push * mean / math.exp(1 / t))
    assert Hard(t, prior=0.05, hardness=0.0)(apart).item() == pytest.approx(want, rel=1e-12)
    clamped = math.log(1 + push * math.exp(-1 / t) / math.exp(1 / t))
    assert Hard(t, prior=0.2, hardness=0.0)(apart).item() == pytest.approx(clamped, rel=1e-12)


def test_on_the_clamp_nothing_is_pushed_away() -> None:
    z = torch.eye(6, dtype=torch.float64).repeat(2, 1, 1)
    z[1, 0, 1] = 0.5  # the views of item 0 do not agree, and one of them leans to item 1
    pushed, pulled = (evaluated(Hard(prior=prior, hardness=0.0), z)[1] for prior in (0.0, 0.5))
    assert pushed[:, 1].abs().max() > 1e-3
    torch.testing.assert_close(pulled[:, 1:], torch.zeros_like(pulled[:, 1:]), rtol=0, atol=1e-15)
    assert pulled[1, 0, 1] > 1e-3  # against the gradient, back to its other view


def test_endless_hardness_is_the_hardest_negative_alone_and_more_of_it_costs_more() -> None:
    z = projections(items=7)
    rows = torch.nn.functional.normalize(z, dim=-1).flatten(0, 1)
    cosines = rows @ rows.T
    hardest = cosines.masked_fill(torch.eye(7, dtype=torch.bool).repeat(2, 2), -2).amax(dim=1)
    want = torch.nn.functional.softplus(math.log(12) + (hardest - cosines.diagonal(7).repeat(2)) / 0.5).mean()
    torch.testing.assert_close(Hard(prior=0.0, hardness=1e5)(z), want, rtol=1e-4, atol=0)
    costs = [Hard(prior=0.0, hardness=h)(z).item() for h in (0.0, 0.5, 2.0, 8.0)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1] < want.item()


@pytest.mark.parametrize(("items", "groups"), [(1, None), (4, [2, 2, 2, 2])])
def test_hard_without_any_negative_is_zero_and_pulls_nothing(items: int, groups: list[int] | None) -> None:
    z = projections(items=items)
    value, gradient = evaluated(Hard(), z, None if groups is None else torch.tensor(groups))
    assert value == 0.0
    assert torch.equal(gradient, torch.zeros_like(z))


def test_nan_in_a_row_without_negatives_is_not_hidden() -> None:
    z = projections(items=1)
    z[0, 0, 0] = torch.nan
    assert Hard()(z).isnan()


@pytest.mark.parametrize("temperature", [1e-3, 0.05, 1e3])
def test_the_estimate_stays_finite_in_float32_where_its_exponentials_would_not(temperature: float) -> None:
    z = torch.cat([projections(items=20), torch.ones(2, 3, 4, dtype=torch.float64)], dim=1)
    value, gradient = evaluated(Hard(temperature=temperature, prior=0.3), z.float())
    assert value.item() == pytest.approx(Hard(temperature=temperature, prior=0.3)(z).item(), rel=1e-3, abs=1e-6)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("loss", CHUNKED, ids=["nt_xent", "dcl", "dclw", "hard", "debiased"])
def test_chunks_change_nothing(loss: Objective, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    z = projections(items=9)
    whole = evaluated(loss, z, NINE)
    monkeypatch.setattr(loss, "chunk", chunk)
    assert_same(evaluated(loss, z, NINE), whole)


@pytest.mark.parametrize("loss", CHUNKED, ids=["nt_xent", "dcl", "dclw", "hard", "debiased"])
def test_gradients_are_those_of_the_value(
    loss: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:  # the masks' decisions are constants, so they must not show
    monkeypatch.setattr(loss, "chunk", 5)
    z = projections(items=9).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: -2.5 * loss(x, NINE), (z,))


@pytest.mark.parametrize("loss", [NTXent(chunk=16, mask_above=0.5), Hard(chunk=16)], ids=["nt_xent", "hard"])
def test_no_tensor_is_ever_larger_than_a_chunk_of_rows(loss: Objective) -> None:
    z = projections(items=400, dimensions=8).requires_grad_()
    with LargestTensor() as seen:
        loss(z, torch.arange(400) // 3).backward()
    assert seen.numbers == 16 * 800


def test_values_out_of_range_are_named() -> None:
    for loss in (NTXent, DCL):
        with pytest.raises(ValueError, match=r"mask_above must be in -1\.\.1, got 1\.5"):
            loss(mask_above=1.5)
    for prior in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=f"prior must be in 0..1 and not 1, got {prior}"):
            Hard(prior=prior)
    for hardness in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"hardness must be >= 0 and finite, got {hardness}"):
            Hard(hardness=hardness)
    with pytest.raises(ValueError, match="temperature must be > 0"):
        Hard(temperature=0.0)
    with pytest.raises(ValueError, match=r"groups must be \(5,\) integers, got \(4,\)"):
        Hard()(projections(), torch.zeros(4, dtype=torch.long))
