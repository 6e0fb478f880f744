"""An alignment: its folder, its tracks, where it is. Opened fresh or at its last checkpoint."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mirclr.config import PretrainConfig, dump
from mirclr.errors import ConfigError, TrainingError, UsageError
from mirclr.features.encoder import EncoderExtractor, pick_device
from mirclr.features.encoder_file import load_encoder
from mirclr.features.joint_file import Bound
from mirclr.files import write_atomic
from mirclr.models.joint import JointSpace
from mirclr.reports import Work
from mirclr.training.align_audio import Segments, heard
from mirclr.training.align_batches import AUDIO, AlignSource
from mirclr.training.align_config import AlignConfig
from mirclr.training.align_learner import Aligner, plan_of
from mirclr.training.align_score import HeldOut, hold_out
from mirclr.training.align_tracks import FEWEST, Known, Listed, known_of
from mirclr.training.artists import artist_keys
from mirclr.training.checkpoint import LAST, Header, Position, load_checkpoint, save_checkpoint
from mirclr.training.journal import Journal
from mirclr.training.run_folder import RunFolder
from mirclr.training.schedules import Plan

# A count, not a clock: the result repeats. On 160 tracks of Emotify 500 steps found held-out music less well than 250
# (the text is learned by heart), and a large folder needs its epochs.
DEFAULT_STEPS, DEFAULT_EPOCHS = 250, 20
FITTED_TRACKS = 1000  # whose segments say what mean and deviation are
FEWEST_ARTISTS = 4  # with fewer, holding out whole artists would leave too little to learn from or to ask


@dataclass(frozen=True)
class Start:
    """Checked, before a file is decoded: the `encoder`, the tracks and what is `known` of them, the scan's
    quarantine."""

    encoder: EncoderExtractor
    known: Known
    quarantine: pd.DataFrame


@dataclass
class Alignment(RunFolder):
    """Everything the loop touches. `at` moves; `started` is the clock's origin, earlier by what was already spent."""

    folder: Path
    config: AlignConfig
    encoder: Bound
    source: AlignSource
    held: HeldOut
    aligner: Aligner
    journal: Journal
    at: Position
    plan: Plan
    started: float
    notes: tuple[str, ...]
    quarantine: pd.DataFrame

    def save(self) -> None:
        """Write the last checkpoint."""
        self.at.elapsed_s, self.at.planned = self.elapsed_s, self.plan.total
        header = Header(bound_to(self.config, self.encoder), self.source.known.digest, self.at, self.story())
        save_checkpoint(self.last, self.aligner, header)

    def story(self) -> dict[str, Any]:
        """What a reader has to know of the space."""
        told = f"aligned {self.at.step} steps on {len(self.source.rows)} tracks: {', '.join(self.source.names)}"
        return {"name": self.folder.resolve().name, "steps": self.at.step, "notes": [told, *self.notes]}


def begin(listed: Listed, config: AlignConfig, folder: Path, resume: bool) -> Start:
    """Check everything that needs no sound.

    Raises UsageError when `folder` already holds a run and `resume` is off, ConfigError on a configuration that cannot
    be built, CheckpointError on the encoder, and what `known_of` raises.
    """
    if not resume and (folder / "checkpoints" / LAST).exists():
        raise UsageError(f"{folder}: already holds a run; add --resume to go on with it, or choose another folder")
    if config.encoder is None:
        raise ConfigError("align", ["encoder: give the encoder that hears the music, with --encoder RUN"])
    try:
        encoder = load_encoder(config.encoder, config.device)
    except ValueError as error:  # a GPU where there is none
        raise UsageError(str(error)) from error
    known = known_of(listed, config)
    try:
        JointSpace(plan_of(config, _sizes(encoder, known), bool(known.fields)))
    except ValueError as error:
        raise ConfigError("align", [str(error)]) from error
    return Start(encoder, known, listed.quarantine)


def _sizes(encoder: EncoderExtractor, known: Known) -> dict[str, int]:
    return {AUDIO: encoder.dim, **{name: table.shape[1] for name, table in known.vectors.items()}}


