"""An encoder adapted to a folder of music by AdaBN (mirclr.models.adabn): no label, no step, no weight moves.

Where a head lies beside the encoder, its own batch norm is adapted too: it reads the same, changed embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mirclr.audio.scan import scan
from mirclr.config import dump
from mirclr.errors import UsageError
from mirclr.features.encoder import EncoderExtractor, fingerprint_of
from mirclr.features.encoder_file import PLAN, load_encoder, save_encoder
from mirclr.features.head_file import PLAN as HEAD_PLAN
from mirclr.features.head_file import SavedHead, load_head, save_head
from mirclr.files import write_atomic
from mirclr.models.adabn import INPUT, BatchNorm, Shift, adapt_batch_norms, adapt_normalisation, batch_norms
from mirclr.models.embedder import Embedder
from mirclr.models.frontend_normalise import Normalise
from mirclr.reports import Progress, Work
from mirclr.training.adabn_config import AdaBNConfig, heard_settings
from mirclr.training.check import check_config
from mirclr.training.finetune_learner import Tunable
from mirclr.training.finetune_score import BLOCK, clips_of
from mirclr.training.material import Material, prepare

STAGE = "adapt"


@dataclass(frozen=True)
class Adapted:
    """Folders of the exported `encoder` and, where there is one, its `head`; how many `tracks` were heard; the `shifts`
    of all layers from the input on; what was left out (`quarantine`)."""

    encoder: Path
    head: Path | None
    tracks: int
    shifts: tuple[Shift, ...]
    quarantine: pd.DataFrame


@dataclass(frozen=True)
class Subject:
    """What is adapted: an encoder, the head that belongs to it, if any, and all batch norms in them in order."""

    extractor: EncoderExtractor
    saved: SavedHead | None
    norms: dict[str, BatchNorm]

    @property
    def embedder(self) -> Embedder:
        """The encoder itself."""
        return self.extractor.embedder

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` through all of them."""
        if self.saved is None:
            return self.embedder.from_spectrogram(frames)
        outputs: Tensor = Tunable(self.embedder, self.saved.head)(frames)
        return outputs


def adabn(folders: Sequence[Path], config: AdaBNConfig, output: Path) -> Work[Adapted]:
    """Adapt `config.encoder` to the music in `folders` and export it to `output`/encoder.

    Also writes config.json, tracks.csv, quarantine.csv and shifts.csv, and head/ for an encoder that has a head.

    Raises UsageError when `output` holds an encoder already, when the encoder has no batch norm, and when the folders
    have no two tracks; CheckpointError when the encoder or its head cannot be loaded: all before anything is decoded.
    """
    if (output / "encoder" / PLAN).exists():
        raise UsageError(f"{output}: already holds an encoder; choose another folder")
    subject = open_subject(config)
    settings = heard_settings(config, subject.embedder.plan)
    check_config(settings, STAGE)
    found = yield from scan(list(folders), clip_seconds=settings.views.seconds)
    if len(found.tracks) < 2:
        where = ", ".join(map(str, folders))
        raise UsageError(f"{where}: {len(found.tracks)} readable track(s) to adapt to, at least 2 needed")
    material = yield from prepare(found.tracks, settings)
    shifts = yield from _adapted(subject, material, config)
    quarantine = pd.concat([found.quarantine, material.quarantine], ignore_index=True)
    output.mkdir(parents=True, exist_ok=True)
    write_atomic(output / "config.json", dump(config))
    rows = pd.DataFrame([asdict(shift) for shift in shifts])
    tables = {"tracks": material.tracks[["id", "path"]], "quarantine": quarantine, "shifts": rows}
    for name, table in tables.items():
        write_atomic(output / f"{name}.csv", table.to_csv(index=False))
    note = _note(config.share, shifts, len(material.tracks), folders)
    head = _export(output, subject, {"name": output.resolve().name, "notes": [*subject.extractor.notes, note]})
    return Adapted(output / "encoder", head, len(material.tracks), tuple(shifts), quarantine)


def open_subject(config: AdaBNConfig) -> Subject:
    """Load what is adapted and find its batch norms. Raises UsageError when the encoder has none."""
    extractor = load_encoder(config.encoder, config.device)
    embedder = extractor.embedder
    clip = torch.zeros(1, embedder.frontend.bands, embedder.clip_frames, device=extractor.device)
    try:
        norms = batch_norms(embedder, embedder.from_spectrogram, clip)
    except ValueError as error:
        raise UsageError(f"{config.encoder}: {embedder.plan['encoder']['name']}: {error}") from error
    saved = _head_of(config.encoder, extractor.fingerprint)
    if saved is not None:
        norms["head.standardise"] = saved.head.to(extractor.device).standardise
    return Subject(extractor, saved, norms)


def _head_of(encoder: Path, fingerprint: str) -> SavedHead | None:
    """The head that a run left beside its encoder; one of another encoder (or another step) is none of ours."""
    place = next((f / "head" for f in (encoder, encoder.parent) if (f / "head" / HEAD_PLAN).is_file()), None)
    saved = None if place is None else load_head(place)
    return saved if saved is not None and saved.encoder == fingerprint else None


def _adapted(subject: Subject, material: Material, config: AdaBNConfig) -> Work[list[Shift]]:
    """All layers, the input first; a report after each of them."""
    embedder, clips, shifts = subject.embedder, partial(_clips, subject, material), []
    first = embedder.normalise if config.normalisation and isinstance(embedder.normalise, Normalise) else None
    total = len(subject.norms) + (first is not None)
    yield Progress(STAGE, 0, total)
    if first is not None:
        shifts.append(adapt_normalisation(first, (embedder.compress(frames) for frames in clips()), config.share))
        yield Progress(STAGE, 1, total, INPUT)
    for shift in adapt_batch_norms(subject.norms, subject.forward, clips, config.share):
        shifts.append(shift)
        yield Progress(STAGE, len(shifts), total, shift.layer)
    return shifts


def _clips(subject: Subject, material: Material) -> Iterator[Tensor]:
    """One pass: the clips of every track as it is embedded in use, `(B, F, N)`."""
    for track in material.tracks["id"]:
        yield from clips_of(subject.embedder, material, track, subject.extractor.device).split(BLOCK)


def _export(output: Path, subject: Subject, story: dict[str, Any]) -> Path | None:
    """Head before encoder: with the encoder's plan the folder is whole. The head's folder, where there is one."""
    head = None
    if subject.saved is not None:
        head = output / "head"
        save_head(head, subject.saved.head, subject.saved.vocabulary, fingerprint_of(subject.embedder))
    save_encoder(output / "encoder", subject.embedder, story)
    return head


def _note(share: float, shifts: Sequence[Shift], tracks: int, folders: Sequence[Path]) -> str:
    """What reports say of the encoder."""
    which = "input normalisation and batch norm" if shifts[0].layer == INPUT else "batch norm"
    mixed = "" if share == 1 else f", weighed {share:g} beside those it had"
    named = ", ".join(str(folder.absolute()) for folder in folders)
    return f"AdaBN: statistics of {which} measured on {tracks} tracks of {named}{mixed}; all weights as they were"
