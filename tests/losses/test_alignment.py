"""Alignment: every one of the table keeps the same promises, and each is what its paper says."""

from __future__ import annotations

import math
from statistics import median

import pytest
import torch
from torch import Tensor

from mirclr.losses.alignment import ALIGNMENTS, MMD, Alignment, Coral, alignment_rows, build_alignment, standardised
from mirclr.losses.table import LOSSES

every = pytest.mark.parametrize("name", ALIGNMENTS)


def rows(count: int, dim: int = 3, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    made = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made * scale + shift


def coral_by_hand(source: list[list[float]], target: list[list[float]]) -> float:
    """Eq. 1 to 3 of Deep CORAL, entry by entry: D^T D - (1^T D)^T (1^T D) / n, over n - 1."""
    d = len(source[0])

    def covariance(x: list[list[float]], i: int, j: int) -> float:
        n = len(x)
        product = sum(row[i] * row[j] for row in x)
        return (product - sum(row[i] for row in x) * sum(row[j] for row in x) / n) / (n - 1)

    squares = ((covariance(source, i, j) - covariance(target, i, j)) ** 2 for i in range(d) for j in range(d))
    return sum(squares) / (4 * d * d)


def mmd_by_hand(
    source: list[list[float]], target: list[list[float]], unbiased: bool, widths: list[float] | None = None
) -> float:
    """Eq. 3 and 5 of Gretton et al., pair by pair, with five Gaussian kernels about the median squared distance."""

    def distance(a: list[float], b: list[float]) -> float:
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    both = source + target
    pairs = sorted(distance(a, b) for i, a in enumerate(both) for b in both[i + 1 :])
    middle = pairs[(len(pairs) - 1) // 2]
    widths = widths or [middle * 2.0**u for u in (-2, -1, 0, 1, 2)]

    def kernel(a: list[float], b: list[float]) -> float:
        return sum(math.exp(-distance(a, b) / w) for w in widths) / len(widths)

    def own(x: list[list[float]]) -> float:
        n = len(x)
        terms = [kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j or not unbiased]
        return sum(terms) / (n * (n - 1) if unbiased else n * n)

    across = sum(kernel(a, b) for a in source for b in target) / (len(source) * len(target))
    return own(source) + own(target) - 2 * across


def test_coral_is_the_equation_of_its_paper() -> None:
    source, target = rows(7), rows(5, seed=1, shift=0.3, scale=2.0)
    assert Coral()(source, target).item() == pytest.approx(coral_by_hand(source.tolist(), target.tolist()))


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize(("n", "m"), [(7, 5), (4, 4), (2, 9)])
def test_mmd_is_the_equation_of_its_paper(n: int, m: int, unbiased: bool) -> None:
    source, target = rows(n), rows(m, seed=1, shift=0.5)
    expected = mmd_by_hand(source.tolist(), target.tolist(), unbiased)
    assert MMD(unbiased=unbiased)(source, target).item() == pytest.approx(expected)
    expected = mmd_by_hand(source.tolist(), target.tolist(), unbiased, [1.5, 4.5])
    made = MMD(bandwidth=1.5 * math.sqrt(3), kernels=2, factor=3.0, unbiased=unbiased)
    assert made(source, target).item() == pytest.approx(expected)


def test_the_width_is_the_median_of_all_distances_and_has_no_gradient() -> None:
    source, target = rows(4), rows(3, seed=1)
    both = torch.cat([source, target])
    middle = median([float((a - b).square().sum()) for i, a in enumerate(both) for b in both[i + 1 :]])
    given, found = (source.clone().requires_grad_() for _ in range(2))
    fixed, own = MMD(bandwidth=middle)(given, target), MMD()(found, target)
    assert own.item() == pytest.approx(fixed.item())
    fixed.backward()
    own.backward()
    torch.testing.assert_close(given.grad, found.grad)


def with_covariance(count: int, covariance: Tensor) -> Tensor:
    """Rows whose sample covariance is exactly that."""
    white = torch.linalg.qr(rows(count, len(covariance)) - rows(count, len(covariance)).mean(0))[0]
    return white @ torch.linalg.cholesky(covariance).T * math.sqrt(count - 1)


def test_coral_of_two_known_covariances() -> None:
    one = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    two = torch.tensor([[1.0, -0.5], [-0.5, 4.0]], dtype=torch.float64)
    value = Coral()(with_covariance(30, one), with_covariance(50, two))
    assert value.item() == pytest.approx((1 + 1 + 1 + 9) / 16)


def test_coral_does_not_see_where_the_samples_lie_and_mmd_does() -> None:
    source = rows(40)
    moved = source + 5
    assert Coral()(source, moved).item() == pytest.approx(0, abs=1e-12)
    assert MMD()(source, moved).item() > 0.5


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.0])
def test_mmd_of_two_gaussians_is_what_the_integral_says(shift: float) -> None:
    """E exp(-|x - y|^2 / w) of x - y ~ N(delta, 2 I) is (1 + 4 / w)^(-d / 2) exp(-|delta|^2 / (w + 4))."""
    d, w, made = 2, 3.0, MMD(bandwidth=3.0, kernels=1)
    pairs = ((rows(200, d, seed=2 * k), rows(200, d, seed=2 * k + 1, shift=shift / math.sqrt(d))) for k in range(100))
    values = torch.stack([made(*pair) for pair in pairs])
    expected = 2 * (1 + 4 / w) ** (-d / 2) * (1 - math.exp(-(shift**2) / (w + 4)))
    assert abs(values.mean() - expected) < 3 * values.std() / 10
    assert values.std() < 0.05


