"""Fine-tuning as a user meets it: what moves and what must not, what it writes, how it stops and goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mirclr.audio.decode import decode
from mirclr.datasets.collection import Collection
from mirclr.errors import CheckpointError, ConfigError, Interrupted, TrainingError, UsageError
from mirclr.features.encoder_file import load_encoder
from mirclr.features.head_file import load_head
from mirclr.models.embedder import Embedder
from mirclr.models.task_head import TaskHead
from mirclr.reports import finish
from mirclr.training import finetune as loop
from mirclr.training.balanced import BalancedSampler
from mirclr.training.checkpoint import BEST, LAST
from mirclr.training.finetune_learner import Tunable, freeze, layer_groups
from mirclr.training.finetune_start import begin
from mirclr.training.journal import read_journal
from mirclr.training.labelled import chosen_split
from tests.support.labelled_tones import PLAN, labelled, labelled_folder, tiny_encoder, tuning

MODES = ("head", "full", "lora")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labelled music in `music`, an encoder, and a cache that is filled once."""
    folder = tmp_path_factory.mktemp("labelled")
    labelled_folder(folder / "music")
    tiny_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def collection(ground: Path) -> Collection:
    return labelled(ground / "music")


@pytest.fixture(autouse=True)
def reports_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STEPS_BETWEEN_REPORTS", 4)


def tune(ground: Path, collection: Collection, run: Path, resume: bool = False, **over: object) -> loop.Finetuned:
    return finish(loop.finetune(collection, config(ground, **over), run, resume))


def config(ground: Path, **over: object) -> loop.FinetuneConfig:
    return tuning(ground / "cache", **{"encoder": str(ground), **over})


def steps(run: Path) -> list[dict[str, float]]:
    return [row for row in read_journal(run / "metrics.jsonl") if row["kind"] == "step"]


@pytest.fixture(scope="module", params=MODES)
def tuned(
    ground: Path, collection: Collection, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, loop.Finetuned]:
    """One run of each mode, and what it returned."""
    run = tmp_path_factory.mktemp("tuned") / request.param
    return run, tune(ground, collection, run, mode=request.param, budget={"steps": 40})


def test_it_learns_the_labels_and_answers_for_the_test_part(
    tuned: tuple[Path, loop.Finetuned], collection: Collection
) -> None:
    run, done = tuned
    p = done.predictions
    assert (p.scores.argmax(axis=1) == p.truth).all()
    np.testing.assert_allclose(p.scores.sum(axis=1), 1)
    test = collection.splits[0].test
    assert p.paths == tuple(collection.tracks["path"].iloc[test])
    np.testing.assert_array_equal(p.truth, collection.targets[test])
    assert done.notes == ("split part: 8 tracks to train on, 4 to stop by, 4 to test",)
    assert steps(run)[0]["loss"] == pytest.approx(np.log(2))  # the first answer is no answer
    assert steps(run)[-1]["loss"] < 0.5


def test_a_run_leaves_everything_it_promises(tuned: tuple[Path, loop.Finetuned]) -> None:
    run, done = tuned
    promised = {"config.json", "parts.csv", "quarantine.csv", "metrics.jsonl", "checkpoints", "encoder", "head"}
    assert {p.name for p in run.iterdir()} == promised | {"predictions.csv"}
    assert done.report["step"] == done.best_step
    table = pd.read_csv(run / "predictions.csv")
    assert list(table.columns) == ["path", "true", "predicted", "probability"]
    assert table["true"].tolist() == table["predicted"].tolist()
    assert pd.read_csv(run / "parts.csv")["part"].value_counts().to_dict() == {"train": 8, "valid": 4, "test": 4}
    story = json.loads((run / "encoder" / "encoder.json").read_text())["story"]
    assert story["notes"][0] == "a note of the encoder"
    assert "only the test part of that split is new to it" in story["notes"][1]


