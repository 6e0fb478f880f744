"""BYOL, SimSiam, VICReg and Barlow Twins against slow oracles, closed forms, and what must not change them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mirclr.losses.byol import BYOL
from mirclr.losses.redundancy import BarlowTwins, VICReg
from mirclr.losses.simsiam import SimSiam
from mirclr.losses.table import build_loss
from tests.support import without_negatives_oracle as oracle
from tests.support.projections import evaluated, projections

VICREG = {"invariance": 3.0, "variance": 2.0, "covariance": 0.7, "gamma": 1.3, "eps": 1e-3}
PREDICTORS = {"byol": {"hidden": 6}, "simsiam": {"hidden": 3}}
STATISTICS = ("vicreg", "barlow")


def built(name: str, dim: int = 4) -> torch.nn.Module:
    torch.manual_seed(3)
    return build_loss(name, dim=dim, **PREDICTORS.get(name, {})).double()


def independent(views: int = 2) -> Tensor:
    """`(V, 8, 4)`, the same in all views: dimensions of mean 0 and mean square 1 that are not correlated at all."""
    sign = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    hadamard = torch.kron(torch.kron(sign, sign), sign)
    return hadamard[:, 1:5].expand(views, 8, 4).clone()


@pytest.mark.parametrize("views", [2, 3, 4])
def test_byol_is_the_papers(views: int) -> None:
    loss, z, target = built("byol"), projections(views).requires_grad_(), projections(views, seed=1)
    want = oracle.byol(oracle.predict(dict(loss.predictor.named_parameters()), z), target)
    got = loss(z, target=target)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    inputs = [z, *loss.parameters()]
    for mine, theirs in zip(torch.autograd.grad(got, inputs), torch.autograd.grad(want, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("views", [2, 3, 4])
def test_simsiam_is_the_papers_and_stops_the_gradient(views: int) -> None:
    loss, z = built("simsiam"), projections(views).requires_grad_()
    want = oracle.simsiam(oracle.predict(dict(loss.predictor.named_parameters()), z), z)
    got = loss(z)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    inputs = [z, *loss.parameters()]
    for mine, theirs in zip(torch.autograd.grad(got, inputs), torch.autograd.grad(want, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("views", [2, 3])
def test_vicreg_and_barlow_twins_are_the_papers(views: int) -> None:
    z = projections(views).requires_grad_()
    pairs = [
        (VICReg(**VICREG)(z), oracle.vicreg(z, *VICREG.values())),
        (VICReg()(z), oracle.vicreg(z, 25, 25, 1, 1, 1e-4)),
        (BarlowTwins(weight=0.2, eps=1e-3)(z), oracle.barlow(z, 0.2, 1e-3)),
        (BarlowTwins()(z), oracle.barlow(z, 5e-3, 1e-5)),
    ]
    for got, want in pairs:
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(torch.autograd.grad(got, z)[0], torch.autograd.grad(want, z)[0])


def test_gradients_are_those_of_the_value() -> None:
    z, target = projections(3).requires_grad_(), projections(3, seed=1)
    loss = built("byol")
    assert torch.autograd.gradcheck(lambda x: loss(x, target=target), (z,))
    for other in (VICReg(**VICREG), BarlowTwins(weight=0.2)):
        assert torch.autograd.gradcheck(other, (z,))


@pytest.mark.parametrize("views", [2, 3])
def test_simsiam_is_byol_whose_momentum_network_keeps_up(views: int) -> None:
    byol, simsiam, z = built("byol"), built("simsiam"), projections(views)
    byol.predictor = simsiam.predictor
    (big, big_slope), (small, small_slope) = evaluated(byol, z, target=z), evaluated(simsiam, z)
    torch.testing.assert_close(big, 4 + 4 * small)
    torch.testing.assert_close(big_slope, 4 * small_slope)


def test_the_target_gets_no_gradient() -> None:
    z, target = projections().requires_grad_(), projections(seed=1).requires_grad_()
    built("byol")(z, target=target).backward()
    assert target.grad is None
    assert z.grad.abs().sum() > 0


@pytest.mark.parametrize("name", PREDICTORS)
def test_perfect_and_worst_predictions_bound_the_loss(name: str) -> None:
    best, worst = {"byol": (0.0, 8.0), "simsiam": (-1.0, 1.0)}[name]
    direction = torch.ones(2, 5, 4, dtype=torch.float64)
    loss = built(name)
    with torch.no_grad():  # whatever it sees, it predicts +direction
        loss.predictor[3].weight.zero_()
        loss.predictor[3].bias.copy_(direction[0, 0])
    for z, want in ((direction, best), (-direction, worst)):
        given = {"target": z} if name == "byol" else {}
        assert loss(z, **given).item() == pytest.approx(want)


def test_the_lengths_of_targets_do_not_matter() -> None:
    byol, z, target = built("byol"), projections(), projections(seed=1)
    lengths = torch.linspace(0.1, 10, 10, dtype=torch.float64).view(2, 5, 1)
    torch.testing.assert_close(byol(z, target=target * lengths), byol(z, target=target))


@pytest.mark.parametrize("name", PREDICTORS)
def test_one_item_is_enough_to_learn_from(name: str) -> None:
    value, gradient = evaluated(built(name), projections(items=1))
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_of_one_item_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} .* at least 2 items, got 1"):
        build_loss(name)(projections(items=1))


@pytest.mark.parametrize("name", [*PREDICTORS, *STATISTICS])
def test_groups_are_not_read_and_orders_do_not_matter(name: str) -> None:
    loss, z, target = built(name), projections(3), projections(3, seed=1)
    items, views = torch.tensor([4, 2, 0, 3, 1]), torch.tensor([2, 0, 1])

    def value(z: Tensor, target: Tensor, groups: Tensor | None = None) -> Tensor:
        return loss(z, groups, **({"target": target} if name == "byol" else {}))

    first = value(z, target)
    assert value(z, target, torch.zeros(5, dtype=torch.long)) == first
    torch.testing.assert_close(value(z[:, items], target[:, items]), first)
    torch.testing.assert_close(value(z[views], target[views]), first)


@pytest.mark.parametrize("views", [2, 3])
def test_views_that_agree_on_independent_dimensions_cost_nothing(views: int) -> None:
    z = independent(views)
    assert VICReg()(z).item() == pytest.approx(0.0, abs=1e-12)
    assert BarlowTwins()(z).item() == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("views", [2, 3])
def test_a_collapsed_space_costs_its_missing_variance(views: int) -> None:
    z = torch.full((views, 6, 4), 0.7, dtype=torch.float64)
    for loss, want in ((VICReg(), 2 * 25 * (1 - 1e-2)), (BarlowTwins(), 4.0)):
        value, gradient = evaluated(loss, z)
        assert value.item() == pytest.approx(want)
        assert gradient.isfinite().all()


def test_a_dimension_said_twice_is_what_redundancy_costs() -> None:
    z = independent()
    z[:, :, 3] = z[:, :, 2]
    covariance = 8 / 7  # of +-1 in 8 items; two entries, two views, over 4 dimensions
    assert VICReg()(z).item() == pytest.approx(2 * 2 * covariance**2 / 4)
    assert BarlowTwins(weight=0.3)(z).item() == pytest.approx(2 * 0.3, rel=1e-4)


def test_invariance_is_the_mean_square_difference() -> None:
    a = independent()[0]
    shifted = torch.stack([a, a + 0.5])
    assert VICReg()(shifted).item() == pytest.approx(25 * 0.25)
    assert VICReg(invariance=0.0)(shifted).item() == pytest.approx(0.0, abs=1e-12)


def test_barlow_twins_do_not_see_scale_and_offset_and_a_swapped_sign_is_the_worst() -> None:
    z, loss = projections(items=9), BarlowTwins(eps=1e-12)
    scale = torch.tensor([0.1, 1.0, 3.0, 100.0], dtype=torch.float64)
    torch.testing.assert_close(loss(z * scale + 5), loss(z))
    a = independent()[0]
    assert loss(torch.stack([a, -a])).item() == pytest.approx(4 * (1 + 1) ** 2)


@pytest.mark.parametrize("name", PREDICTORS)
def test_an_encoder_learns_what_views_share_and_does_not_collapse(name: str) -> None:
    """An item is 4 numbers, a view adds 4 of noise; the encoder is a matrix that should learn to leave those out."""
    torch.manual_seed(3)
    loss, generator = build_loss(name, dim=4, hidden=16).double(), torch.Generator().manual_seed(0)
    items, encoder = projections(1, 32, 4), projections(1, 8, 4, seed=5)[0].requires_grad_()

    def views(weights: Tensor) -> tuple[Tensor, Tensor]:
        noise = torch.randn(2, 32, 4, generator=generator, dtype=torch.float64)
        seen = torch.cat([items.expand(2, 32, 4), noise], dim=-1)
        return seen @ weights, seen @ slow

    slow = encoder.detach().clone()
    optimiser = torch.optim.SGD([encoder, *loss.parameters()], lr=0.1, momentum=0.9)
    start = torch.cosine_similarity(*views(encoder)[0], dim=-1).mean().item()
    for _ in range(600):
        z, target = views(encoder)
        optimiser.zero_grad()
        loss(z, **({"target": target} if name == "byol" else {})).backward()
        optimiser.step()
        slow.lerp_(encoder.detach(), 0.05)
    z = views(encoder)[0].detach()
    assert start < 0.6
    assert torch.cosine_similarity(*z, dim=-1).mean() > 0.85
    assert torch.nn.functional.normalize(z[0], dim=-1).mean(dim=0).norm() < 0.5  # 1 where all items are one point


@pytest.mark.parametrize("name", STATISTICS)
def test_learning_brings_views_together_and_dimensions_apart(name: str) -> None:
    loss, z = built(name), projections(items=16).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        loss(z).backward()
        optimiser.step()
    a, b = z.detach()
    correlation = torch.corrcoef(torch.cat([a, b], dim=1).T)
    assert correlation.diagonal(4).min() > 0.98
    assert (correlation[:4, :4] - torch.eye(4)).abs().max() < 0.15
    if name == "vicreg":
        assert a.std(dim=0).min() > 0.95


def test_the_predictor_is_the_papers_bottleneck_or_as_wide_as_the_projection() -> None:
    for loss, widths in ((SimSiam(dim=2048), (512, 2048)), (BYOL(dim=64), (512, 64))):
        assert (loss.predictor[0].out_features, loss.predictor[-1].out_features) == widths
    assert BYOL.wants == {"target"}
    assert SimSiam.wants == frozenset()


def test_values_out_of_range_and_wrong_shapes_are_named() -> None:
    for options, message in [
        ({"name": "byol", "momentum": 1.1}, "momentum must be in 0..1, got 1.1"),
        ({"name": "byol", "hidden": 0}, "hidden must be a whole number >= 1, got 0"),
        ({"name": "simsiam", "hidden": 2.5}, "hidden must be a whole number >= 1, got 2.5"),
        ({"name": "vicreg", "variance": -1.0}, "variance must be in 0"),
        ({"name": "vicreg", "gamma": 0.0}, "gamma must be > 0"),
        ({"name": "vicreg", "eps": 0.0}, "eps must be > 0"),
        ({"name": "barlow", "weight": math.nan}, "weight must be in 0..1e.06, got nan"),
        ({"name": "barlow", "eps": -1.0}, "eps must be > 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            build_loss(**options)
    with pytest.raises(ValueError, match=r"target must be \(2, 5, 4\).*got \(2, 4, 4\)"):
        built("byol")(projections(), target=projections(items=4))
    with pytest.raises(ValueError, match="projections must have 4 dimensions, got 3"):
        built("simsiam")(projections(dimensions=3))
    for name in ("simsiam", *STATISTICS):
        with pytest.raises(ValueError, match=r"views >= 2.*\(1, 5, 4\)"):
            built(name)(projections(views=1))