def test_mmd_grows_with_the_shift() -> None:
    source = rows(60)
    values = [MMD(bandwidth=3.0)(source, rows(60, seed=1, shift=s)).item() for s in (0.0, 0.3, 0.6, 1.0, 1.5)]
    assert values == sorted(values)
    assert abs(values[0]) < 0.02 < values[-1]


def test_of_one_distribution_the_unbiased_mmd_is_zero_on_average_and_the_biased_is_above() -> None:
    pairs = [(rows(10, seed=2 * k), rows(10, seed=2 * k + 1)) for k in range(400)]
    unbiased = torch.stack([MMD()(*pair) for pair in pairs])
    assert abs(unbiased.mean()) < 3 * unbiased.std() / math.sqrt(len(pairs))
    assert (unbiased < 0).any()
    assert all(MMD(unbiased=False)(*pair) > 0 for pair in pairs[:50])


@pytest.mark.parametrize("made", [Coral(), MMD(unbiased=False)], ids=["coral", "mmd"])
def test_equal_samples_are_at_no_distance(made: Alignment) -> None:
    source = rows(8)
    assert made(source, source.flip(0)).item() == pytest.approx(0, abs=1e-12)


@every
def test_the_order_of_rows_and_of_the_two_sides_is_nothing(name: str) -> None:
    made, source, target = build_alignment(name), rows(6), rows(9, seed=1, scale=2.0)
    value = made(source, target).item()
    assert made(source.flip(0), target[torch.randperm(9)]).item() == pytest.approx(value)
    assert made(target, source).item() == pytest.approx(value)


@every
def test_where_the_samples_lie_together_is_nothing(name: str) -> None:
    made, source, target = build_alignment(name), rows(6), rows(9, seed=1)
    assert made(source + 100, target + 100).item() == pytest.approx(made(source, target).item())


@pytest.mark.parametrize("made", [Coral(), MMD(bandwidth=2.0), MMD(bandwidth=2.0, unbiased=False)], ids=repr)
def test_the_gradient_is_the_slope(made: Alignment) -> None:
    source, target = rows(4).requires_grad_(), rows(5, seed=1, shift=0.5).requires_grad_()
    assert torch.autograd.gradcheck(made, (source, target))
    assert torch.autograd.gradcheck(lambda s, t: made(*standardised(s, t)), (source, target))


