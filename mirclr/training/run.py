"""A run: its folder, what it trains on, where it is. Opened fresh or at its last checkpoint."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor

from mirclr.config import PretrainConfig, dump
from mirclr.errors import TrainingError, UsageError
from mirclr.files import write_atomic
from mirclr.models.frontend_base import Frontend
from mirclr.training.artists import artist_keys
from mirclr.training.board import Board
from mirclr.training.checkpoint import BEST, LAST, Header, Position, load_checkpoint, save_checkpoint
from mirclr.training.device import make_fabric
from mirclr.training.held_out import HeldOut, hold_out
from mirclr.training.journal import Journal
from mirclr.training.learner import Learner
from mirclr.training.material import Material
from mirclr.training.prepared import Prepared
from mirclr.training.processes import ALONE, Seat, agreed, seat
from mirclr.training.run_folder import RunFolder
from mirclr.training.schedules import Plan
from mirclr.training.source import Loaded, Source
from mirclr.training.transfer import TransferReport, transfer
from mirclr.training.views import Sampler

DEFAULT_MINUTES = 10.0
FEWEST_ARTISTS = 4


@dataclass
class Run(RunFolder):
    """Everything the loop touches. `at` moves; `started` is the clock's origin, earlier by what was already spent."""

    folder: Path
    config: PretrainConfig
    material: Material
    learner: Learner
    source: Source
    held: HeldOut
    journal: Journal
    board: Board
    at: Position
    plan: Plan
    started: float

    def save(self, *, best: bool = False) -> None:
        """Write the last checkpoint and, when it is the best so far, the best one."""
        self.at.elapsed_s, self.at.planned = self.elapsed_s, self.plan.total
        if not self.source.place.first:
            return
        header = Header(self.config.model_dump(mode="json"), self.material.collection, self.at, self.story())
        for name in (LAST, BEST) if best else (LAST,):
            save_checkpoint(self.folder / "checkpoints" / name, self.learner, header)

    def story(self) -> dict[str, Any]:
        """What reports and stores say of the encoder."""
        artists, why = usable_artists(self.material.tracks)
        known = int((artists >= 0).sum())
        chance = self.config.views.artist_positive
        notes = [f"pretrained {self.at.step} steps on {len(self.material.tracks)} tracks"]
        if chance > 0 and known:
            notes.append(f"artist tags of {known} tracks made positives (p = {chance:g}): same-artist retrieval on "
                         "those tracks is not blind")  # fmt: skip
        if why:
            notes.append(why)
        notes += _told(self)
        return {"name": self.folder.resolve().name, "steps": self.at.step, "notes": notes}

    def prepared(self, loaded: Loaded) -> Prepared:
        """A batch on the device, as the objective wants it."""
        return self.source.prepared(loaded, self.learner)


def _told(run: Run) -> list[str]:
    """What else this encoder has been told, and where it began."""
    notes, labels = [], run.config.labels
    if run.material.labels is not None:
        known = int((~np.isnan(run.material.labels).all(1)).sum())
        who = " and ".join(filter(None, [labels.dataset, labels.teacher and f"the teacher {labels.teacher}"]))
        notes.append(f"learned from {who} on {known} tracks: a score on those tracks is not blind")
    if run.config.views.heads:
        notes.append(f"heads of their own for {', '.join(run.config.views.heads)}: the embedding tells them apart")
    if run.learner.transferred is not None:
        count = len(run.learner.transferred.loaded)
        notes.append(f"began with {count} tensors of {run.learner.transferred.source}")
    return notes


def usable_artists(tracks: pd.DataFrame) -> tuple[np.ndarray, str | None]:
    """Artist keys, or none at all with the reason why.

    With nearly all tracks by one to three artists, masking same-artist pairs would leave hardly a negative: such a
    folder is told apart track by track.
    """
    artists = artist_keys(tracks) if "artist" in tracks else np.full(len(tracks), -1)
    others = len(np.unique(artists[artists >= 0])) + int((artists < 0).sum())
    if others >= FEWEST_ARTISTS or (artists < 0).all():
        return artists, None
    why = f"artist tags not used: only {others} different artists, too few to contrast with each other"
    return np.full(len(tracks), -1), why


def make_source(material: Material, config: PretrainConfig, place: Seat = ALONE) -> Source:
    """The sampler over all rows of `material`, and the way from its plans to tensors."""
    artists, _ = usable_artists(material.tracks)
    sampler = Sampler(
        config.seed,
        list(material.tracks["id"]),
        [material.store.spans(track) for track in material.tracks["id"]],
        artists,
        clip=material.clip,
        step_s=material.step_s,
        batch=config.optim.batch,
        count=config.views.count + config.views.local,
        min_distance=config.views.min_distance_s / material.step_s,
        own=len(config.views.heads),
        artist_positive=config.views.artist_positive,
        mask_same_artist=config.views.mask_same_artist,
    )
    return Source(material, sampler, config, place)