def test_the_exported_encoder_and_head_say_what_the_predictions_say(tuned: tuple[Path, loop.Finetuned]) -> None:
    """From the files alone, by the ordinary extractor: LoRA is merged, the best step's weights are there."""
    run, done = tuned
    encoder = load_encoder(run, "cpu")
    saved = load_head(run, encoder.fingerprint)
    assert saved.vocabulary == ("high", "low")
    for path, expected in zip(done.predictions.paths, done.predictions.scores, strict=True):
        segments, _ = encoder.segments(decode(path, encoder.sample_rate))
        scores = saved.head.scores(saved.head(torch.from_numpy(segments))).mean(0)
        np.testing.assert_allclose(scores.detach().numpy(), expected, atol=2e-3)


def test_a_checkpoint_is_an_encoder_too(tuned: tuple[Path, loop.Finetuned]) -> None:
    run, _ = tuned
    assert load_encoder(run / "checkpoints" / BEST, "cpu").fingerprint == load_encoder(run, "cpu").fingerprint


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "encoder" / "encoder.safetensors")


def test_a_frozen_encoder_does_not_move_by_a_bit_not_even_its_running_statistics(
    ground: Path, tuned: tuple[Path, loop.Finetuned]
) -> None:
    run, _ = tuned
    before, after = weights(ground), weights(run)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    convolutions = {name for name, t in before.items() if t.ndim == 4}
    expected = {"head": set(), "lora": convolutions}
    if run.name == "full":
        assert moved == {name for name in before if name.startswith("encoder.")}
    else:
        assert moved == expected[run.name]


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_the_first_depths_stay_where_they_were(ground: Path, collection: Collection, tmp_path: Path, mode: str) -> None:
    tune(ground, collection, tmp_path / "run", mode=mode, freeze=2)
    before, after = weights(ground), weights(tmp_path / "run")
    still = ("encoder.stem.", "encoder.stages.0.", "normalise.")
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith(still)} <= same
    assert any(name.startswith("encoder.stages.1.") for name in before.keys() - same)


def test_rates_shrink_with_the_distance_from_the_head(ground: Path) -> None:
    embedder = Embedder(PLAN)
    model = Tunable(embedder, TaskHead(embedder.dim, 2, "multiclass"))
    freeze(embedder, config(ground, freeze=1))
    groups = layer_groups(model, 0.1, 0.5)
    scale = {id(p): g["scale"] for g in groups for p in g["params"]}
    told = {name: scale.get(id(p)) for name, p in model.named_parameters()}
    assert {v for n, v in told.items() if n.startswith("head.")} == {1.0}
    assert {v for n, v in told.items() if n.startswith("embedder.encoder.stages.1.")} == {0.5}
    assert {v for n, v in told.items() if n.startswith("embedder.encoder.stages.0.")} == {0.25}
    assert {v for n, v in told.items() if n.startswith("embedder.encoder.stem.")} == {None}
    assert all(g["weight_decay"] == (0.1 if g["params"][0].ndim > 1 else 0) for g in groups)


def test_the_rates_reach_the_optimiser(ground: Path, collection: Collection) -> None:
    tuner = begin(collection, config(ground, optim={"layer_decay": 0.5})).tuner
    tuner.step(torch.randn(4, 16, 62), torch.eye(2)[[0, 1, 0, 1]], 0.01, 0)
    assert {group["lr"] for group in tuner.optimiser.param_groups} == {0.01, 0.005, 0.0025, 0.00125}