@every
def test_following_the_gradient_brings_the_samples_together(name: str) -> None:
    made, source, target = build_alignment(name), rows(64, scale=0.4), rows(64, seed=1, shift=0.5).requires_grad_()
    first = made(source, target).item()
    optimiser = torch.optim.Adam([target], lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        made(source, target).backward()
        optimiser.step()
    assert made(source, target).item() < 0.3 * first


@every
def test_low_precision_is_computed_in_float32_also_under_autocast(name: str) -> None:
    made, source, target = (
        build_alignment(name),
        rows(6).bfloat16().requires_grad_(),
        rows(9, seed=1, scale=2.0).bfloat16(),
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = made(source, target)
    value.backward()
    assert (value.dtype, source.grad.dtype) == (torch.float32, torch.bfloat16)
    assert value.item() == pytest.approx(made(source.double(), target.double()).item(), rel=1e-4)


@every
def test_rows_that_are_all_the_same_have_a_number_and_a_gradient(name: str) -> None:
    source = torch.ones(4, 3, requires_grad=True)
    value = build_alignment(name)(*standardised(source, torch.ones(4, 3)))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert source.grad.isfinite().all()


@every
@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ((1, 3), (4, 3), "needs two rows of each side, got 1 and 4"),
        ((4, 3), (1, 3), "needs two rows of each side, got 4 and 1"),
        ((4, 3), (4, 2), r"got \(4, 3\) and \(4, 2\)"),
        ((4,), (4,), r"must be \(n, d\) and \(m, d\)"),
    ],
)
def test_other_shapes_are_refused(name: str, source: tuple[int, ...], target: tuple[int, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_alignment(name)(torch.zeros(source), torch.zeros(target))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("corall", {}, "no alignment 'corall'. Did you mean 'coral'"),
        ("coral", {"kernels": 3}, "alignment 'coral': unknown option 'kernels'"),
        ("mmd", {"kernel": 3}, "unknown option 'kernel'. Did you mean 'kernels'"),
        ("mmd", {"bandwidth": 0.0}, "bandwidth must be > 0 and finite, got 0.0"),
        ("mmd", {"kernels": 0}, r"kernels must be in 1\.\.64, got 0"),
        ("mmd", {"factor": 1.0}, "factor must be > 1 and finite, got 1.0"),
    ],
)
def test_options_out_of_range_are_named(name: str, options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build_alignment(name, **options)


def test_standardised_rows_know_no_scale_of_dimensions() -> None:
    source, target = rows(20), rows(30, seed=1, shift=1.0)
    scale = torch.tensor([1e-1, 1.0, 1e3], dtype=torch.float64)
    for one, two in zip(
        standardised(source, target), standardised(source * scale + 7, target * scale + 7), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)


def test_standardising_measures_the_spread_within_each_side_and_not_between_them() -> None:
    source, target = standardised(rows(50), rows(20, seed=1, shift=10.0))
    each = (source.var(0, correction=0) + target.var(0, correction=0)) / 2
    torch.testing.assert_close(each, torch.ones_like(each), rtol=1e-4, atol=0)
    near, far = (Coral()(*standardised(rows(50), rows(20, seed=1, scale=2.0, shift=s))) for s in (0.0, 10.0))
    torch.testing.assert_close(near, far)  # a spread over both would shrink with the distance, and reward it


def test_a_dimension_that_moves_in_the_target_only_weighs_no_more_than_any_other() -> None:
    source, target = rows(50), rows(50, seed=1)
    source[:, 0] = 0.0
    _, moving = standardised(source, target)
    assert moving[:, 0].var(correction=0).item() == pytest.approx(2, rel=1e-3)


def test_the_table_for_people_says_what_each_is() -> None:
    assert [row["name"] for row in alignment_rows()] == list(ALIGNMENTS)
    assert all(row["what"].endswith(".") and "arXiv" in row["source"] for row in alignment_rows())
    assert not set(ALIGNMENTS) & set(LOSSES)