def new_learner(source: Source, config: PretrainConfig, fabric: Fabric | None = None) -> Learner:
    """A learner from the seed or from other weights, its input normalisation fitted on a few unchanged batches of the
    training data unless it came with the weights.

    Raises CheckpointError where the weights do not fit.
    """
    learner = Learner(config, fabric or make_fabric(config))
    embedder, device = learner.bare.embedder, learner.fabric.device
    begin = config.start
    if begin.source is not None:
        learner.transferred = transfer(embedder, begin.source, begin.key_map, begin.allow_partial)
    # Continued weights keep the normalisation they were trained with.
    if learner.transferred is None or not any(name.startswith("normalise.") for name in learner.transferred.loaded):
        embedder.fit(_plain(source, embedder.frontend, device, batches=8))
    learner.average_all()
    return learner


def _plain(source: Source, frontend: Frontend, device: torch.device, batches: int) -> Iterator[Tensor]:
    """Frames of the first crops of an epoch, without effects."""
    with torch.no_grad():
        for index, planned in enumerate(source.sampler.epoch(0)):
            if index == batches:
                return
            crops = torch.from_numpy(source.crops(planned)).to(device).float()
            yield frontend(crops / 32768) if source.material.level == "samples" else crops.transpose(1, 2)


def seconds_per_step(
    source: Source,
    config: PretrainConfig,
    fabric: Fabric | None = None,
    steps: int = 3,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """A short throughput probe on a throwaway learner: the median of a few steps after one to warm up."""
    learner, times = new_learner(source, config, fabric), []
    batches = source.batches(0, 0, 0)
    for _ in range(steps + 1):
        before = clock()
        some = [source.prepared(next(batches), learner) for _ in range(config.optim.accumulate)]
        learner.step(some, 1e-6)[0].item()
        times.append(clock() - before)
    return float(np.median(times[1:]))


def open_run(
    material: Material, config: PretrainConfig, folder: Path, resume: bool, fabric: Fabric | None = None
) -> Run:
    """A run in `folder`, fresh or where its last checkpoint stands.

    Raises UsageError when the folder already holds a run and `resume` is off, CheckpointError when its checkpoint
    cannot be used, TrainingError when too few tracks are left to train on.
    """
    last = folder / "checkpoints" / LAST
    if not resume and last.exists():
        raise UsageError(f"{folder}: already holds a run; add --resume to go on with it, or choose another folder")
    began = time.monotonic()
    held = hold_out(len(material.tracks), config.hold_out, config.seed)
    left = material.without(held)
    if len(left.tracks) < 2:
        raise TrainingError(f"{len(left.tracks)} track(s) left to train on; add music or set hold_out=0")
    source = make_source(left, config, seat())
    learner, at = new_learner(source, config, fabric), Position()
    if last.exists():
        at = load_checkpoint(last, learner, config.model_dump(mode="json"), material.collection)
    plan, first = _plan(config, source, at, learner.fabric), source.place.first
    if first:
        _write_inputs(folder, material, config, learner.transferred)
    journal = Journal(folder / "metrics.jsonl" if first else None, at.step)
    board = Board(folder / "tensorboard", config.tensorboard and first, at.step)
    return Run(folder, config, material, learner, source, HeldOut(material, held), journal, board, at, plan,
               began - at.elapsed_s)  # fmt: skip


def _plan(config: PretrainConfig, source: Source, at: Position, fabric: Fabric) -> Plan:
    """The schedule: a count of steps, or as many as the minutes left are likely to hold."""
    if config.budget.steps is not None:
        return Plan(config.budget.steps)
    steps = source.sampler.batches_per_epoch / config.optim.accumulate
    most = math.inf if config.most_passes is None else max(1, round(config.most_passes * steps))
    plan = Plan(max(1, at.planned), config.budget.minutes or DEFAULT_MINUTES, most)
    plan.replan(at.step, at.elapsed_s, agreed(fabric, seconds_per_step(source, config, fabric)))
    return plan


def _write_inputs(folder: Path, material: Material, config: PretrainConfig, transferred: TransferReport | None) -> None:
    """What the run was given, beside what it makes."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "config.json", dump(config))
    tables: list[tuple[str, pd.DataFrame]] = [("tracks.csv", material.tracks), ("quarantine.csv", material.quarantine)]
    for name, table in tables:
        write_atomic(folder / name, table.to_csv(index=False))
    if transferred is not None:
        write_atomic(folder / "transfer.json", json.dumps(transferred.to_json(), indent=2) + "\n")
