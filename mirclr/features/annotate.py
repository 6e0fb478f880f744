"""Beats, onsets, notes and sections of files, by encoders and the frame-level heads trained on them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirclr.audio.annotations import write_annotation
from mirclr.audio.decode import decode
from mirclr.audio.jams import write_jams
from mirclr.audio.midi import write_midi
from mirclr.errors import AudioError, UsageError
from mirclr.events.decode import decode as events_of
from mirclr.events.kinds import OUTPUTS, kind_of
from mirclr.events.structure import sections
from mirclr.features.encoder import EncoderExtractor
from mirclr.features.encoder_file import load_encoder
from mirclr.features.frames import frame_features, frame_scores, seconds_a_frame
from mirclr.features.head_file import load_head
from mirclr.features.hearing import audible
from mirclr.models.task_head import TaskHead
from mirclr.reports import Progress, Work

SECTIONS = "sections"


@dataclass(frozen=True)
class Annotator:
    """Says one `kind` of things of a track; without a `head` its sections."""

    kind: str
    extractor: EncoderExtractor
    head: TaskHead | None = None

    def __call__(self, samples: np.ndarray) -> pd.DataFrame:
        """The annotation (mirclr.audio.annotations) of `(T,)` float32 samples at the encoder's rate."""
        embedder, device = self.extractor.embedder, self.extractor.device
        frames, step = embedder.frontend.track(torch.from_numpy(samples)), seconds_a_frame(embedder)
        if self.head is None:
            return sections(frame_features(embedder, frames, device).cpu().numpy(), step)
        scores = frame_scores(embedder, self.head, frames, device)
        return events_of(self.kind, scores, step, self.head.thresholds.cpu().numpy())


def load_annotator(run: Path, device: str = "auto") -> Annotator:
    """The encoder and the frame-level head of a run of fine-tuning.

    Raises CheckpointError when either is missing, damaged or of another encoder; UsageError when the head answers for
    whole tracks.
    """
    extractor = load_encoder(run, device)
    saved = load_head(run, extractor.fingerprint)
    kind = kind_of(saved.vocabulary) if saved.head.framewise else None
    if kind is None:
        shown = ", ".join(saved.vocabulary[:3])
        raise UsageError(
            f"{run}: its head answers for whole tracks ({shown}, ...); give a run of `mirclr finetune --task` "
            f"{', '.join(OUTPUTS)}"
        )
    return Annotator(kind, extractor, saved.head.to(extractor.device))


def load_annotators(runs: Sequence[Path], sections_by: Path | None, device: str = "auto") -> list[Annotator]:
    """Those of `runs`, and sections by the features of any encoder.

    Raises CheckpointError and UsageError as `load_annotator`, UsageError when two say the same kind.
    """
    out = [load_annotator(run, device) for run in runs]
    kinds = [annotator.kind for annotator in out]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice:
        raise UsageError(f"two runs for {', '.join(twice)}: their files would have the same names")
    return out if sections_by is None else [*out, Annotator(SECTIONS, load_encoder(sections_by, device))]


@dataclass(frozen=True)
class Annotated:
    """`written`: one row a file and kind, `track`, `kind`, `events`, `file`; what was left out (`quarantine`)."""

    written: pd.DataFrame
    quarantine: pd.DataFrame


def annotate(
    paths: Sequence[str], annotators: Sequence[Annotator], output: Path, formats: Sequence[str] = ("csv",)
) -> Work[Annotated]:
    """Write every kind of every file to `output`, in every one of `formats` (see `FORMATS`).

    Files are named after their tracks, with the folders in which the tracks differ. A file that cannot be decoded goes
    to the quarantine with its reason; the others go on. Raises UsageError when a format holds none of the kinds.
    """
    _check_formats(formats, [annotator.kind for annotator in annotators])
    rows: list[dict[str, object]] = []
    bad: list[dict[str, str]] = []
    for done, (path, name) in enumerate(zip(paths, _names(paths), strict=True), 1):
        try:
            said = _heard(path, annotators)
        except AudioError as error:
            bad.append({"path": error.path, "reason": error.reason, "detail": error.detail})
        else:
            for form in formats:
                rows += [{"track": path, **row} for row in FORMATS[form](output / name, said)]
        yield Progress("annotate", done, len(paths), name)
    columns = ["track", "kind", "events", "file"]
    return Annotated(pd.DataFrame(rows, columns=columns), pd.DataFrame(bad, columns=["path", "reason", "detail"]))


@dataclass(frozen=True)
class _Said:
    """What is said of a track of `duration` seconds: a table a kind, and the encoders that said it (`by`)."""

    duration: float
    tables: Mapping[str, pd.DataFrame]
    by: str


def _heard(path: str, annotators: Sequence[Annotator]) -> _Said:
    tables, duration = {}, 0.0
    for annotator in annotators:
        rate = annotator.extractor.sample_rate
        samples = audible(path, decode(path, rate))
        tables[annotator.kind], duration = annotator(samples), len(samples) / rate
    return _Said(duration, tables, "mirclr: " + ", ".join(sorted({a.extractor.name for a in annotators})))


def _check_formats(formats: Sequence[str], kinds: Sequence[str]) -> None:
    if "midi" in formats and "notes" not in kinds:
        raise UsageError("MIDI holds notes, and none are asked for: give a --run of `mirclr finetune --task notes`")


def _as_csv(stem: Path, said: _Said) -> Iterator[dict[str, object]]:
    for kind, table in said.tables.items():
        file = Path(f"{stem}.{kind}.csv")
        write_annotation(file, kind, table)
        yield {"kind": kind, "events": len(table), "file": str(file)}


def _as_jams(stem: Path, said: _Said) -> Iterator[dict[str, object]]:
    file = Path(f"{stem}.jams")
    write_jams(file, said.tables, title=stem.name, duration=said.duration, by=said.by)
    yield {"kind": ", ".join(said.tables), "events": sum(map(len, said.tables.values())), "file": str(file)}


def _as_midi(stem: Path, said: _Said) -> Iterator[dict[str, object]]:
    file = Path(f"{stem}.mid")
    write_midi(file, said.tables["notes"])
    yield {"kind": "notes", "events": len(said.tables["notes"]), "file": str(file)}


FORMATS: dict[str, Callable[[Path, _Said], Iterable[dict[str, object]]]] = {
    "csv": _as_csv,
    "jams": _as_jams,
    "midi": _as_midi,
}
"""What annotations are written as: a table a kind, all kinds in one JAMS file, notes as MIDI."""


def _names(paths: Sequence[str]) -> list[str]:
    """The paths below their common folder, without suffix; with it where two differ in nothing else."""
    folder = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    names = [os.path.relpath(path, folder) for path in paths]
    bare = Counter(os.path.splitext(name)[0] for name in names)
    return [name if bare[os.path.splitext(name)[0]] > 1 else os.path.splitext(name)[0] for name in names]
