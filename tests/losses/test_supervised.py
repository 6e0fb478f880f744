"""SupCon and GenSupCon against their equations, each other, and what is left of them without labels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.gen_supcon import GenSupCon, mixed_labels
from mirclr.losses.nt_xent import NTXent
from mirclr.losses.objective import Objective
from mirclr.losses.supcon import SupCon
from tests.support import supervised_oracle as oracle
from tests.support.projections import LargestTensor, assert_same, projections

NAN = math.nan
GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "all one": [1] * 5}
LABELS = {
    "one label": [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]],
    "tags": [[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0], [0, 1, 1]],
    "some unlabelled": [[1, 0, 0], [NAN] * 3, [1, 0, 1], [NAN] * 3, [0, 0, 1]],
    "none": [[NAN] * 3] * 5,
}
SOFT = [[0.7, 0.3, 0], [0, 0.2, 0.9], [NAN] * 3, [0, 0, 0], [0.1, 0, 0]]
OBJECTIVES = [SupCon, GenSupCon]


def labels_of(rows: list[list[float]], views: int = 2) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).expand(views, -1, -1)


def mixed(views: int = 2) -> Tensor:
    """Soft labels that differ between the views of an item, with rows of NaN and of zeros among them."""
    first = labels_of(SOFT, views).clone()
    first[1] = first[1, [1, 0, 4, 2, 3]]
    return first


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("kind", LABELS)
def test_supcon_is_the_papers_equation(kind: str, grouping: str, views: int) -> None:
    z, labels, groups = projections(views).requires_grad_(), labels_of(LABELS[kind], views), GROUPINGS[grouping]
    got = SupCon(temperature=0.3)(z, torch.tensor(groups), labels=labels)
    assert_same(got, oracle.supcon(z, labels, groups, 0.3), z)


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("kind", [*LABELS, "soft", "mixed"])
def test_gen_supcon_is_the_papers_equation(kind: str, grouping: str, views: int) -> None:
    labels = mixed(views) if kind == "mixed" else labels_of({**LABELS, "soft": SOFT}[kind], views)
    z, groups = projections(views).requires_grad_(), GROUPINGS[grouping]
    got = GenSupCon(temperature=0.3)(z, torch.tensor(groups), labels=labels)
    assert_same(got, oracle.gen_supcon(z, labels, groups, 0.3), z)


@pytest.mark.parametrize("kind", ["one label", "none"])
def test_hard_labels_make_both_objectives_one(kind: str) -> None:
    z, labels, groups = projections(3).requires_grad_(), labels_of(LABELS[kind], 3), torch.tensor([0, 0, -1, 2, 2])
    assert_same(GenSupCon()(z, groups, labels=labels), SupCon()(z, groups, labels=labels), z)


def test_tags_in_common_count_by_their_share_only_when_generalised() -> None:
    z, labels = projections(), labels_of(LABELS["tags"])
    assert abs(GenSupCon()(z, labels=labels) - SupCon()(z, labels=labels)) > 0.01


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("unlabelled", [NAN, 0.0])
def test_without_labels_two_views_are_nt_xent(objective: type[Objective], unlabelled: float) -> None:
    z, labels = projections(items=7).requires_grad_(), torch.full((2, 7, 3), unlabelled)
    groups = torch.tensor([0, 0, -1, -1, 2, 2, 2])
    assert_same(objective(temperature=0.2)(z, groups, labels=labels), NTXent(0.2)(z, groups), z)


def test_one_label_for_each_item_is_no_label() -> None:
    z = projections(3).requires_grad_()
    own, none = labels_of(torch.eye(5).tolist(), 3), torch.full((3, 5, 2), NAN)
    for objective in (SupCon(), GenSupCon()):
        assert_same(objective(z, labels=own), objective(z, labels=none), z)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_clip_is_drawn_to_its_class_if_labelled_and_pushed_from_it_if_not(objective: type[Objective]) -> None:
    z = torch.eye(5, dtype=torch.float64).repeat(2, 1, 1).requires_grad_()  # all items at right angles
    labels = labels_of(LABELS["one label"]).clone()  # items 0 and 2 are of one class
    labelled = torch.autograd.grad(objective()(z, labels=labels), z)[0]
    labels[:, 2] = NAN
    unlabelled = torch.autograd.grad(objective()(z, labels=labels), z)[0]
    assert labelled[:, 2, 0].max() < -0.01  # descent adds to the cosine with item 0
    assert unlabelled[:, 2, 0].min() > 1e-6
    torch.testing.assert_close(unlabelled[:, 2, 0], unlabelled[:, 2, 1])  # a negative as any other


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_closed_forms(objective: type[Objective]) -> None:
    labels = labels_of([[1, 0], [1, 0], [0, 1], [0, 1]])
    assert objective()(torch.ones(2, 4, 3), labels=labels).item() == pytest.approx(math.log(7), rel=1e-6)
    # Classes collapsed and orthogonal: three positives at cosine 1, four negatives at 0.
    z = labels.clone()
    want = math.log(3 + 4 * math.exp(-1 / 0.5))
    assert objective(temperature=0.5)(z, labels=labels).item() == pytest.approx(want, rel=1e-12)


def test_soft_targets_have_a_closed_form() -> None:
    # Row 0 is half label A and half label B: cosine 1/sqrt(2) with the pure rows. All projections equal but item 2's.
    labels = labels_of([[0.5, 0.5], [1, 0], [0, 1]])
    z = torch.tensor([[1.0, 0], [1, 0], [0, 1]], dtype=torch.float64).expand(2, 3, 2)
    alike = 2**-0.5
    rows = [  # log-sum-exp of the other five cosines, less the weight of those that are 1 over all weights
        math.log(3 * math.e + 2) - (1 + 2 * alike) / (1 + 4 * alike),
        math.log(3 * math.e + 2) - 1.0,
        math.log(math.e + 4) - 1 / (1 + 2 * alike),
    ]
    got = GenSupCon(temperature=1.0)(z, labels=labels)
    assert got.item() == pytest.approx(sum(rows) / 3, rel=1e-12)


def test_only_the_direction_of_a_soft_label_counts() -> None:
    z, labels = projections(), mixed()
    scaled = labels * torch.tensor([3.0, 1e12, 1.0, 1.0, 1e-12]).view(5, 1)
    torch.testing.assert_close(GenSupCon()(z, labels=scaled), GenSupCon()(z, labels=labels))


def test_a_mixed_clip_lies_between_its_two_classes() -> None:
    labels = labels_of([[1, 0], [0, 1], [0.5, 0.5]])
    z = projections(items=3, dimensions=3).requires_grad_()
    learn(z, GenSupCon(temperature=0.5), labels)
    cosines = class_cosines(z)
    assert cosines[2, 0].item() == pytest.approx(cosines[2, 1].item(), abs=0.05)
    assert cosines[2, 0] > 0.3
    assert cosines[0, 1] < 0


def learn(z: Tensor, loss: Objective, labels: Tensor) -> None:
    optimiser = torch.optim.Adam([z], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        loss(z, labels=labels).backward()
        optimiser.step()


def class_cosines(z: Tensor) -> Tensor:
    rows = functional.normalize(z.detach().mean(dim=0), dim=-1)
    return rows @ rows.T


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_learning_separates_classes_and_keeps_unlabelled_clips_by_themselves(objective: type[Objective]) -> None:
    labels = labels_of([[1, 0], [1, 0], [0, 1], [0, 1], [NAN] * 2])
    z = projections(dimensions=3).requires_grad_()
    learn(z, objective(temperature=0.5), labels)
    cosines = class_cosines(z)
    assert min(cosines[0, 1], cosines[2, 3]) > 0.95
    assert cosines[:2, 2:4].max() < 0
    assert cosines[4, :4].max() < 0.3
    assert torch.cosine_similarity(*z.detach()[:, 4], dim=0) > 0.95


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_are_those_of_the_value(objective: type[Objective]) -> None:
    labels, groups = labels_of(LABELS["some unlabelled"]), torch.tensor([3, -1, 3, 0, 0])
    loss = objective(temperature=0.3, chunk=4)
    assert torch.autograd.gradcheck(lambda x: -2.5 * loss(x, groups, labels=labels), (projections().requires_grad_(),))


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_chunks_change_nothing(objective: type[Objective], chunk: int) -> None:
    z, labels = projections(3).requires_grad_(), labels_of(LABELS["some unlabelled"], 3)
    groups = torch.tensor([3, -1, 3, 0, 0])
    whole, parts = (objective(chunk=c)(z, groups, labels=labels) for c in (15, chunk))
    assert_same(parts, whole, z)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_orders_do_not_matter(objective: type[Objective]) -> None:
    z, groups = projections(3).requires_grad_(), torch.tensor([3, -1, 3, 0, 0])
    labels = labels_of(LABELS["some unlabelled"], 3)
    order, views, names = torch.tensor([4, 2, 0, 3, 1]), torch.tensor([2, 0, 1]), torch.tensor([1, 2, 0])
    want = objective()(z, groups, labels=labels)
    moved = z[views][:, order]
    assert_same(objective()(moved, groups[order], labels=labels[views][:, order][..., names]), want, z)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize(("items", "groups"), [(1, None), (4, [2, 2, 2, 2])])
@pytest.mark.parametrize("unlabelled", [True, False])
def test_with_no_other_item_to_see_loss_and_gradient_are_zero(
    objective: type[Objective], views: int, items: int, groups: list[int] | None, unlabelled: bool
) -> None:
    z = projections(views, items).requires_grad_()
    labels = torch.full((views, items, 4), NAN) if unlabelled else torch.eye(4)[:items].expand(views, -1, -1)
    loss = objective()(z, None if groups is None else torch.tensor(groups), labels=labels)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(z.grad, torch.zeros_like(z))


def test_a_labelled_row_unlike_all_others_costs_nothing_itself() -> None:
    z = projections(items=2).requires_grad_()
    labels = torch.eye(4, dtype=torch.float64).view(2, 2, 4)  # four rows, four labels: nobody is like anybody
    loss = GenSupCon()(z, labels=labels)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(z.grad, torch.zeros_like(z))
    assert SupCon()(z, labels=labels) > 0  # where the other view is a positive whatever its label


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_group_mates_are_pushed_only_if_they_are_no_positives(objective: type[Objective]) -> None:
    labels, groups = labels_of([[1, 0], [1, 0], [0, 1], [0, 1]]), torch.tensor([5, 5, 5, -1])
    z = projections(items=4)
    twins = torch.cat([z[:, :1], z[:, 1:2], z[:, :1], z[:, 3:]], dim=1)  # item 2 sounds as item 0
    apart, grouped = (objective()(twins, g, labels=labels) for g in (None, groups))
    assert grouped < apart - 1
    pair = torch.tensor([5, 5, -1, -1])  # mates with the same label: positives, which stay in the denominator
    assert objective()(z, pair, labels=labels) == objective()(z, labels=labels)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_half_precision_is_computed_in_float32_also_under_autocast(objective: type[Objective]) -> None:
    z = projections(items=20, dimensions=16).bfloat16().requires_grad_()
    labels = torch.eye(5)[torch.arange(20) % 5].expand(2, -1, -1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = objective(temperature=0.05)(z, labels=labels.bfloat16())
    exact = objective(temperature=0.05)(z.detach().double(), labels=labels)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    value.backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_extreme_temperatures_stay_finite_and_nan_stays_nan(objective: type[Objective], temperature: float) -> None:
    z, labels = projections().float().requires_grad_(), labels_of(LABELS["some unlabelled"])
    loss = objective(temperature=temperature)
    value = loss(z, labels=labels)
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()
    broken = z.detach().clone()
    broken[1, 3, 0] = NAN
    assert loss(broken, labels=labels).isnan()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_tensor_is_ever_larger_than_a_chunk_of_rows(objective: type[Objective]) -> None:
    z, labels = projections(items=400).requires_grad_(), torch.eye(8)[torch.arange(400) % 8].expand(2, -1, -1)
    with LargestTensor() as seen:
        objective(chunk=16)(z, torch.arange(400) // 3, labels=labels).backward()
    assert seen.numbers == 16 * 800


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(2, 5), r"labels must be \(2, 5, labels >= 1\), got \(2, 5\)"),
        (torch.zeros(2, 4, 3), r"labels must be \(2, 5, labels >= 1\), got \(2, 4, 3\)"),
        (torch.zeros(2, 5, 0), r"labels must be .*got \(2, 5, 0\)"),
        (torch.full((2, 5, 3), -0.5), r"labels must be >= 0, got -0\.5"),
        (torch.full((2, 5, 3), math.inf), "labels must be finite"),
        (torch.tensor([1.0, NAN]).expand(2, 5, 2), "NaN in whole"),
    ],
)
def test_wrong_labels_are_named(objective: type[Objective], labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objective()(projections(), labels=labels)


def test_supcon_sends_soft_labels_to_gen_supcon() -> None:
    with pytest.raises(ValueError, match=r"labels of 0 and 1.*gen_supcon"):
        SupCon()(projections(), labels=labels_of(SOFT))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_options_out_of_range_are_named(objective: type[Objective]) -> None:
    with pytest.raises(ValueError, match="temperature must be > 0 and finite, got nan"):
        objective(temperature=NAN)
    with pytest.raises(ValueError, match="chunk must be >= 1"):
        objective(chunk=0)
    with pytest.raises(ValueError, match=r"views >= 2.*\(1, 5, 4\)"):
        objective()(projections(views=1), labels=torch.zeros(1, 5, 3))
    with pytest.raises(ValueError, match=r"groups must be \(5,\) integers"):
        objective()(projections(), torch.zeros(4, dtype=torch.long), labels=torch.zeros(2, 5, 3))


def test_a_teacher_has_its_share_of_known_labels_and_the_whole_of_unknown_ones() -> None:
    labels = torch.tensor([[[1.0, 0], [NAN, NAN], [0, 1], [NAN, NAN]]])
    teacher = torch.tensor([[[0.5, 0.5], [0.2, 0.8], [NAN, NAN], [NAN, NAN]]])
    want = torch.tensor([[[0.875, 0.125], [0.2, 0.8], [0, 1], [NAN, NAN]]])
    torch.testing.assert_close(mixed_labels(labels, teacher, 0.25), want, equal_nan=True)
    for weight, row in [(0.0, labels[0, 0]), (1.0, teacher[0, 0])]:
        mixture = mixed_labels(labels, teacher, weight)
        assert torch.equal(mixture[0, 0], row)
        assert torch.equal(mixture[0, 1], teacher[0, 1])
        torch.testing.assert_close(mixed_labels(labels[0], teacher[0], weight), mixture[0], equal_nan=True)


def test_a_teachers_probabilities_are_labels() -> None:
    z, labels = projections().requires_grad_(), labels_of(LABELS["some unlabelled"])
    teacher = torch.softmax(projections(dimensions=3, seed=5), dim=-1)
    soft = mixed_labels(labels, teacher, 0.5)
    assert_same(GenSupCon(0.3)(z, labels=soft), oracle.gen_supcon(z, soft, [-1] * 5, 0.3), z)


def test_wrong_teachers_are_named() -> None:
    labels = torch.ones(2, 5, 3)
    with pytest.raises(ValueError, match=r"weight must be in 0\.\.1, got 1\.5"):
        mixed_labels(labels, labels, 1.5)
    with pytest.raises(ValueError, match=r"alike, got \(2, 5, 3\) and \(2, 5, 2\)"):
        mixed_labels(labels, labels[..., :2], 0.5)
    with pytest.raises(ValueError, match="teacher must be >= 0, got -1"):
        mixed_labels(labels, -labels, 0.5)
    with pytest.raises(ValueError, match="labels: a row must be NaN in whole"):
        mixed_labels(torch.tensor([1.0, NAN]).expand(2, 5, 2), torch.ones(2, 5, 2), 0.5)
