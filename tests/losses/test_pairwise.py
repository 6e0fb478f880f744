"""Margin, triplet, N-pair and logistic losses against slow oracles, closed forms, and what must not change them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.logistic import Logistic
from mirclr.losses.margin import Margin
from mirclr.losses.n_pair import NPair
from mirclr.losses.table import build_loss
from mirclr.losses.triplet import Triplet, batch_hard, semi_hard
from tests.support import pairwise_oracle as oracle
from tests.support.projections import LargestTensor, evaluated, projections

GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "one pair left": [0, 0, 0, 0, 9]}
FORMS = [
    ("margin", {}),
    ("margin", {"margin": 1.7}),
    *(("triplet", {"mining": mining, "margin": 0.5}) for mining in ("all", "semi_hard", "hard")),
    ("triplet", {"mining": "all", "margin": None}),
    ("triplet", {"mining": "hard", "margin": None, "squared": False}),
    ("triplet", {"mining": "semi_hard", "squared": False}),
    ("n_pair", {}),
    ("n_pair", {"l2": 0.3}),
    ("logistic", {"scale": 3.0, "bias": -1.0}),
]
every_form = pytest.mark.parametrize(("name", "options"), FORMS, ids=str)


def expected(name: str, loss: torch.nn.Module, z: Tensor, groups: list[int]) -> Tensor:
    if name == "margin":
        return oracle.margin(z, groups, loss.margin)
    if name == "triplet":
        return oracle.triplet(z, groups, loss.mining, loss.margin, loss.squared)
    if name == "n_pair":
        return oracle.n_pair(z, groups, loss.l2)
    return oracle.logistic(z, groups, loss.log_temperature.exp(), loss.bias)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
@every_form
def test_value_and_gradients_are_the_papers(name: str, options: dict, grouping: str, views: int) -> None:
    z, groups = projections(views).requires_grad_(), GROUPINGS[grouping]
    loss = build_loss(name, chunk=4, **options).double()
    want, got = expected(name, loss, z, groups), loss(z, torch.tensor(groups))
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    inputs = [z, *loss.parameters()]
    for mine, theirs in zip(torch.autograd.grad(got, inputs), torch.autograd.grad(want, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-11)


@every_form
def test_gradients_are_those_of_the_value(name: str, options: dict) -> None:
    loss, groups = build_loss(name, chunk=4, **options).double(), torch.tensor([3, -1, 3, 0, 0])
    assert torch.autograd.gradcheck(lambda x, *_: -2.5 * loss(x, groups), (projections(3).requires_grad_(),))


@every_form
def test_chunks_change_nothing(name: str, options: dict) -> None:
    z, groups = projections(3), torch.tensor([3, -1, 3, 0, 0])
    whole = evaluated(build_loss(name, **options), z, groups)
    for chunk in (1, 4, 15):
        parts = evaluated(build_loss(name, chunk=chunk, **options), z, groups)
        for part, all_at_once in zip(parts, whole, strict=True):
            torch.testing.assert_close(part, all_at_once, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("items", "groups"), [(1, None), (4, [2, 2, 2, 2])])
@pytest.mark.parametrize("views", [2, 3])
@every_form
def test_without_any_negative_the_loss_and_its_gradient_are_zero(
    name: str, options: dict, views: int, items: int, groups: list[int] | None
) -> None:
    z = projections(views, items)
    value, gradient = evaluated(build_loss(name, **options), z, None if groups is None else torch.tensor(groups))
    assert value.item() == 0.0
    assert torch.equal(gradient, torch.zeros_like(z))


@every_form
def test_orders_of_views_and_items_and_names_of_groups_do_not_matter(name: str, options: dict) -> None:
    loss, z, groups = build_loss(name, **options), projections(3), torch.tensor([3, -1, 3, 0, 0])
    value = loss(z, groups)
    order = torch.tensor([4, 2, 0, 3, 1])
    torch.testing.assert_close(loss(z[:, order], groups[order]), value)
    torch.testing.assert_close(loss(z[[2, 0, 1]], groups), value)
    assert loss(z, torch.tensor([7, -1, 7, -5, -5])) == value
    assert not torch.allclose(loss(z), value)


@every_form
def test_only_n_pair_reads_the_lengths(name: str, options: dict) -> None:
    loss, z = build_loss(name, **options), projections(3)
    lengths = torch.linspace(0.1, 10, 15, dtype=torch.float64).view(3, 5, 1)
    assert torch.allclose(loss(z * lengths), loss(z)) == (name != "n_pair")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("views", [2, 3])
def test_equal_projections_cost_what_chance_costs(views: int, dtype: torch.dtype) -> None:
    z = torch.full((views, 6, 7), 0.3, dtype=dtype)
    wants = {
        Margin(margin=1.5): 1.5**2 / 2,
        **{Triplet(mining, margin=0.3): 0.3 for mining in ("all", "semi_hard", "hard")},
        Triplet("hard", margin=None, squared=False): math.log(2),
        NPair(l2=0.0): math.log(6),
        Logistic(scale=4.0, bias=-3.0): (views - 1) * math.log1p(math.exp(-1)) + views * 5 * math.log1p(math.exp(1)),
    }
    for loss, want in wants.items():
        value, gradient = evaluated(loss, z)
        assert value.item() == pytest.approx(want, rel=1e-5)
        assert gradient.isfinite().all()


def test_orthogonal_items_whose_views_agree_have_closed_forms() -> None:
    z = 3.0 * torch.eye(6, dtype=torch.float64).expand(2, 6, 6)  # other items at distance sqrt(2)
    assert Margin(margin=1.0)(z).item() == pytest.approx(0.0, abs=1e-12)
    assert Margin(margin=2.0)(z).item() == pytest.approx((2 - math.sqrt(2)) ** 2 / 2)
    for mining in ("all", "semi_hard", "hard"):
        assert Triplet(mining)(z).item() == pytest.approx(0.0, abs=1e-12)
        assert Triplet(mining, margin=3.0)(z).item() == pytest.approx(1.0)
        assert Triplet(mining, margin=3.0, squared=False)(z).item() == pytest.approx(3 - math.sqrt(2))
    assert Triplet("all", margin=None)(z).item() == pytest.approx(math.log1p(math.exp(-2)))
    assert NPair(l2=0.1)(z).item() == pytest.approx(math.log1p(5 * math.exp(-9)) + 0.05 * 9)
    yes, no = math.log1p(math.exp(-(10 - 10))), math.log1p(math.exp(-10))
    assert Logistic()(z).item() == pytest.approx(yes + 10 * no, rel=1e-6)


def test_a_semi_hard_negative_is_the_nearest_one_beyond_the_positive() -> None:
    positives = torch.tensor([[1.0], [1.0], [1.0]])
    none = torch.inf
    negatives = torch.tensor([[0.5, 1.25, 1.5, none], [0.5, 0.75, none, none], [none, none, none, none]])
    # Nearest beyond; all nearer than the positive: the farthest; no negative at all: no triplet.
    assert semi_hard(positives, negatives).flatten().tolist() == [-0.25, 0.25, -none]
    assert batch_hard(positives, negatives).tolist() == [0.5, 0.5, -none]


def test_batch_all_is_the_mean_over_active_triplets_only() -> None:
    # Two items near each other and one that is far from both and costs nothing, however many times it is there.
    near, far = torch.tensor([[1.0, 0.0], [0.99, 0.14]]), torch.tensor([[-1.0, 0.0]])
    few = torch.cat([near, far]).expand(2, -1, 2)
    groups = torch.tensor([-1, -1, 0, 0, 0])
    many = torch.cat([near, far, far, far]).expand(2, -1, 2)
    assert Triplet("all")(few).item() == pytest.approx(Triplet("all")(many, groups).item())
    assert Triplet("all")(few).item() > 0.1


def test_distances_have_no_slope_where_they_are_zero_and_the_true_one_beside_it() -> None:
    z = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]], dtype=torch.float64)
    assert torch.equal(evaluated(Margin(), z)[1], torch.zeros_like(z))
    beside = z.clone()
    beside[:, 1, 1] = 1e-3
    # A row stands in 4 of the 8 ordered negative pairs, each of slope m - D away from the other.
    torch.testing.assert_close(evaluated(Margin(), beside)[1][0, 0, 1].item(), 0.999 / 2, rtol=1e-3, atol=0)


def test_pull_and_push_keep_their_balance_as_the_batch_grows() -> None:
    pulled = [
        evaluated(Margin(margin=1e-9), projections(2, items, 16))[1].norm(dim=-1).mean() * items for items in (8, 64)
    ]
    torch.testing.assert_close(*pulled, rtol=0.1, atol=0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("margin", {"margin": 1.5}),
        ("triplet", {"margin": 1.0}),
        ("triplet", {"mining": "all", "margin": 1.0}),
        ("triplet", {"mining": "hard", "margin": None}),
        ("n_pair", {}),
        ("logistic", {}),
    ],
    ids=str,
)
def test_learning_brings_views_together_and_items_apart(name: str, options: dict) -> None:
    z = projections(items=6, dimensions=3).requires_grad_()
    loss = build_loss(name, **options).double()
    optimiser = torch.optim.Adam([z, *loss.parameters()], lr=0.05)
    for _ in range(250):
        optimiser.zero_grad()
        loss(z).backward()
        optimiser.step()
    cosines = (functional.normalize(z[0], dim=-1) @ functional.normalize(z[1], dim=-1).T).detach()
    # A triplet that is satisfied no longer pulls: views need not meet, they need only be nearer than all others.
    assert cosines.diagonal().min() > 0.8
    assert (cosines.diagonal() - (cosines - 2 * torch.eye(6)).amax(dim=1)).min() > 0.4


def test_the_scale_and_the_bias_of_the_logistic_loss_start_as_in_the_paper_and_are_learned() -> None:
    loss, z = Logistic(), projections(items=8)
    assert loss.log_temperature.exp().item() == pytest.approx(10.0)
    assert loss.bias.item() == -10.0
    loss(z).backward()
    # Random projections: positives score far below 0, and no negative above: the bias has to rise.
    assert loss.bias.grad < 0


@pytest.mark.parametrize("mining", ["all", "semi_hard", "hard"])
def test_no_tensor_of_a_triplet_loss_is_larger_than_a_chunk_of_rows(mining: str) -> None:
    z = projections(3, 100, 8).requires_grad_()
    with LargestTensor() as seen:
        Triplet(mining, chunk=10)(z, torch.arange(100) // 3).backward()
    assert seen.numbers == 10 * 300 * (1 if mining == "hard" else 2)


@pytest.mark.parametrize(("name", "rows"), [("margin", 600), ("logistic", 600), ("n_pair", 300)])
def test_no_tensor_of_a_pair_loss_is_larger_than_a_chunk_of_rows(name: str, rows: int) -> None:
    z = projections(2, 300, 8).requires_grad_()
    with LargestTensor() as seen:
        build_loss(name, chunk=16)(z, torch.arange(300) // 3).backward()
    assert seen.numbers == 16 * rows


def test_values_out_of_range_and_wrong_shapes_are_named() -> None:
    for options, message in [
        ({"name": "margin", "margin": 2.1}, "margin must be > 0 and at most 2"),
        ({"name": "margin", "margin": math.nan}, "margin must be > 0"),
        ({"name": "triplet", "mining": "semihard"}, "no mining 'semihard'. Did you mean 'semi_hard'"),
        ({"name": "triplet", "margin": 0.0}, "margin must be > 0 and finite, got 0.0"),
        ({"name": "triplet", "margin": None}, "margin must be a number where mining is 'semi_hard'"),
        ({"name": "n_pair", "l2": -1.0}, "l2 must be in 0"),
        ({"name": "logistic", "scale": 0.0}, "scale must be > 0"),
        ({"name": "logistic", "bias": math.inf}, "bias must be in -1000..1000, got inf"),
    ]:
        with pytest.raises(ValueError, match=message):
            build_loss(**options)
    for name in ("margin", "triplet", "n_pair", "logistic"):
        with pytest.raises(ValueError, match=r"chunk must be in 1\.\.inf, got 0"):
            build_loss(name, chunk=0)
        with pytest.raises(ValueError, match=r"views >= 2.*\(1, 5, 4\)"):
            build_loss(name)(projections(views=1))
        with pytest.raises(ValueError, match=r"groups must be \(5,\) integers, got \(4,\)"):
            build_loss(name)(projections(), torch.zeros(4, dtype=torch.long))
