"""MoCo: the loss against a queue kept by hand, and how the queue fills, turns over, is masked, saved and left alone."""

from __future__ import annotations

import math
from collections import deque

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.losses.moco import MoCo
from mirclr.losses.table import build_loss
from tests.support import negatives_oracle as oracle
from tests.support.projections import LargestTensor, evaluated, projections

GROUPINGS = {"alone": [-1] * 5, "two artists": [3, -1, 3, 0, 0], "one artist": [0, 0, 0, 0, 0]}


def moco(size: int = 13, dim: int = 4, **options: float) -> MoCo:
    return MoCo(dim, size, temperature=0.3, **options).double()


def targets(z: Tensor, seed: int = 1) -> Tensor:
    return z.detach() + 0.3 * projections(*z.shape, seed=seed + 100)


def filled(loss: MoCo, steps: int = 3, groups: Tensor | None = None) -> MoCo:
    """After some steps of training on other projections; in eval mode, so that its queue stays as it is."""
    for step in range(steps):
        z = projections(seed=step + 50)
        loss.train()(z, groups, target=targets(z))
    return loss.eval()


@pytest.mark.parametrize("size", [1, 13, 100])
@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_every_step_of_a_run_is_the_papers_against_a_queue_kept_by_hand(grouping: str, views: int, size: int) -> None:
    loss, groups = moco(size), GROUPINGS[grouping]
    queue: deque[tuple[Tensor, int]] = deque(maxlen=size)
    for step in range(4):  # empty, filling, wrapping round
        z = projections(views, seed=step).requires_grad_()
        target = targets(z)
        want = oracle.moco(z, target, groups, list(queue), 0.3)
        got = loss(z, torch.tensor(groups), target=target)
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
        gradients = [torch.autograd.grad(value, z)[0] for value in (got, want)]
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)
        queue.extend((target[v, b], groups[b]) for v in range(views) for b in range(5))


def test_the_newest_keys_of_unit_length_take_the_places_of_the_oldest() -> None:
    loss = moco(size=12)
    first, second = projections(items=4), projections(items=4, seed=1)
    loss(first, torch.tensor([1, 2, 3, 4]), target=first)
    assert loss.queue_groups.tolist() == [1, 2, 3, 4, 1, 2, 3, 4, -1, -1, -1, -1]
    loss(second, torch.tensor([5, 6, 7, 8]), target=second)
    assert loss.queue_groups.tolist() == [5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]
    old, new = (functional.normalize(z.flatten(0, 1), dim=-1) for z in (first, second))
    torch.testing.assert_close(loss.queue, torch.cat([new[4:], old[4:], new[:4]]))
    assert loss.seen == 16


def test_of_more_keys_than_places_the_last_stay() -> None:
    loss, z = moco(size=3), projections()
    loss(z, torch.arange(5), target=z)
    assert sorted(loss.queue_groups.tolist()) == [2, 3, 4]
    cosines = loss.queue @ functional.normalize(z[1, 2:], dim=-1).T
    assert cosines.amax(dim=1).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_the_first_step_is_nt_xent_against_the_batchs_own_keys() -> None:
    z = projections(items=6)
    want = build_loss("nt_xent", temperature=0.3)(z)
    torch.testing.assert_close(moco()(z, target=z), want)


def test_other_items_of_the_batch_push_only_from_the_next_step_on() -> None:
    loss, z = filled(moco()), projections()
    target = targets(z)
    alone = [evaluated(loss, z[:, [b]], target=target[:, [b]])[0].item() for b in range(5)]
    assert evaluated(loss, z, target=target)[0].item() == pytest.approx(sum(alone) / 5)
    before = evaluated(loss, z, target=target)[0]
    loss.train()(z, target=target)
    assert evaluated(loss, z, target=target)[0] != before


def test_keys_of_the_anchors_artist_from_earlier_steps_are_no_negatives() -> None:
    groups = torch.tensor([3, -1, 3, 0, 0])
    loss = filled(moco(size=30), groups=groups)
    assert loss.queue_groups.tolist() == groups.tolist() * 6
    z = projections()
    spared = moco(size=30).eval()
    kept = loss.queue_groups != 3
    spared.queue[: kept.sum()] = loss.queue[kept]
    spared.seen += kept.sum()
    want = evaluated(spared, z[:, [0]], target=targets(z)[:, [0]])
    got = evaluated(loss, z[:, [0]], torch.tensor([3]), target=targets(z)[:, [0]])
    torch.testing.assert_close(got, want)


def test_no_group_is_no_artist_and_groups_may_come_and_go() -> None:
    z, none = projections(), torch.full((5,), -1)
    loss = filled(moco(), groups=None)
    assert loss.queue_groups.tolist() == [-1] * 13
    assert evaluated(loss, z, none, target=z)[0] == evaluated(loss, z, target=z)[0]
    assert evaluated(loss, z, torch.arange(5), target=z)[0] == evaluated(loss, z, target=z)[0]


