"""A fine-tuning run: its folder, its labels, where it is. Opened fresh or at its last checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mirclr.config import dump
from mirclr.datasets.tasks import FRAMEWISE
from mirclr.errors import UsageError
from mirclr.files import write_atomic
from mirclr.training.balanced import BalancedSampler
from mirclr.training.board import Board
from mirclr.training.checkpoint import BEST, LAST, Header, Position, load_checkpoint, save_checkpoint
from mirclr.training.finetune_config import FinetuneConfig
from mirclr.training.finetune_learner import Tuner
from mirclr.training.finetune_score import clips_of
from mirclr.training.finetune_start import Start, story_notes
from mirclr.training.frame_truth import FrameTruth
from mirclr.training.journal import Journal
from mirclr.training.labelled import Labelled
from mirclr.training.run_folder import RunFolder
from mirclr.training.schedules import Plan
from mirclr.training.source import Loaded, Source
from mirclr.training.views import Sampler

DEFAULT_MINUTES = 5.0
FITTED_TRACKS, FITTED_CLIPS = 256, 4
FITTED_EVERY = 8  # of the frames of those: their neighbours say the same


@dataclass
class Tuning(RunFolder):
    """What the loop touches. `targets` (n, ...) of the training tracks on the device; `aside`: crops of the target
    folder, where there is one; `truth`: of tasks of frames; `at` moves."""

    folder: Path
    config: FinetuneConfig
    start: Start
    labelled: Labelled
    source: Source
    aside: Source | None
    targets: Tensor
    truth: FrameTruth | None
    journal: Journal
    board: Board
    at: Position
    plan: Plan
    started: float

    @property
    def tuner(self) -> Tuner:
        """What learns."""
        return self.start.tuner

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.tuner.fabric.device
        return device

    @property
    def stale(self) -> int:
        """Reports since the best one."""
        return sum(row["step"] > self.at.best_step for row in self.journal.reports())

    @property
    def over(self) -> bool:
        """Whether the plan is done, or patience is."""
        patience = self.config.patience
        return self.plan.over(self.at.step, self.elapsed_s) or (patience is not None and self.stale >= patience)

    def batches(self) -> Iterator[tuple[Loaded, Loaded | None]]:
        """Batches from where the run stands, each with one of the target folder beside it.

        The target has epochs of its own length: its place is counted in steps, and needs no place in a checkpoint.
        """
        own = self.source.batches(self.at.epoch, self.at.batch, self.config.workers)
        if self.aside is None:
            yield from ((loaded, None) for loaded in own)
            return
        place = divmod(self.at.step, self.aside.sampler.batches_per_epoch)
        yield from zip(own, self.aside.batches(*place, self.config.workers), strict=True)

    def frames(self, source: Source, loaded: Loaded) -> Tensor:
        """Frames `(B, F, N)` of a batch, one crop an item, with their effects."""
        views, _ = source.views(loaded, self.tuner.bare.embedder.frontend, self.device)
        return views[0]

    def save(self, *, best: bool = False) -> None:
        """Write the last checkpoint and, before it, the best one: a run that is killed between the two comes to the
        best one again."""
        self.at.elapsed_s, self.at.planned = self.elapsed_s, self.plan.total
        bound = bound_to(self.config, self.start)
        header = Header(bound, self.labelled.digest, self.at, self.story(self.at.step))
        for name in (BEST, LAST) if best else (LAST,):
            save_checkpoint(self.folder / "checkpoints" / name, self.tuner, header)

    def take_best(self) -> None:
        """Go back to the weights of the best report."""
        _load(self.folder / "checkpoints" / BEST, self.start, self.config, self.labelled)

    def story(self, steps: int) -> dict[str, Any]:
        """What reports and stores say of the encoder."""
        labelled, target = self.labelled, self.labelled.target
        what = (labelled.collection.name, labelled.split, steps, len(labelled.train))
        aside = len(target.tracks) if target is not None else 0
        notes = story_notes(self.start.loaded, self.config, *what, aside)
        return {"name": self.folder.resolve().name, "steps": steps, "notes": notes}


def refuse_to_overwrite(folder: Path, resume: bool) -> None:
    """Raises UsageError when `folder` already holds a run and `resume` is off."""
    if not resume and (folder / "checkpoints" / LAST).exists():
        raise UsageError(f"{folder}: already holds a run; add --resume to go on with it, or choose another folder")


def open_tuning(start: Start, labelled: Labelled, config: FinetuneConfig, folder: Path) -> Tuning:
    """A run in `folder`, fresh or where its last checkpoint stands. Raises CheckpointError when that cannot be used."""
    began, tuner, at = time.monotonic(), start.tuner, Position()
    source, aside = _source(labelled, config, start), _aside(labelled, config, start)
    framewise = labelled.collection.kind in FRAMEWISE
    truth = FrameTruth.of(labelled, tuner.bare.embedder) if framewise else None
    last = folder / "checkpoints" / LAST
    if last.exists():
        at = _load(last, start, config, labelled)
    else:
        _fit(start, labelled, truth)
    plan = Plan(config.budget.steps) if config.budget.steps is not None else Plan(
        max(1, at.planned or 100), config.budget.minutes or DEFAULT_MINUTES
    )  # fmt: skip
    _write_inputs(folder, labelled, config, start)
    targets = torch.from_numpy(labelled.collection.targets[labelled.train.rows]).to(tuner.fabric.device)
    journal = Journal(folder / "metrics.jsonl", at.step)
    board = Board(folder / "tensorboard", config.tensorboard, at.step)
    return Tuning(
        folder, config, start, labelled, source, aside, targets, truth, journal, board, at, plan, began - at.elapsed_s
    )


def _load(path: Path, start: Start, config: FinetuneConfig, labelled: Labelled) -> Position:
    return load_checkpoint(path, start.tuner, bound_to(config, start), labelled.digest)


def bound_to(config: FinetuneConfig, start: Start) -> dict[str, Any]:
    """The settings a checkpoint cannot go on without: those of the data path, and under `finetune` our own."""
    own = config.model_dump(mode="json", exclude={"cache", "budget", "threads", "device", "tensorboard", "workers"})
    return {**start.settings.model_dump(mode="json"), "finetune": own}


def _source(labelled: Labelled, config: FinetuneConfig, start: Start) -> Source:
    """One crop of every training track an epoch, or of every class equally many."""
    material = labelled.training_material()
    ids = list(material.tracks["id"])
    spans = [material.store.spans(track) for track in ids]
    artists = labelled.collection.groups[labelled.train.rows]
    options: dict[str, Any] = {"clip": material.clip, "step_s": material.step_s, "batch": config.optim.batch}
    if config.balanced:
        labels = labelled.collection.targets[labelled.train.rows]
        sampler: Sampler = BalancedSampler(config.seed, labels, ids, spans, artists, **options)
    else:
        sampler = Sampler(config.seed, ids, spans, artists, count=1, **options)
    return Source(material, sampler, start.settings)


def _aside(labelled: Labelled, config: FinetuneConfig, start: Start) -> Source | None:
    """One crop of every track of the target folder an epoch of its own, with the effects of the training part: else
    what effects do would tell the two apart."""
    material = labelled.target
    if material is None or config.adapt is None:
        return None
    ids, batch = list(material.tracks["id"]), config.adapt.batch or config.optim.batch
    sampler = Sampler(
        config.seed, ids, [material.store.spans(track) for track in ids], np.full(len(ids), -1),
        clip=material.clip, step_s=material.step_s, batch=batch, count=1,
    )  # fmt: skip
    return Source(material, sampler, start.settings)


def _fit(start: Start, labelled: Labelled, truth: FrameTruth | None) -> None:
    """What is measured rather than learned: input normalisation of an encoder that has none, the head's first
    statistics, the unit of a regression."""
    model, device = start.tuner.bare, start.tuner.fabric.device
    model.eval()
    every = max(1, len(labelled.train) // FITTED_TRACKS)
    ids, material = labelled.train.ids[::every], labelled.material
    clips = [clips_of(model.embedder, material, track, device, FITTED_CLIPS) for track in ids]
    if not start.loaded.normalised:
        model.embedder.fit(clips)
    with torch.no_grad():
        rows = [model.features(part).float() for part in clips]
        model.head.fit(torch.cat([r[:, ::FITTED_EVERY].flatten(0, 1) if truth else r for r in rows]))
    targets = truth.rates() if truth else torch.from_numpy(labelled.collection.targets[labelled.train.rows])
    model.head.fit_targets(targets.to(device))
    start.tuner.average_all()


def _write_inputs(folder: Path, labelled: Labelled, config: FinetuneConfig, start: Start) -> None:
    """What the run was given, beside what it makes."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "config.json", dump(config))
    parts = {"train": labelled.train, "valid": labelled.valid, "test": labelled.test}
    rows = np.concatenate([part.rows for part in parts.values()])
    names = np.repeat(list(parts), [len(part) for part in parts.values()])
    table = pd.DataFrame({"path": labelled.collection.tracks["path"].iloc[rows].to_numpy(), "part": names})
    if labelled.target is not None:
        table = pd.concat([table, labelled.target.tracks[["path"]].assign(part="target")])
    write_atomic(folder / "parts.csv", table.to_csv(index=False))
    write_atomic(folder / "quarantine.csv", labelled.quarantine.to_csv(index=False))
    if start.loaded.report is not None:
        write_atomic(folder / "transfer.json", json.dumps(start.loaded.report.to_json(), indent=2) + "\n")