def open_alignment(start: Start, config: AlignConfig, folder: Path) -> Work[Alignment]:
    """Embed the tracks and open the run, fresh or where its last checkpoint stands.

    Raises TrainingError when too few tracks can be read, CheckpointError when the checkpoint cannot be used.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    segments, unread = yield from heard(
        start.encoder, start.known.tracks, folder, config.max_seconds, config.workers
    )  # fmt: skip
    known = start.known.keep(start.known.tracks["audio_id"].isin(list(segments)).to_numpy())
    held, notes = _held_out(known, config)
    train = np.setdiff1d(np.arange(len(known.tracks)), held)
    if len(train) < FEWEST:
        raise TrainingError(f"{len(train)} track(s) left to learn from, at least {FEWEST} needed; add music")
    began, source = time.monotonic(), AlignSource(known, segments, train, config.seed, config.optim.batch)
    aligner, at = _new_aligner(source, segments, config, start.encoder), Position()
    last, bound = folder / "checkpoints" / LAST, Bound.of(start.encoder)
    if last.exists():
        at = load_checkpoint(last, aligner, bound_to(config, bound), known.digest)
    quarantine = pd.concat([start.quarantine, unread], ignore_index=True)
    _write_inputs(folder, config, source, held, quarantine)
    journal = Journal(folder / "metrics.jsonl", at.step)
    return Alignment(folder, config, bound, source, HeldOut(source, held), aligner, journal, at,
                     _plan(config, source, at), began - at.elapsed_s, (*known.notes, *notes), quarantine)  # fmt: skip


def _plan(config: AlignConfig, source: AlignSource, at: Position) -> Plan:
    usual = max(DEFAULT_STEPS, DEFAULT_EPOCHS * source.batches_per_epoch)
    if config.budget.minutes is not None:
        return Plan(at.planned or usual, config.budget.minutes)
    return Plan(config.budget.steps or usual)


def _held_out(known: Known, config: AlignConfig) -> tuple[np.ndarray, tuple[str, ...]]:
    """Rows kept from training, and in words how they were chosen."""
    artists = artist_keys(known.tracks)
    alone = len(np.unique(artists[artists >= 0])) + int((artists < 0).sum()) < FEWEST_ARTISTS
    held = hold_out(np.full(len(artists), -1) if alone else artists, config.hold_out, config.seed)
    if not len(held):
        return held, ("no track is held out: nothing is said about music it was not trained on",)
    how = "track by track (fewer than four artists are known)" if alone else "as whole artists"
    return held, (f"{len(held)} of {len(artists)} tracks are held out, {how}",)


def _new_aligner(source: AlignSource, segments: Segments, config: AlignConfig, encoder: EncoderExtractor) -> Aligner:
    """An aligner from the seed, its input normalisation fitted on the tracks to learn from."""
    known = source.known.keep(source.rows)
    device = pick_device(config.device)
    aligner = Aligner(config, _sizes(encoder, known), bool(source.texts.fields), device)
    tables = {name: table[~np.isnan(table).any(axis=1)] for name, table in known.vectors.items()}
    some = known.tracks["audio_id"][:: max(1, len(known.tracks) // FITTED_TRACKS)]
    tables[AUDIO] = np.concatenate([segments[sound] for sound in some])
    hashed = aligner.space.text
    seen = None if hashed is None else hashed.bags_of_words(source.texts.all(source.rows)).to(device)
    aligner.space.fit({name: torch.from_numpy(table).to(device) for name, table in tables.items()}, seen)
    aligner.average_all()
    return aligner


def bound_to(config: AlignConfig, encoder: Bound) -> dict[str, Any]:
    """The settings a checkpoint cannot go on without: ours under `align`, beside the defaults of pretraining, and the
    encoder by its fingerprint rather than its place. What texts and vectors say is in the digest of the tracks."""
    apart = {"encoder", "texts", "vectors", "budget", "device", "threads", "workers"}
    own = config.model_dump(mode="json", exclude=apart)
    return {**PretrainConfig().model_dump(mode="json"), "align": {**own, "hears_by": encoder.fingerprint}}


def _write_inputs(
    folder: Path, config: AlignConfig, source: AlignSource, held: np.ndarray, quarantine: pd.DataFrame
) -> None:
    """What the run was given, beside what it makes."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "config.json", dump(config))
    known = source.known
    part = np.where(np.isin(np.arange(len(known.tracks)), held), "held out", "train")
    table = known.tracks[["path", "artist", "title"]].assign(part=part)
    table["text"] = ["; ".join(way for ways in fields.values() for way in ways) for fields in known.texts]
    write_atomic(folder / "tracks.csv", table.to_csv(index=False))
    write_atomic(folder / "quarantine.csv", quarantine.to_csv(index=False))
