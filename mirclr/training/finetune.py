"""Supervised fine-tuning: labels move a head, and as much of an encoder as is asked for.

A step: planned crops -> effects -> log-mel -> encoder and head -> loss -> AdamW -> moving average. With a target folder
crops of its music go along, and how far their embeddings lie from those of the collection is part of the loss. Every
report scores the validation tracks by the moving average; the best report's weights are exported, and they alone answer
for the test part, once, at the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mirclr.datasets.collection import Collection
from mirclr.datasets.tasks import Task
from mirclr.errors import Interrupted, TrainingError
from mirclr.events.thresholds import choose_thresholds
from mirclr.features.encoder import fingerprint_of
from mirclr.features.encoder_file import save_encoder
from mirclr.features.head_file import save_head
from mirclr.files import write_atomic
from mirclr.models.task_head import as_shares
from mirclr.reports import Progress, Work, finish
from mirclr.training.finetune_config import FinetuneConfig
from mirclr.training.finetune_run import Tuning, open_tuning, refuse_to_overwrite
from mirclr.training.finetune_score import measure_rows, prediction_rows, score_tracks
from mirclr.training.finetune_start import begin
from mirclr.training.frame_truth import FrameTruth, frame_loss, hear, score_heard
from mirclr.training.interrupt import StopWish, stop_on_signal
from mirclr.training.labelled import read_labelled, read_target
from mirclr.training.schedules import warmup_cosine
from mirclr.training.source import Loaded
from mirclr.training.transfer import TransferReport

# As in pretraining: an epoch of a small collection is a few steps, and validation costs as much as some of them.
STEPS_BETWEEN_REPORTS = 25
SECONDS_BETWEEN_CHECKPOINTS = 20.0
VALID_CLIPS = 4  # of a track, evenly spaced: enough to choose by, a quarter of the cost of all
FIRST_LOOKS = (4, 16)  # steps after which a clock's plan is corrected, before the first report does it


@dataclass(frozen=True)
class Predictions:
    """The test part of a collection that asks for `task`: `paths` (M), `truth` as in the collection's
    targets, `scores` (M, K), artists `groups` (M,). Of frames neither truth nor scores are kept, but `values`: what
    every track reached in every measure."""

    task: Task
    vocabulary: tuple[str, ...]
    split: str
    paths: tuple[str, ...]
    truth: np.ndarray
    scores: np.ndarray
    groups: np.ndarray
    values: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Finetuned:
    """Folders of the exported `encoder` and `head`; `steps` done and the `best_step` that was exported; the report at
    that step; `predictions` of the test part; what was transferred; `notes`; what was left out (`quarantine`)."""

    encoder: Path
    head: Path
    steps: int
    best_step: int
    report: dict[str, Any]
    predictions: Predictions
    transferred: TransferReport | None
    notes: tuple[str, ...]
    quarantine: pd.DataFrame


@dataclass
class Meter:
    """Clocks between two reports."""

    began: float
    saved: float
    clips: int = 0


def finetune(collection: Collection, config: FinetuneConfig, folder: Path, resume: bool = False) -> Work[Finetuned]:
    """Train on one split of `collection` from an encoder and export encoder and head.

    Trains on the training part, stops by the validation part, answers for the test part. Writes to `folder`:
    config.json, parts.csv, quarantine.csv, metrics.jsonl, checkpoints/, encoder/, head/, predictions.csv, and
    transfer.json where weights were moved into another plan. With `resume` it goes on from the last checkpoint, on a
    CPU to the bit as if it had never stopped.

    Raises ConfigError, UsageError, CheckpointError as `begin`, before anything is decoded; DatasetError when a part has
    no readable track; TrainingError when the loss is no number; Interrupted after SIGINT or SIGTERM, with all saved.
    """
    refuse_to_overwrite(folder, resume)
    start = begin(collection, config)
    target = (yield from read_target(config.target, start.settings)) if config.target is not None else None
    labelled = yield from read_labelled(collection, start.split, start.settings, target)
    run = open_tuning(start, labelled, config, folder)
    with stop_on_signal() as wish:
        try:
            yield from _train(run, wish)
            return (yield from _export(run))
        finally:
            run.journal.close()
            run.board.close()


def _train(run: Tuning, wish: StopWish) -> Work[None]:
    """Steps until the plan or the patience is over, a report at the end of every stretch of epochs."""
    meter = Meter(time.monotonic(), time.monotonic())
    batches = run.batches()
    while not run.over:
        loss = _learn(run, meter, batches)
        ends = run.plan.over(run.at.step, run.elapsed_s)
        if ends or (run.at.batch == 0 and run.at.step - run.at.last_report >= STEPS_BETWEEN_REPORTS):
            _report(run, meter)
        if ends:
            run.plan.total = run.at.step  # the clock's end or the plan's, whichever came first, is the end
        yield Progress("train", run.at.step, run.plan.total, f"loss {loss:.3f}")
        if wish.name is not None:
            _stop(run, wish.name)


def _learn(run: Tuning, meter: Meter, batches: Iterator[tuple[Loaded, Loaded | None]]) -> float:
    """One step; moves the position past the batch and writes the journal's line."""
    loaded, other = next(batches)
    frames = run.frames(run.source, loaded)
    aside = None if run.aside is None or other is None else run.frames(run.aside, other)
    optim = run.config.optim
    rate = optim.learning_rate * warmup_cosine(run.plan.progress(run.at.step), optim.warmup)
    targets, weights = _targets(run, loaded, frames.shape[2])
    learned = run.tuner.step(frames, targets, rate, run.at.step, aside, weights)
    loss = learned.loss.item()
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} at step {run.at.step + 1} (learning rate {rate:.2g}). The last checkpoint is from "
            f"before that. Try --set optim.learning_rate={rate / 3:.1g} or --set precision=32"
        )
    meter.clips += len(frames) + (0 if aside is None else len(aside))
    run.at.step += 1
    last = loaded.index + 1 == run.source.sampler.batches_per_epoch
    run.at.epoch, run.at.batch = (loaded.epoch + 1, 0) if last else (loaded.epoch, loaded.index + 1)
    aligned = {} if learned.alignment is None else {"alignment": learned.alignment.item()}
    run.journal.write({"kind": "step", "step": run.at.step, "loss": loss, "learning_rate": rate, **aligned})
    if run.at.step in FIRST_LOOKS:
        run.plan.replan(run.at.step, run.elapsed_s, run.elapsed_s / run.at.step)
    return loss


