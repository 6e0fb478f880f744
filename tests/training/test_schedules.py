"""The learning rate's curve and the clock's plan, by closed form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mirclr.config import PretrainConfig, parse_set, validate
from mirclr.training.journal import Journal, read_journal
from mirclr.training.schedules import Plan, decay_groups, warmup_cosine
from mirclr.training.verdict import not_a_number, outlook


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0), (2.0, 0.0)]
)
def test_linear_to_one_then_half_a_cosine_to_zero(progress: float, factor: float) -> None:
    assert warmup_cosine(progress, 0.1) == pytest.approx(factor, abs=1e-12)


def test_without_warmup_it_starts_at_one() -> None:
    assert warmup_cosine(0.0, 0.0) == 1.0


def test_a_count_of_steps_never_moves() -> None:
    plan = Plan(100)
    plan.replan(50, 1e6, 1.0)
    assert plan.total == 100
    assert [plan.over(step, 1e9) for step in (99, 100)] == [False, True]


def test_a_clock_follows_the_measured_speed_and_ends_on_time() -> None:
    plan = Plan(1, minutes=10)
    plan.replan(0, 0.0, 1.0)
    assert plan.total == 600
    plan.replan(100, 200.0, 2.0)
    assert plan.total == 300
    assert not plan.over(150, 599.9)
    assert plan.over(150, 600.0)
    plan.replan(299, 599.0, 2.0)
    assert plan.total == 300


def test_only_matrices_decay() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    decayed, spared = decay_groups(list(layer.named_parameters()), 0.1)
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3)]
    assert all(p.ndim == 1 for p in spared["params"])
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


def test_the_journal_drops_what_came_after_the_checkpoint_and_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [{"kind": "step", "step": n, "loss": 1 / n} for n in range(1, 6)]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"kind": "st')
    journal = Journal(path, 3)
    journal.write({"kind": "step", "step": 4, "loss": 0.1})
    journal.close()
    assert read_journal(path) == [*rows[:3], {"kind": "step", "step": 4, "loss": 0.1}]
    assert journal.losses_since(2) == [1 / 3, 0.1]


def reports(scores: list[float]) -> list[dict[str, float]]:
    return [{"step": 10 * (i + 1), "held_out_reciprocal_rank": s} for i, s in enumerate(scores)]


def test_the_outlook_tells_a_rise_from_noise() -> None:
    rising = outlook(reports([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]), Plan(80), 60, 100, 50)
    assert "still rising" in rising
    assert "80 steps in 1:00; every track was seen about 40 times" in rising
    flat = outlook(reports([0.1, 0.4, 0.5, 0.6, 0.5, 0.6, 0.6, 0.5]), Plan(80), 60, 100, 50)
    assert "within its noise" in flat
    assert "Too few" in outlook(reports([0.1]), Plan(80), 60, 100, 50)


def test_only_what_is_no_number_is_trouble() -> None:
    assert not_a_number(1e30, 1, 0.1) is None
    assert "became inf at step 7" in str(not_a_number(float("inf"), 7, 0.1))


def test_a_part_without_a_name_is_the_default_part_with_other_options() -> None:
    config = validate(PretrainConfig, parse_set(["encoder.width=48", "loss.temperature=2e-1"]), "test")
    assert (config.encoder.name, config.encoder.options) == ("resnet", {"width": 48})
    assert (config.loss.name, config.loss.options) == ("dcl", {"temperature": 0.2})
    other = validate(PretrainConfig, {"loss": {"name": "nt_xent"}}, "test")
    assert (other.loss.name, other.loss.options) == ("nt_xent", {})


def test_options_given_before_the_name_of_their_part_are_its_own() -> None:
    one = parse_set(["loss.temperature=0.2", "loss.name=supcon"])
    assert (
        one
        == parse_set(["loss.name=supcon", "loss.temperature=0.2"])
        == {"loss": {"name": "supcon", "temperature": 0.2}}
    )
    # Those of another part that was named are not.
    assert parse_set(["loss.name=nt_xent", "loss.temperature=0.2", "loss.name=margin"]) == {"loss": {"name": "margin"}}


def test_a_clock_goes_no_farther_than_the_most_steps() -> None:
    plan = Plan(1, minutes=10, most=400)
    plan.replan(0, 0.0, 1.0)
    assert (plan.total, plan.cut) == (400, True)
    plan.replan(100, 500.0, 5.0)
    assert (plan.total, plan.cut) == (120, False)
    plan.replan(399, 399.0, 1.0)
    assert plan.total == 400
    assert plan.over(400, 400.0)
    assert not Plan(100, most=10).over(50, 0.0), "a count of steps is what was asked for"
