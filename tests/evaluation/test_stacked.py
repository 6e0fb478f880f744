"""Networks in a stack are what torch's own layers would be, each alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mirclr.evaluation.fleet import Aim, Items, Schedule, _Fleet, answers, train
from mirclr.evaluation.metrics import score_predictions
from mirclr.evaluation.stacked import Shape, StackedMlp, rows_of
from mirclr.evaluation.tasks import CHOOSING, TASKS
from mirclr.seeds import generator

SHAPES = [Shape(()), Shape((7,)), Shape((7, 6), batch_norm=True, initial="xavier_normal")]


def stack(shape: Shape, dropout: tuple[float, ...] = (0.0, 0.0, 0.0)) -> StackedMlp:
    return StackedMlp(shape, 5, 4, dropout, torch.Generator().manual_seed(1))


def alone(model: StackedMlp, row: int) -> nn.Sequential:
    """Network `row` of a stack from torch's layers, without dropout."""
    layers: list[nn.Module] = []
    depth = len(model.shape.hidden)
    for place in range(depth + 1):
        weight, bias = model.get_parameter(f"weight{place}")[row], model.get_parameter(f"bias{place}")[row]
        linear = nn.Linear(*weight.shape)
        linear.weight.data, linear.bias.data = weight.T.detach().clone(), bias[0].detach().clone()
        layers.append(linear)
        if place < depth:
            layers += [nn.BatchNorm1d(weight.shape[1])] if model.shape.batch_norm else []
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def x_of(rows: int, networks: int = 3) -> torch.Tensor:
    return torch.from_numpy(generator(410).normal(size=(networks, rows, 5)).astype(np.float32))


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_of_a_stack_are_steps_of_each_network_alone(shape: Shape) -> None:
    model, targets = stack(shape), torch.arange(12) % 4
    fleet = _Fleet(model, torch.arange(3), Schedule(12, lr=0.05, patience=3, weight_decay=0.1))
    single = [alone(model, row) for row in range(3)]
    optimisers = [torch.optim.Adam(net.parameters(), lr=0.05, weight_decay=0.1) for net in single]
    x = x_of(12)
    for _ in range(5):
        fleet.step(x, targets, "multiclass")
        for row, (net, optimiser) in enumerate(zip(single, optimisers, strict=True)):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[row]), targets).backward()
            optimiser.step()
    together = model.eval()(x).detach()
    for row, net in enumerate(single):
        np.testing.assert_allclose(together[row], net.eval()(x[row]).detach(), rtol=2e-3, atol=2e-4)


def test_the_start_is_that_of_torch_layers_and_the_same_for_all() -> None:
    model = StackedMlp(Shape((400,)), 300, 4, (0.1, 0.9), torch.Generator().manual_seed(0))
    weight = model.get_parameter("weight0").detach()
    assert torch.equal(weight[0], weight[1])
    assert weight.abs().max() <= 300**-0.5
    assert weight.std() == pytest.approx(nn.Linear(300, 400).weight.std().item(), rel=0.02)
    xavier = StackedMlp(Shape((400,), initial="xavier_uniform"), 300, 4, (0.1,), torch.Generator().manual_seed(0))
    assert xavier.get_parameter("weight0").std().item() == pytest.approx((2 / 700) ** 0.5, rel=0.02)
    assert xavier.get_parameter("weight1").std().item() == pytest.approx((2 * 2 / 404) ** 0.5, rel=0.06)


def test_dropout_is_each_networks_own_and_keeps_the_mean() -> None:
    model = StackedMlp(Shape((), input_dropout=True), 5, 4, (0.0, 0.75), torch.Generator().manual_seed(1)).train()
    dropped = model._dropped(torch.ones(2, 2000, 5))
    assert (dropped[0] == 1).all()
    assert (dropped[1] == 0).float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert dropped[1].mean().item() == pytest.approx(1, abs=0.08)
    assert torch.equal(model.eval()._dropped(torch.ones(2, 3, 5)), torch.ones(2, 3, 5))


