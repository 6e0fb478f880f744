"""The task head: equations of its losses, what standardising does, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mirclr.models.task_head import TASKS, TaskHead, as_shares


def head(task: str, inputs: int = 6, outputs: int = 3, **options: object) -> TaskHead:
    torch.manual_seed(0)
    return TaskHead(inputs, outputs, task, **options)


def awake(made: TaskHead) -> TaskHead:
    """With a last layer that is not zero."""
    torch.nn.init.normal_(made.map[-1].weight)
    return made


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("hidden", [(), (8,), (8, 5)])
def test_frames_are_answered_as_clips_are(task: str, hidden: tuple[int, ...]) -> None:
    made = awake(head(task, hidden=hidden)).eval()
    frames = torch.randn(2, 7, 6)
    out = made(frames)
    assert out.shape == (2, 7, 3)
    torch.testing.assert_close(out[1], made(frames[1]))
    assert len([m for m in made.map if isinstance(m, torch.nn.Linear)]) == len(hidden) + 1


def test_the_first_answer_is_the_same_for_everything_and_moves_no_encoder() -> None:
    made, x = head("multiclass", hidden=(8,)), torch.randn(5, 6, requires_grad=True)
    assert torch.equal(made.scores(made(x)), torch.full((5, 3), 1 / 3))
    made.loss(made(x), torch.tensor([0, 1, 2, 0, 1])).backward()
    assert x.grad is not None
    assert x.grad.abs().max() == 0


@pytest.mark.parametrize("shape", [(40, 6), (4, 10, 6)])
def test_scale_and_offset_of_the_embedding_do_not_matter_in_training(shape: tuple[int, ...]) -> None:
    made, x = awake(head("multiclass")).train(), torch.randn(shape)
    scaled = x * torch.tensor([1e3, 0.1, 1, 5, 70, 1]) + 40
    torch.testing.assert_close(made(x), made(scaled), atol=1e-2, rtol=1e-3)


def test_fitted_it_standardises_by_the_statistics_it_was_given() -> None:
    made, x = awake(head("multiclass")).eval(), torch.randn(500, 6) * 3 + 7
    made.fit(x)
    by_hand = (x - x.mean(0)) / (x.var(0) + made.standardise.eps).sqrt()
    torch.testing.assert_close(made(x), made.map(by_hand), atol=1e-4, rtol=1e-4)


def slow_loss(task: str, logits: Tensor, target: Tensor, smoothing: float = 0.0) -> float:
    """The equations, one example at a time."""
    total = 0.0
    for row, wanted in zip(logits.double().tolist(), target.tolist(), strict=True):
        if task == "multiclass":
            normaliser = math.log(sum(math.exp(v) for v in row))
            share = wanted if isinstance(wanted, list) else [float(k == wanted) for k in range(len(row))]
            smooth = [(1 - smoothing) * p + smoothing / len(row) for p in share]
            total -= sum(p * (v - normaliser) for p, v in zip(smooth, row, strict=True))
        else:
            on = [1 / (1 + math.exp(-v)) for v in row]
            each = [y * math.log(p) + (1 - y) * math.log(1 - p) for p, y in zip(on, wanted, strict=True)]
            total -= sum(each) / len(row)
    return total / len(logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_the_equation_for_classes_and_for_shares(smoothing: float) -> None:
    made, logits = head("multiclass", label_smoothing=smoothing), torch.randn(5, 3)
    classes = torch.tensor([0, 2, 1, 1, 0])
    expected = slow_loss("multiclass", logits, classes, smoothing)
    assert made.loss(logits, classes).item() == pytest.approx(expected, abs=1e-6)
    assert made.loss(logits, as_shares(classes, 3)).item() == pytest.approx(expected, abs=1e-6)
    mixed = torch.rand(5, 3).softmax(1)
    assert made.loss(logits, mixed).item() == pytest.approx(slow_loss("multiclass", logits, mixed, smoothing), abs=1e-6)


def test_binary_cross_entropy_is_the_equation() -> None:
    logits, labels = torch.randn(5, 3), torch.rand(5, 3)
    expected = slow_loss("multilabel", logits, labels)
    assert head("multilabel").loss(logits, labels).item() == pytest.approx(expected, abs=1e-6)


def test_a_regression_learns_in_deviations_and_answers_in_the_targets_unit() -> None:
    made = head("regression")
    targets = torch.randn(50, 3) * torch.tensor([100.0, 1.0, 0.01]) + torch.tensor([5.0, -2.0, 0.5])
    made.fit_targets(targets)
    standard = (targets - targets.mean(0)) / targets.std(0, correction=0)
    torch.testing.assert_close(made.scores(standard), targets, atol=1e-4, rtol=1e-4)
    assert made.loss(standard, targets).item() == pytest.approx(0, abs=1e-8)
    assert made.loss(torch.zeros(50, 3), targets).item() == pytest.approx(1, abs=1e-5)
    assert made.score_loss(targets.mean(0).expand(50, 3), targets).item() == pytest.approx(1, abs=1e-5)


def test_a_target_that_never_varies_is_refused() -> None:
    with pytest.raises(ValueError, match="target 1 is the same for every training track"):
        head("regression").fit_targets(torch.tensor([[1.0, 2.0, 3.0], [4.0, 2.0, 5.0]]))


@pytest.mark.parametrize("task", TASKS)
def test_weights_of_zero_are_padding(task: str) -> None:
    made, outputs = head(task), torch.randn(2, 5, 3)
    targets = torch.randint(0, 3, (2, 5)) if task == "multiclass" else torch.rand(2, 5, 3)
    weights = torch.tensor([[1.0, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    kept = weights.bool()
    expected = made.loss(outputs[kept], targets[kept])
    torch.testing.assert_close(made.loss(outputs, targets, weights), expected)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_loss_of_scores_is_that_of_their_logits(task: str) -> None:
    made, outputs = head(task), torch.randn(9, 3)
    targets = torch.randint(0, 3, (9,)) if task == "multiclass" else torch.randint(0, 2, (9, 3)).float()
    torch.testing.assert_close(made.score_loss(made.scores(outputs), targets), made.loss(outputs, targets))


def test_gradient_reaches_every_weight() -> None:
    made = awake(head("multiclass", hidden=(8,)))
    made.loss(made(torch.randn(9, 6)), torch.randint(0, 3, (9,))).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in made.parameters())


def test_its_plan_rebuilds_it() -> None:
    made = awake(head("regression", hidden=(8,), dropout=0.3)).fit_targets(torch.randn(4, 3)).eval()
    again = TaskHead(**made.plan).eval()
    again.load_state_dict(made.state_dict())
    x = torch.randn(4, 6)
    assert torch.equal(again.scores(again(x)), made.scores(made(x)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "ranking"}, "head.task must be one of multiclass, multilabel, regression, got 'ranking'"),
        ({"hidden": (8, 0)}, "head.hidden must be a whole number >= 1, got 0"),
        ({"dropout": 1.0}, r"head.dropout must be in 0\.\.1, 1 excluded, got 1.0"),
        ({"label_smoothing": 0.1, "task": "regression"}, "label_smoothing is for one label of several"),
        ({"outputs": 1}, "head.outputs must be at least 2"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TaskHead(**{"inputs": 6, "outputs": 3, "task": "multiclass", **options})


@pytest.mark.parametrize(
    ("task", "targets", "said"),
    [
        ("regression", torch.tensor([0, 1, 2]), r"a regression head needs targets that are \(tracks, 3\) finite"),
        ("regression", torch.full((4, 3), torch.nan), "finite numbers, got float32"),
        ("multiclass", torch.tensor([0, 3]), r"whole numbers in 0\.\.2, got int64 \(2,\)"),
        ("multiclass", torch.rand(4, 3), "whole numbers"),
        ("multilabel", torch.full((4, 3), 2.0), r"in 0\.\.1"),
        ("multilabel", torch.rand(4, 2), r"\(tracks, 3\) finite numbers in 0\.\.1, got float32 \(4, 2\)"),
    ],
)
def test_targets_it_cannot_learn_are_refused(task: str, targets: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        head(task).check_targets(targets)


def test_outputs_and_targets_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiclass outputs \(4, 3\) and targets \(5,\) do not fit"):
        head("multiclass").loss(torch.randn(4, 3), torch.zeros(5, dtype=torch.int64))


def test_a_head_of_frames_begins_with_how_often_each_output_is_there() -> None:
    made = head("multilabel", outputs=2, framewise=True).eval()
    made.fit_targets(torch.tensor([[0.1, 0.0], [0.3, 0.0]]))
    answer = made.scores(made(torch.randn(4, 9, 6)))
    torch.testing.assert_close(answer[..., 0], torch.full((4, 9), 0.2))
    assert answer[0, 0, 1].item() == pytest.approx(1e-4, rel=1e-3)  # one that never occurs can still be learned
    assert made.thresholds.tolist() == [0.5, 0.5]
    again = TaskHead(**made.plan)
    again.load_state_dict(made.state_dict())
    assert again.framewise


def test_padded_frames_weigh_nothing() -> None:
    made = awake(head("multilabel", outputs=2, framewise=True)).eval()
    out, targets = made(torch.randn(2, 5, 6)), torch.rand(2, 5, 2).round()
    weights = torch.tensor([[1.0] * 5, [1.0, 1.0, 0.0, 0.0, 0.0]])
    expected = made.loss(torch.cat([out[0], out[1, :2]])[None], torch.cat([targets[0], targets[1, :2]])[None])
    torch.testing.assert_close(made.loss(out, targets, weights), expected)


def test_frames_are_for_several_labels_only() -> None:
    with pytest.raises(ValueError, match="framewise is for several labels a frame, this task is multiclass"):
        head("multiclass", framewise=True)
