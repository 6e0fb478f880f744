"""NT-Xent and DCL against the slow oracle, closed forms, and what must not change them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.dcl import DCL
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.table import build_loss
from tests.support import contrastive_oracle as oracle

GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "one pair left": [0, 0, 0, 0, 9]}
FORMS = [("nt_xent", {}), ("dcl", {}), ("dcl", {"sigma": 0.5})]


def projections(views: int = 2, items: int = 5, dimensions: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(views, items, dimensions, generator=generator, dtype=torch.float64)


def expected(name: str, z: Tensor, groups: list[int], temperature: float, sigma: float | None = None) -> Tensor:
    return oracle.nt_xent(z, groups, temperature) if name == "nt_xent" else oracle.dcl(z, groups, temperature, sigma)


@pytest.mark.parametrize("views", [2, 3, 4])
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize(("name", "options"), FORMS)
def test_value_and_gradient_are_the_papers(name: str, options: dict, grouping: str, views: int) -> None:
    z = projections(views).requires_grad_()
    groups = GROUPINGS[grouping]
    want = expected(name, z, groups, 0.3, **options)
    got = build_loss(name, temperature=0.3, **options)(z, torch.tensor(groups))
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(torch.autograd.grad(got, z)[0], torch.autograd.grad(want, z)[0], rtol=1e-9, atol=1e-11)


def test_two_views_without_groups_are_cross_entropy_over_all_other_samples() -> None:
    z = projections(items=8)
    rows = functional.normalize(z, dim=-1).flatten(0, 1)
    logits = (rows @ rows.T / 0.1).fill_diagonal_(-torch.inf)
    want = functional.cross_entropy(logits, torch.arange(16).roll(8))
    torch.testing.assert_close(NTXent(temperature=0.1)(z), want)


@pytest.mark.parametrize("views", [2, 3])
def test_equal_projections_cost_the_log_of_the_choices(views: int) -> None:
    z = torch.ones(views, 6, 4)
    assert NTXent()(z).item() == pytest.approx(math.log(views * 5 + 1), rel=1e-6)
    assert DCL()(z).item() == pytest.approx(math.log(views * 5), rel=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_orthogonal_items_whose_views_agree_have_a_closed_form(temperature: float) -> None:
    z = torch.eye(6, dtype=torch.float64).expand(2, 6, 6)
    pull, push = 1 / temperature, math.log(10)  # five other items, two views each, at cosine 0
    assert NTXent(temperature)(z).item() == pytest.approx(math.log(1 + math.exp(push - pull)), rel=1e-9)
    assert DCL(temperature)(z).item() == pytest.approx(push - pull, rel=1e-12)


def test_views_that_all_agree_equally_have_unit_weights() -> None:
    z = torch.eye(6, dtype=torch.float64).expand(3, 6, 6)
    torch.testing.assert_close(DCL(sigma=0.2)(z), DCL()(z))


def test_wide_sigma_is_plain_dcl_and_narrow_sigma_presses_on_the_worst_pair() -> None:
    z = projections(items=12).requires_grad_()
    torch.testing.assert_close(DCL(sigma=1e9)(z), DCL()(z))
    cosines = torch.cosine_similarity(z[0], z[1], dim=-1).detach()
    weighted = DCL(sigma=0.1)._weighted(cosines) / cosines
    assert weighted.mean().item() == pytest.approx(1.0)
    assert weighted.argmax() == cosines.argmin()


def test_high_temperature_counts_and_low_temperature_takes_the_hardest_negative() -> None:
    z = projections(items=7)
    assert NTXent(temperature=1e6)(z).item() == pytest.approx(math.log(13), abs=1e-4)
    rows = functional.normalize(z, dim=-1).flatten(0, 1)
    cosines = rows @ rows.T
    positive = cosines.diagonal(7).repeat(2)
    hardest = cosines.masked_fill(torch.eye(7, dtype=torch.bool).repeat(2, 2), -2).amax(dim=1)
    low = 1e-3
    torch.testing.assert_close(
        low * NTXent(temperature=low)(z), (hardest - positive).clamp(min=0).mean(), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(low * DCL(temperature=low)(z), (hardest - positive).mean(), atol=2e-3, rtol=0)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_lengths_and_orders_do_not_matter(name: str, options: dict) -> None:
    loss, groups = build_loss(name, **options), torch.tensor([3, -1, 3, 0, 0])
    z = projections(3)
    value = loss(z, groups)
    lengths = torch.linspace(0.01, 100, 15, dtype=torch.float64).view(3, 5, 1)
    torch.testing.assert_close(loss(z * lengths, groups), value)
    torch.testing.assert_close(loss(z[[2, 0, 1]], groups), value)
    order = torch.tensor([4, 2, 0, 3, 1])
    torch.testing.assert_close(loss(z[:, order], groups[order]), value)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_the_names_of_groups_do_not_matter(name: str, options: dict) -> None:
    loss, z = build_loss(name, **options), projections()
    value = loss(z, torch.tensor([3, -1, 3, 0, 0]))
    for groups in ([7, -1, 7, 5, 5], [2**62, -1, 2**62, -(2**62), -(2**62)], [1, 4, 1, 0, 0]):
        assert loss(z, torch.tensor(groups)) == value


def test_a_twin_in_the_negatives_is_costly_until_a_group_takes_it_out() -> None:
    z = projections(items=4)
    twins = torch.cat([z[:, :1], z[:, :1], z[:, 2:]], dim=1)  # item 1 is item 0: the hardest negative there is
    apart, grouped = DCL()(twins), DCL()(twins, torch.tensor([5, 5, -1, -1]))
    assert grouped < apart - 1
    # -1 is no group: two items without one stay each other's negatives.
    assert DCL()(twins, torch.tensor([-1, -1, -1, -1])) == apart


@pytest.mark.parametrize(("name", "options"), FORMS)
@pytest.mark.parametrize(("items", "groups"), [(1, None), (4, [2, 2, 2, 2])])
def test_without_any_negative_the_loss_and_its_gradient_are_zero(
    name: str, options: dict, items: int, groups: list[int] | None
) -> None:
    z = projections(items=items).requires_grad_()
    loss = build_loss(name, **options)(z, None if groups is None else torch.tensor(groups))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(z.grad, torch.zeros_like(z))


@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_learning_brings_views_together_and_items_apart(name: str) -> None:
    z = projections(items=6, dimensions=3).requires_grad_()
    loss = build_loss(name, temperature=0.5)
    optimiser = torch.optim.Adam([z], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        loss(z).backward()
        optimiser.step()
    cosines = (functional.normalize(z[0], dim=-1) @ functional.normalize(z[1], dim=-1).T).detach()
    assert cosines.diagonal().min() > 0.95
    assert (cosines - 2 * torch.eye(6)).max() < 0.5


@pytest.mark.parametrize("name", ["nt_xent", "dcl"])
def test_the_table_refuses_what_it_does_not_know(name: str) -> None:
    with pytest.raises(ValueError, match=r"no loss.*Did you mean '(nt_xent|dcl)'"):
        build_loss(name + "z")
    with pytest.raises(ValueError, match=r"unknown option 'temprature'\. Did you mean 'temperature'"):
        build_loss(name, temprature=0.1)
    for options, message in [({"temperature": 0.0}, "temperature must be > 0"), ({"chunk": 0}, "chunk must be >= 1")]:
        with pytest.raises(ValueError, match=message):
            build_loss(name, **options)


def test_values_out_of_range_and_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="sigma must be > 0"):
        DCL(sigma=-1.0)
    with pytest.raises(ValueError, match="temperature must be > 0 and finite, got nan"):
        NTXent(temperature=math.nan)
    with pytest.raises(ValueError, match=r"views >= 2.*\(1, 5, 4\)"):
        DCL()(projections(views=1))
    with pytest.raises(ValueError, match=r"groups must be \(5,\) integers, got \(4,\)"):
        DCL()(projections(), torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"groups must be .*float32"):
        DCL()(projections(), torch.zeros(5))
