"""Small collections whose answer is known, judged without any sound: a track's samples only say which track it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Split
from mirclr.datasets.tasks import Task
from mirclr.evaluation.card import Report
from mirclr.evaluation.given import Table
from mirclr.evaluation.report import evaluate
from mirclr.evaluation.subject import Embed
from mirclr.features.descriptors import Descriptors
from mirclr.features.embed import Embedded
from mirclr.features.extractor import Extractor, track_vector
from mirclr.features.handcrafted import MfccStatistics
from mirclr.features.together import Together
from mirclr.reports import Progress, Work, finish
from mirclr.seeds import generator

RATE = 16_000
ARTISTS, TRACKS = 24, 3  # tracks of one artist share label and fold
LABELS = ("ambient", "baroque", "choral", "drone")


def collection(task: Task = "multiclass") -> Collection:
    """72 tracks, 24 artists, 4 labels (regression: 4 targets), 3 folds of whole artists."""
    groups = np.repeat(np.arange(ARTISTS), TRACKS)
    labels = groups % len(LABELS)
    known = np.eye(len(LABELS), dtype=np.float32)[labels]
    noise = generator(70).normal(0, 0.1, known.shape).astype(np.float32)
    targets = {"multiclass": labels, "multilabel": known, "regression": known + noise}[task]
    names = [f"{i:02}.mp3" for i in range(len(groups))]
    tracks = pd.DataFrame({"id": names, "path": [f"/music/{n}" for n in names], "artist": [f"A{g}" for g in groups]})
    fold = (groups // len(LABELS)) % 3
    places = [(np.flatnonzero(fold == a) for a in ((f + 2) % 3, (f + 1) % 3, f)) for f in range(3)]
    splits = [Split(f"folds/{f}", *parts) for f, parts in enumerate(places)]
    return Collection("made-up", Path("/music"), task, LABELS, tracks, targets, groups.astype(np.int64), splits)


class Lookup:
    """An extractor that knows its vectors by heart: `table[track]`, told by the first sample."""

    def __init__(self, name: str, table: np.ndarray, notes: tuple[str, ...] = ()) -> None:
        self.name, self.table, self.notes = name, table.astype(np.float32), notes
        self.fingerprint, self.dim, self.sample_rate = name, table.shape[1], RATE

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.table[round(float(samples[0]) * 1000)][None, :], np.zeros(1)


def knowing(share: float, seed: int = 0) -> np.ndarray:
    """`(72, 16)` vectors: `share` of the label's direction, the rest noise."""
    random = generator(71, seed)
    labels = np.repeat(np.arange(ARTISTS), TRACKS) % len(LABELS)
    return share * np.eye(16)[labels] * 4 + random.normal(size=(len(labels), 16))


def twin(encoder: Extractor, seed: int) -> Lookup:
    """An untrained twin: noise."""
    return Lookup(f"noise {seed}", knowing(0, 1000 + seed)[:, : encoder.dim])


def _hum(number: int) -> np.ndarray:
    """A second of a quiet tone that starts with the track's number in thousandths."""
    hum = np.sin(np.arange(RATE) / 50).astype(np.float32) * 0.1
    hum[0] = number / 1000
    return hum


def _mfcc(number: int) -> np.ndarray:
    """What stands for MFCC statistics: three numbers that know nothing, tracks 0 and 1 alike. Few, so that a probe on
    them takes no time."""
    vector = np.zeros(MfccStatistics(RATE).dim, np.float32)
    vector[:3] = generator(72, max(1, number)).normal(size=3)
    return vector


def _vector(extractor: Extractor, number: int) -> np.ndarray:
    if isinstance(extractor, Together):
        return np.concatenate([_vector(member, number) for member in extractor.extractors.values()])
    if isinstance(extractor, MfccStatistics):
        return _mfcc(number)
    if isinstance(extractor, Descriptors):
        return np.zeros(extractor.dim, np.float32)  # a hum has no harmony and no rhythm
    return track_vector(extractor.segments(_hum(number))[0])


def embed_by_number(broken: tuple[str, ...] = ()) -> Embed:
    """A stand-in for `embed_tracks` that hums each track's number; the paths in `broken` cannot be decoded."""

    def embed(extractor: Extractor, tracks: pd.DataFrame) -> Work[Embedded]:
        good = tracks[~tracks["path"].isin(broken)].reset_index(drop=True)
        vectors = [_vector(extractor, int(Path(path).stem)) for path in good["path"]]
        yield Progress("embed", len(vectors), len(good))
        bad = [{"path": path, "reason": "undecodable", "detail": "test"} for path in broken]
        quarantine = pd.DataFrame(bad, columns=["path", "reason", "detail"])
        table = np.stack(vectors) if vectors else np.zeros((0, extractor.dim), np.float32)
        return Embedded(good, table, quarantine=quarantine)

    return embed


def judge(
    task: Task = "multiclass",
    tables: Mapping[str, np.ndarray] | None = None,
    broken: tuple[str, ...] = (),
    given: Mapping[str, Table] | None = None,
    **options: object,
) -> Report:
    """The report of encoders with `tables` of vectors (default: one that knows a lot), and of `given` vectors, on
    `collection(task)`."""
    encoders = {name: Lookup(name, t, ("a note",)) for name, t in (tables or {"clever": knowing(1)}).items()}
    settings = {"untrained": twin, "embed": embed_by_number(broken), "draws": 200, "random_seeds": 2, "tables": given}
    settings |= options
    return finish(evaluate(collection(task), encoders, **settings))  # type: ignore[arg-type]  # options by name