def test_rows_of_a_stack_are_its_networks() -> None:
    model = stack(SHAPES[2])
    model.train()(x_of(12))
    model.get_parameter("weight0").data += torch.arange(3)[:, None, None]
    some = rows_of(model.eval(), torch.tensor([2, 0]))
    x = x_of(6)
    torch.testing.assert_close(some(x[[2, 0]]), model(x)[[2, 0]])


def problem(count: int, seed: int) -> Items:
    """Two classes on a line in five dimensions."""
    targets = np.arange(count) % 2
    raw = generator(411, seed).normal(size=(count, 5)) + 1.5 * targets[:, None]
    x = torch.from_numpy(np.stack([raw, raw / 10]).astype(np.float32))
    return Items(x, torch.arange(count), targets)


def test_a_network_that_stopped_keeps_its_best_state_and_leaves_the_others_alone() -> None:
    """Three networks with patience for two looks: what each keeps is what it would keep if it were trained alone."""
    learn, judge = problem(40, 0), problem(30, 1)
    aim, schedule = Aim.of("multiclass", "accuracy", learn.targets), Schedule(10, lr=0.03, patience=2, most=30)

    def trained(versions: list[int]) -> tuple[np.ndarray, np.ndarray]:
        model = StackedMlp(Shape((6,)), 5, 2, [0.0] * len(versions), torch.Generator().manual_seed(2))
        done = train(model, learn, judge, torch.tensor(versions), schedule, aim, seed=0)
        return done.look, answers(done.model, judge, torch.tensor(versions), aim)

    looks, together = trained([0, 1, 0])
    assert looks[0] != looks[1]
    for version, look, scores in zip([0, 1, 0], looks, together, strict=True):
        own_looks, own = trained([version])
        assert own_looks[0] == look
        np.testing.assert_allclose(own[0], scores, atol=1e-5)


def test_the_best_look_is_what_is_kept() -> None:
    learn, judge = problem(40, 0), problem(30, 1)
    aim = Aim.of("multiclass", "accuracy", learn.targets)
    model = StackedMlp(Shape((6,)), 5, 2, (0.0,), torch.Generator().manual_seed(2))
    done = train(model, learn, judge, torch.tensor([0]), Schedule(10, 0.03, patience=5, most=30), aim, seed=0)
    scores = answers(done.model, judge, torch.tensor([0]), aim)
    assert CHOOSING["accuracy"](judge.targets, scores)[0] == done.score[0]


@pytest.mark.parametrize("task", list(TASKS))
def test_losses_are_torchs_and_each_networks_own(task: str) -> None:
    outputs = x_of(6)
    rng = generator(412)
    targets = {
        "multiclass": torch.arange(6) % 5,
        "multilabel": torch.from_numpy((rng.random((6, 5)) > 0.5).astype(np.float32)),
        "regression": torch.from_numpy(rng.normal(size=(6, 5)).astype(np.float32)),
    }[task]
    single = {
        "multiclass": nn.functional.cross_entropy,
        "multilabel": nn.functional.binary_cross_entropy_with_logits,
        "regression": nn.functional.mse_loss,
    }[task]
    wanted = torch.stack([single(one, targets) for one in outputs])
    torch.testing.assert_close(TASKS[task].loss(outputs, targets), wanted)


@pytest.mark.parametrize(
    ("task", "metric"),
    [("multiclass", "accuracy"), ("multilabel", "roc_auc"), ("multilabel", "pr_auc"), ("regression", "r2")],
)
def test_what_chooses_is_what_is_reported(task: str, metric: str) -> None:
    rng = generator(413)
    scores = rng.random((3, 20, 4)).round(1)  # rounded: with ties
    truth = {
        "multiclass": rng.integers(4, size=20),
        "multilabel": (rng.random((20, 4)) > [0.5, 0.5, 0.5, 1.0]).astype(float),  # a label nobody has
        "regression": np.where([True, True, True, False], rng.random((20, 4)), 0.5),  # a constant target
    }[task]
    told = [score_predictions(task, truth, one, np.ones((1, 20)))[metric][0] for one in scores]
    np.testing.assert_allclose(CHOOSING[metric](truth, scores), told, rtol=1e-12)
