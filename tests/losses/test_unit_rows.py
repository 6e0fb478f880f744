"""Rows on the unit sphere: of any length, without overflow, and with a gradient that no row's shortness inflates."""

from __future__ import annotations

import math

import pytest
import torch

from mirclr.losses.objective import unit_rows
from mirclr.losses.table import LOSSES, build_loss
from tests.support.projections import evaluated, projections, supplies

BY_COSINES = sorted(set(LOSSES) - {"n_pair", "vicreg", "barlow", "byol", "simsiam"})
"""The objectives to which the length of a projection means nothing; a predictor is not one of cosines alone."""


def rows(length: float = 1.0) -> torch.Tensor:
    return (projections() * length).float()


@pytest.mark.parametrize("length", [1e-6, 1e-3, 1e10, 1e19, 1e30, 1e37])
def test_the_direction_is_kept_at_any_length(length: float) -> None:
    exact = rows(length).double()
    want = exact / exact.square().sum(dim=-1, keepdim=True).sqrt()
    torch.testing.assert_close(unit_rows(rows(length)), want.float(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("length", [1.0, 1e-3, 1e20])
def test_the_gradient_is_what_lies_across_the_row_by_its_length(length: float) -> None:
    z = (projections() * length).requires_grad_()
    weights = projections(seed=1)
    (got,) = torch.autograd.grad((weights * unit_rows(z)).sum(), z)
    unit = unit_rows(z).detach()
    across = weights - unit * (weights * unit).sum(dim=-1, keepdim=True)
    torch.testing.assert_close(got * z.detach().norm(dim=-1, keepdim=True), across)


def test_an_axis_has_the_gradient_of_any_other_direction() -> None:  # its length is the least that counts as a length
    z = torch.eye(4).requires_grad_()
    (got,) = torch.autograd.grad(unit_rows(z).sum(), z)
    torch.testing.assert_close(got, 1.0 - torch.eye(4))


def test_gradients_are_those_of_the_value() -> None:
    assert torch.autograd.gradcheck(unit_rows, (projections().requires_grad_(),))


@pytest.mark.parametrize("length", [0.0, 1e-30])
def test_a_row_of_nearly_nothing_stays_nothing_and_passes_its_gradient_on(length: float) -> None:
    z = rows()
    z[0, 2] *= length
    z.requires_grad_()
    unit = unit_rows(z)
    (gradient,) = torch.autograd.grad(unit.sum(), z)
    assert unit[0, 2].abs().max() <= length * 10
    assert torch.equal(gradient[0, 2], torch.ones(4))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_comes_out_as_nan(number: float) -> None:
    z = rows()
    z[0, 2, 1] = number
    unit = unit_rows(z)
    assert unit[0, 2, 1].isnan()
    assert unit[1].isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_projection_of_zeros_is_not_pulled_harder_than_all_others_together(name: str) -> None:
    loss, z = build_loss(name, dim=4), rows()
    usual = evaluated(loss, z)[1].abs().max()
    z[0, 2] = 0.0
    assert evaluated(loss, z)[1].abs().max() < 100 * usual


@pytest.mark.parametrize("name", BY_COSINES)
def test_projections_too_long_to_be_squared_do_not_read_as_chance(name: str) -> None:
    loss = build_loss(name, dim=4)
    given = supplies(loss, rows())
    want = evaluated(loss, rows(), **given)[0]
    torch.testing.assert_close(evaluated(loss, rows(1e25), **given)[0], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_projections_without_dimensions_are_refused(name: str) -> None:
    loss = build_loss(name, dim=4)
    given = {"target": projections(dimensions=0)} if "target" in loss.wants else {}
    given |= {"labels": torch.ones(2, 5, 1)} if "labels" in loss.wants else {}
    given |= {"affinity": torch.ones(5, 5)} if "affinity" in loss.wants else {}
    with pytest.raises(ValueError, match=r"dimensions"):
        loss(projections(dimensions=0), **given)