def _targets(run: Tuning, loaded: Loaded, frames: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The targets of a batch, `(B, K)`: where effects mix items, the mix of their targets in the same shares; of tasks
    of frames `(B, N', K)` and their weights `(B, N')`."""
    if run.truth is not None:
        targets, weights = run.truth.batch(loaded.planned, frames)
        return targets.to(run.device), weights.to(run.device)
    own = run.targets[torch.from_numpy(loaded.planned.track[:, 0]).to(run.device)]
    targets = as_shares(own, run.tuner.bare.head.outputs)
    for chain, drawn in ((run.source.wave, loaded.wave), (run.source.spec, loaded.spec)):
        if chain.steps:
            targets = chain.label_weights(drawn).to(targets) @ targets
    return targets, None


def _report(run: Tuning, meter: Meter) -> None:
    """Score the validation part, write the report, keep the checkpoint."""
    took = max(1e-9, time.monotonic() - meter.began)
    losses = run.journal.losses_since(run.at.last_report)
    row = {
        "kind": "epoch",
        "step": run.at.step,
        "epoch": run.at.epoch,
        "loss": sum(losses) / len(losses),
        **_aligned(run),
        "learning_rate": run.journal.rows[-1]["learning_rate"],
        "clips_per_s": meter.clips / took,
        **_validated(run),
    }
    run.journal.write(row)
    run.board.write(row)
    run.at.last_report = run.at.step
    run.plan.replan(run.at.step, run.elapsed_s, run.elapsed_s / run.at.step)
    best = row["valid_score"] > run.at.best
    if best:
        run.at.best, run.at.best_step = row["valid_score"], run.at.step
    if best or time.monotonic() - meter.saved > SECONDS_BETWEEN_CHECKPOINTS:
        run.save(best=best)
        meter.saved = time.monotonic()
    meter.began, meter.clips = time.monotonic(), 0


def _aligned(run: Tuning) -> dict[str, float]:
    """The mean alignment since the last report, where there is one."""
    steps = [row for row in run.journal.rows if row["kind"] == "step" and row["step"] > run.at.last_report]
    values = [row["alignment"] for row in steps if "alignment" in row]
    return {"alignment": sum(values) / len(values)} if values else {}


def _validated(run: Tuning) -> dict[str, float]:
    """Loss of the validation tracks, for one label a track their accuracy, and the score that chooses.

    The score is accuracy, and of equal accuracies the smaller loss: exp(-loss) lies in 0..1 and counts less than one
    track. Loss alone would stop a network that grows sure of itself while it still gets better. Elsewhere it decides.
    """
    labelled, head = run.labelled, run.tuner.average.head
    if run.truth is not None:
        heard = finish(hear(run.tuner.average, labelled, labelled.valid, run.device, "valid"))
        loss = frame_loss(run.truth.kind, heard, run.truth.step_s)
        return {"valid_loss": loss, "valid_score": math.exp(-loss)}
    work = score_tracks(run.tuner.average, labelled.material, labelled.valid.ids, run.device, "valid", VALID_CLIPS)
    scores = torch.from_numpy(finish(work)).to(run.device)
    truth = torch.from_numpy(labelled.collection.targets[labelled.valid.rows]).to(run.device)
    loss = float(head.score_loss(scores, truth))
    if labelled.collection.task != "multiclass":
        return {"valid_loss": loss, "valid_score": math.exp(-loss)}
    accuracy = float((scores.argmax(dim=1) == truth).double().mean())
    return {
        "valid_loss": loss,
        "valid_accuracy": accuracy,
        "valid_score": accuracy + math.exp(-loss) / (len(truth) + 1),
    }


def _stop(run: Tuning, signal_name: str) -> None:
    run.save()
    raise Interrupted(
        f"{signal_name}: saved at step {run.at.step} of {run.plan.total} in {run.last}; the same command with --resume "
        "goes on from there"
    )


def _export(run: Tuning) -> Work[Finetuned]:
    """The last checkpoint, then the best one's encoder, head and answers for the test part."""
    run.save()
    run.take_best()
    if run.truth is not None:
        yield from _choose_thresholds(run, run.truth)
    embedder, head = run.tuner.exported()
    collection = run.labelled.collection
    encoder, beside = run.folder / "encoder", run.folder / "head"
    save_encoder(encoder, embedder, run.story(run.at.best_step))
    save_head(beside, head, collection.vocabulary, fingerprint_of(embedder))
    predictions = yield from _tested(run)
    p = predictions
    rows = measure_rows(p.paths, p.values) if p.values else prediction_rows(
        p.task, p.vocabulary, p.paths, p.truth, p.scores
    )  # fmt: skip
    write_atomic(run.folder / "predictions.csv", pd.DataFrame(rows).to_csv(index=False))
    reports = {row["step"]: row for row in run.journal.reports()}
    return Finetuned(
        encoder,
        beside,
        run.at.step,
        run.at.best_step,
        reports[run.at.best_step],
        predictions,
        run.start.loaded.report,
        run.labelled.notes,
        run.labelled.quarantine,
    )


def _choose_thresholds(run: Tuning, truth: FrameTruth) -> Work[None]:
    """What counts as an event, by the validation part, for the model that is exported."""
    heard = yield from hear(run.tuner.average, run.labelled, run.labelled.valid, run.device, "valid")
    chosen = choose_thresholds(truth.kind, [h.scores for h in heard], [h.truth for h in heard], truth.step_s)
    run.tuner.average.head.thresholds.copy_(torch.from_numpy(chosen))


def _heard_tested(run: Tuning, truth: FrameTruth) -> Work[Predictions]:
    """Measures of every test track."""
    labelled, collection = run.labelled, run.labelled.collection
    heard = yield from hear(run.tuner.average, labelled, labelled.test, run.device, "test")
    thresholds = run.tuner.average.head.thresholds.cpu().numpy()
    values = score_heard(truth.kind, heard, len(labelled.test), truth.step_s, thresholds)
    rows = labelled.test.rows
    paths, groups = tuple(collection.tracks["path"].iloc[rows]), collection.groups[rows]
    nothing = np.zeros((len(rows), 0))
    return Predictions(collection.kind, collection.vocabulary, labelled.split, paths, nothing, nothing, groups, values)


def _tested(run: Tuning) -> Work[Predictions]:
    labelled, collection = run.labelled, run.labelled.collection
    rows = labelled.test.rows
    if run.truth is not None:
        return (yield from _heard_tested(run, run.truth))
    scores = yield from score_tracks(run.tuner.average, labelled.material, labelled.test.ids, run.device, "test")
    paths = tuple(collection.tracks["path"].iloc[rows])
    truth, groups = collection.targets[rows], collection.groups[rows]
    return Predictions(collection.kind, collection.vocabulary, labelled.split, paths, truth, scores, groups)