@pytest.mark.parametrize(("mode", "stop"), [("head", 3), ("full", 9), ("lora", 6)])
def test_interrupted_and_resumed_equals_never_stopped(
    ground: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, stop: int
) -> None:
    """Dropout, crops, effects, moments, averages and the patience all go on where they were."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    tune(ground, collection, whole, mode=mode)
    learn = loop._learn

    def stopping(tuning: loop.Tuning, *rest: object) -> float:
        loss = learn(tuning, *rest)
        if tuning.at.step == stop:
            loop._stop(tuning, "TEST")
        return loss

    monkeypatch.setattr(loop, "_learn", stopping)
    with pytest.raises(Interrupted, match=rf"TEST: saved at step {stop} of 12.*--resume"):
        tune(ground, collection, run, mode=mode)
    monkeypatch.setattr(loop, "_learn", learn)
    tune(ground, collection, run, resume=True, mode=mode)
    assert steps(run) == steps(whole)
    last = (load_file(folder / "checkpoints" / LAST) for folder in (run, whole))
    assert all(torch.equal(a, b) for a, b in zip(*(t.values() for t in last), strict=True))
    assert (run / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert load_encoder(run).fingerprint == load_encoder(whole).fingerprint


def test_a_finished_run_resumed_says_the_same_and_is_never_overwritten(
    ground: Path, collection: Collection, tmp_path: Path
) -> None:
    first = tune(ground, collection, tmp_path / "run")
    again = tune(ground, collection, tmp_path / "run", resume=True)
    assert (again.steps, again.best_step) == (first.steps, first.best_step)
    np.testing.assert_array_equal(again.predictions.scores, first.predictions.scores)
    with pytest.raises(UsageError, match="already holds a run; add --resume"):
        tune(ground, collection, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"finetune\.head\.dropout was 0\.2, is 0\.5"):
        tune(ground, collection, tmp_path / "run", resume=True, head={"dropout": 0.5})
    flipped = replace(collection, targets=1 - collection.targets)
    with pytest.raises(CheckpointError, match="other tracks"):
        tune(ground, flipped, tmp_path / "run", resume=True)


def test_effects_that_mix_items_mix_their_targets(
    ground: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[torch.Tensor, ...]] = []
    targets = loop._targets
    monkeypatch.setattr(loop, "_targets", lambda *given: (seen.append(targets(*given)), seen[-1])[1])
    tune(ground, collection, tmp_path / "mixed", augment={"spec": [{"name": "spec_mixup"}]}, budget={"steps": 6})
    mixed = torch.cat([part for part, *_ in seen])
    torch.testing.assert_close(mixed.sum(1), torch.ones(len(mixed)))
    assert ((mixed > 0.01) & (mixed < 0.99)).any()
    seen.clear()
    tune(ground, collection, tmp_path / "plain", budget={"steps": 6})
    assert set(torch.cat([part for part, *_ in seen]).unique().tolist()) == {0.0, 1.0}


def test_patience_ends_a_run_and_the_best_weights_are_exported(
    ground: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.7, 0.6, 0.5, 0.4])
    monkeypatch.setattr(loop, "_validated", lambda run: {"valid_score": next(scores)})
    done = tune(ground, collection, tmp_path / "run", patience=2, budget={"steps": 100})
    assert (done.steps, done.best_step) == (16, 8)
    best = load_encoder(tmp_path / "run" / "checkpoints" / BEST)
    assert best.fingerprint == load_encoder(tmp_path / "run").fingerprint
    assert best.fingerprint != load_encoder(tmp_path / "run" / "checkpoints" / LAST).fingerprint


def test_a_clock_ends_a_run_and_the_rate_comes_down(ground: Path, collection: Collection, tmp_path: Path) -> None:
    done = tune(ground, collection, tmp_path / "run", budget={"steps": None, "minutes": 0.015}, patience=None)
    assert done.steps > 4
    assert steps(tmp_path / "run")[-1]["learning_rate"] < 2e-3


def test_not_a_number_stops_with_advice(ground: Path, collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss became nan at step \d+ .*optim\.learning_rate"):
        tune(ground, collection, tmp_path / "run", optim={"learning_rate": 1e30, "warmup": 0, "ema_decay": 0})


def test_from_scratch_the_input_is_normalised_by_the_training_part(
    ground: Path, collection: Collection, tmp_path: Path
) -> None:
    plan = {"sample_rate": 8000, "seconds": 1.0, "frontend": PLAN["frontend"], "encoder": {"width": 4, "stages": 2}}
    done = tune(ground, collection, tmp_path / "run", encoder=None, plan=plan, budget={"steps": 40})
    assert (done.predictions.scores.argmax(axis=1) == done.predictions.truth).all()
    assert weights(tmp_path / "run")["normalise.std"].min() > 0.1


def test_weights_that_only_fit_in_part_are_listed_and_written_down(
    ground: Path, collection: Collection, tmp_path: Path
) -> None:
    plan = {"sample_rate": 8000, "seconds": 1.0, "frontend": PLAN["frontend"], "encoder": {"width": 4, "stages": 3}}
    with pytest.raises(CheckpointError, match=r"(?s)--allow-partial.*missing there: encoder\.stages\.2"):
        tune(ground, collection, tmp_path / "run", plan=plan)
    assert not (tmp_path / "run").exists()
    done = tune(ground, collection, tmp_path / "run", plan=plan, allow_partial=True)
    assert done.transferred is not None
    written = json.loads((tmp_path / "run" / "transfer.json").read_text())
    assert written["missing"] == list(done.transferred.missing) != []
    assert "normalise.mean" in written["loaded"]


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_several_labels_and_quantities(ground: Path, collection: Collection, tmp_path: Path, task: str) -> None:
    targets = np.eye(2, dtype=np.float32)[collection.targets]
    if task == "regression":
        targets = targets * 50 + 10
    other = replace(collection, kind=task, targets=targets)
    done = tune(ground, other, tmp_path / "run", budget={"steps": 60})
    assert np.abs(done.predictions.scores - done.predictions.truth).mean() < (0.3 if task == "multilabel" else 12)
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert table.groupby("label").size().to_dict() == {"high": 4, "low": 4}
    assert load_head(tmp_path / "run").head.task == task


def test_without_a_validation_part_whole_artists_are_cut_from_training(collection: Collection) -> None:
    split = collection.splits[0]
    none = replace(split, train=np.sort(np.r_[split.train, split.valid]), valid=np.zeros(0, np.int64))
    made = chosen_split(replace(collection, splits=[none]), None, seed=0)
    assert len(made.valid) > 0
    assert sorted([*made.train, *made.valid]) == none.train.tolist()
    assert not set(collection.groups[made.train]) & set(collection.groups[made.valid])
    np.testing.assert_array_equal(made.test, split.test)


def test_a_split_is_found_by_its_name_or_its_rules(collection: Collection) -> None:
    splits = [replace(collection.splits[0], name=name) for name in ("fold/0", "fold/1", "own")]
    several = replace(collection, splits=splits)
    found = [chosen_split(several, name, 0).name for name in (None, "fold", "fold/1", "own")]
    assert found == ["fold/0", "fold/0", "fold/1", "own"]
    with pytest.raises(UsageError, match=r"no split 'fold/2'\. Did you mean 'fold/"):
        chosen_split(several, "fold/2", 0)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"encoder": None}, "give an encoder to start from .* or a plan"),
        ({"allow_partial": True}, "allow_partial: is for moving the weights of an encoder into a plan"),
        ({"mode": "head", "freeze": 1}, "freeze: mode 'head' keeps the whole encoder"),
        ({"freeze": 4}, "freeze: this encoder has 3 depths, got 4"),
        ({"mode": "lora", "freeze": 3}, "lora: there is no Linear, Conv1d or Conv2d layer"),
        ({"mode": "lora", "lora": {"rank": 9}}, r"lora\.rank must be in 1\.\.4 for a 4 x 49 layer, got 9"),
        ({"augment": {"spec": [{"name": "tme_mask"}]}}, "Did you mean 'time_mask'"),
        ({"plan": {"encoder": {"name": "resnett"}}}, "Did you mean 'resnet'"),
    ],
)
def test_mistakes_are_found_before_anything_is_scanned(
    ground: Path, collection: Collection, tmp_path: Path, over: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        next(loop.finetune(collection, config(ground, **over), tmp_path / "run"))


def test_labels_that_no_head_can_learn_are_refused_before_anything_is_scanned(
    ground: Path, collection: Collection, tmp_path: Path
) -> None:
    quantities = replace(collection, kind="regression")
    settings = config(ground, balanced=True, head={"label_smoothing": 0.1})
    with pytest.raises(ConfigError, match="balanced: is for one label a track") as caught:
        next(loop.finetune(quantities, settings, tmp_path / "run"))
    assert "label_smoothing is for one label of several" in caught.value.problems[1]
    with pytest.raises(ConfigError, match=r"a regression head needs targets that are \(tracks, 2\) finite numbers"):
        next(loop.finetune(quantities, config(ground), tmp_path / "run"))


def test_an_encoder_that_is_not_there_is_said(ground: Path, collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no encoder here"):
        next(loop.finetune(collection, config(ground, encoder=str(tmp_path)), tmp_path / "run"))


class TestBalanced:
    LABELS = np.array([0] * 9 + [1] * 4 + [2] * 2)

    def sampler(self, batch: int = 6, seed: int = 0) -> BalancedSampler:
        ids = [f"track {n}" for n in range(15)]
        spans = [[(0, 100, 0.0)]] * 15
        return BalancedSampler(seed, self.LABELS, ids, spans, np.arange(15), clip=10, step_s=0.1, batch=batch)

    @pytest.mark.parametrize("batch", [2, 4, 6, 15])
    def test_every_track_has_its_turn_and_classes_come_equally_often(self, batch: int) -> None:
        sampler = self.sampler(batch)
        batches = list(sampler.epoch(0))
        assert {len(b) for b in batches} == {batch}
        tracks = np.concatenate([b.track[:, 0] for b in batches])
        assert set(tracks) == set(range(15))
        assert np.ptp(np.bincount(self.LABELS[tracks])) <= 1
        assert all(np.ptp(np.bincount(self.LABELS[b.track[:, 0]], minlength=3)) <= 2 for b in batches)

    def test_a_track_that_comes_again_is_heard_elsewhere(self) -> None:
        batches = list(self.sampler().epoch(3))
        places = [(t, v) for b in batches for t, v in zip(b.track[:, 0], b.visit, strict=True)]
        assert len(places) == len(set(places))
        starts = {t: [int(s) for b in batches for u, s in zip(b.track[:, 0], b.start[:, 0], strict=True) if u == t]
                  for t in (13, 14)}  # fmt: skip
        assert all(len(found) >= 4 and len(set(found)) > 1 for found in starts.values())

    def test_a_batch_depends_on_seed_epoch_and_number_alone(self) -> None:
        sampler = self.sampler()
        later = sampler.plan(2, 1)
        list(sampler.epoch(0))
        again, other = self.sampler().plan(2, 1), self.sampler(seed=1).plan(2, 1)
        np.testing.assert_array_equal(later.track, again.track)
        np.testing.assert_array_equal(later.start, again.start)
        assert not np.array_equal(later.track, other.track)


def test_balanced_batches_reach_the_training(ground: Path, collection: Collection, tmp_path: Path) -> None:
    split = collection.splits[0]
    high = [row for row in split.train if collection.targets[row] == 0]
    few = replace(split, train=np.array(sorted([*high, *[r for r in split.train if collection.targets[r] == 1][:1]])))
    lopsided = replace(collection, splits=[few])
    done = tune(ground, lopsided, tmp_path / "run", balanced=True)
    assert "5 tracks to train on" in done.notes[0]
    # Four of one class against one: eight places an epoch, two batches of four.
    assert [row["epoch"] for row in read_journal(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "epoch"] == [
        2,
        4,
        6,
    ]