def test_with_every_key_of_the_anchors_artist_nothing_is_pushed_or_pulled() -> None:
    loss = filled(moco(), groups=torch.zeros(5, dtype=torch.int64))
    z = projections()
    value, gradient = evaluated(loss, z, torch.zeros(5, dtype=torch.int64), target=targets(z))
    assert value == 0.0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("count", [5, 10])
def test_equal_projections_cost_the_log_of_the_keys_there_are(count: int) -> None:
    loss, z = MoCo(4, size=10, temperature=0.1), torch.ones(2, count // 2, 4)
    loss(z, target=z)
    assert loss(z, target=z).item() == pytest.approx(math.log(2 * (count // 2) + 1), rel=1e-6)


def test_eval_mode_reads_the_queue_and_leaves_it() -> None:
    loss, z = filled(moco()), projections()
    before = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
    first, second = (loss(z, torch.arange(5), target=z) for _ in range(2))
    assert first == second
    assert all(torch.equal(tensor, before[name]) for name, tensor in loss.state_dict().items())
    loss.train()(z, torch.arange(5), target=z)
    assert loss.seen == before["seen"] + 10
    assert not torch.equal(loss.queue, before["queue"])


def test_a_run_goes_on_from_its_saved_queue() -> None:
    loss = filled(moco(), groups=torch.tensor([3, -1, 3, 0, 0])).train()
    again = moco()
    again.load_state_dict(loss.state_dict())
    for step in range(3):
        z, groups = projections(seed=step), torch.tensor([0, 3, -1, 9, 9])
        assert again(z, groups, target=targets(z)) == loss(z, groups, target=targets(z))
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), loss.state_dict().values(), strict=True))


def test_only_queries_learn() -> None:
    loss, z = filled(moco()).train(), projections().requires_grad_()
    target = targets(z).requires_grad_()
    loss(z, target=target).backward()
    assert target.grad is None
    assert not loss.queue.requires_grad
    assert list(loss.parameters()) == []
    assert z.grad.abs().min() > 0


def test_gradients_are_those_of_the_value() -> None:
    loss, z = filled(moco(chunk=4)), projections(3).requires_grad_()
    groups, target = torch.tensor([3, -1, 3, 0, 0]), targets(z)
    assert torch.autograd.gradcheck(lambda x: -2.5 * loss(x, groups, target=target), (z,))


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_change_nothing(chunk: int) -> None:
    z = projections()
    whole, parts = (evaluated(filled(moco(chunk=c)), z, target=targets(z)) for c in (10, chunk))
    torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-14)


def test_no_tensor_is_larger_than_the_queue_or_a_chunk_of_rows() -> None:
    loss = MoCo(4, size=900, chunk=8)
    z = projections(items=500, dtype=torch.float32).requires_grad_()
    loss(z, target=z.detach())
    with LargestTensor() as seen:
        loss(z, target=z.detach()).backward()
    assert seen.numbers == 8 * 900


def test_half_precision_keys_are_kept_in_float32_also_under_autocast() -> None:
    loss, z = MoCo(4, size=20), projections(dtype=torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first, second = loss(z, target=z.detach()), loss(z, target=z.detach())
    assert (first.dtype, second.dtype, loss.queue.dtype) == (torch.float32,) * 3
    torch.testing.assert_close(loss.queue[:10].norm(dim=1), torch.ones(10))


def test_values_out_of_range_and_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="size must be >= 1 key, got 0"):
        MoCo(4, size=0)
    with pytest.raises(ValueError, match=r"momentum must be in 0\.\.1, got 1\.1"):
        MoCo(4, momentum=1.1)
    with pytest.raises(ValueError, match="temperature must be > 0"):
        MoCo(4, temperature=-1.0)
    z = projections()
    with pytest.raises(ValueError, match=r"target must be \(2, 5, 4\), like the projections, got \(2, 4, 4\)"):
        moco()(z, target=z[:, :4])
    with pytest.raises(ValueError, match="projections have 4 dimensions, the queue 8"):
        moco(dim=8)(z, target=z)
    for loss in (moco(), filled(moco())):
        with pytest.raises(ValueError, match=r"groups must be \(5,\) integers, got \(4,\)"):
            loss(z, torch.zeros(4, dtype=torch.long), target=z)
    with pytest.raises(ValueError, match="views >= 2"):
        moco()(z[:1], target=z[:1])


def test_the_builder_supplies_the_dimensions_and_the_momentum_is_the_options() -> None:
    loss = build_loss("moco", dim=16, size=32, momentum=0.9)
    assert loss.queue.shape == (32, 16)
    assert loss.momentum == 0.9
    assert loss.wants == {"target"}
