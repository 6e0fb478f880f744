"""What a supervised objective is told of every track: a row of labels, a teacher's row, or nothing (NaN)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirclr.config import LabelsConfig, PretrainConfig
from mirclr.datasets.collection import Collection
from mirclr.errors import TrainingError, UsageError
from mirclr.features.descriptors import Descriptors
from mirclr.features.embed import embed_tracks
from mirclr.features.encoder_file import load_encoder
from mirclr.features.extractor import Extractor
from mirclr.features.handcrafted import MfccStatistics
from mirclr.features.vector_file import SUFFIXES, read_vectors
from mirclr.losses.gen_supcon import mixed_labels
from mirclr.reports import Work
from mirclr.training.labelled import load_for_split, named_split
from mirclr.training.material import Material, prepare

HANDCRAFTED: dict[str, type[Descriptors] | type[MfccStatistics]] = {"handcrafted": Descriptors, "mfcc": MfccStatistics}
"""Teachers that have learned nothing, by name. A folder of such a name is given as a path: `./mfcc`."""


def labelled_material(tracks: pd.DataFrame, config: PretrainConfig) -> Work[Material]:
    """What `mirclr.training.material.prepare` makes of a track table, and what the objective is told of every track."""
    material = yield from prepare(tracks, config)
    labels = yield from label_rows(material.tracks, config.labels, config.audio.max_seconds)
    return replace(material, labels=labels)


def label_rows(tracks: pd.DataFrame, config: LabelsConfig, hear_s: float | None) -> Work[np.ndarray | None]:
    """`(n, C)` float32, one row a track of the table; a row of NaN is not labelled. None when nothing is configured.

    `hear_s`: at most so many seconds of a track are heard by a teacher. Raises TrainingError when labels or teacher
    and the folder have no track in common, and what loading them raises.
    """
    own = _own(tracks, config) if config.dataset is not None else None
    if config.teacher is None:
        return own
    teacher = yield from _taught(tracks, config.teacher, hear_s)
    if own is None:
        return teacher
    if own.shape != teacher.shape:
        raise UsageError(
            f"labels.teacher has {teacher.shape[1]} columns and labels.dataset {own.shape[1]} labels: beside labels a "
            "teacher must be a table with a probability for each of them, in their order"
        )
    mixed: np.ndarray = mixed_labels(torch.from_numpy(own), torch.from_numpy(teacher), config.teacher_weight).numpy()
    return mixed


def _own(tracks: pd.DataFrame, config: LabelsConfig) -> np.ndarray:
    """Rows of zeros and ones for the tracks of the training and validation part, NaN for all others."""
    assert config.dataset is not None
    collection = load_for_split(config.dataset, config.split)
    if collection.task == "regression":
        raise UsageError(
            f"labels.dataset {config.dataset!r} has quantities, not labels; supervised contrast needs labels"
        )
    known = np.zeros(len(collection.tracks), bool)
    split = named_split(collection, config.split)
    known[split.train] = known[split.valid] = True
    rows = np.where(known[:, None], _hot(collection), np.nan).astype(np.float32)
    return _matched(
        tracks, [str(path) for path in collection.tracks["path"]], rows, f"labels.dataset {config.dataset!r}"
    )


def _hot(collection: Collection) -> np.ndarray:
    """`(N, K)` zeros and ones."""
    if collection.task == "multilabel":
        return collection.targets
    return np.eye(len(collection.vocabulary), dtype=np.float32)[collection.targets]


def _matched(tracks: pd.DataFrame, paths: list[str], rows: np.ndarray, what: str) -> np.ndarray:
    """`rows` in the order of `tracks`, found by the file's real path; NaN where there is none."""
    place = {os.path.realpath(path): row for path, row in zip(paths, rows, strict=True)}
    nothing = np.full(rows.shape[1], np.nan, np.float32)
    found = np.stack([place.get(os.path.realpath(path), nothing) for path in tracks["path"]])
    if np.isnan(found).all():
        raise TrainingError(f"{what}: none of its {len(paths)} files is among the {len(tracks)} tracks of the folder")
    return found


def _taught(tracks: pd.DataFrame, teacher: str, hear_s: float | None) -> Work[np.ndarray]:
    """The teacher's row of every track: a table as it is, vectors standardised over the tracks (their cosines are what
    is taught, and a large common mean would make all of them 1)."""
    path = Path(teacher).expanduser()
    if path.suffix.lower() in SUFFIXES:
        names, rows = read_vectors(path)
        return _matched(tracks, names, rows, f"labels.teacher {teacher}")
    extractor: Extractor = HANDCRAFTED[teacher]() if teacher in HANDCRAFTED else load_encoder(path)
    done = yield from embed_tracks(extractor, tracks, max_seconds=hear_s)
    spread = done.vectors.std(axis=0)
    rows = (done.vectors - done.vectors.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    if isinstance(extractor, Descriptors):
        rows = rows * extractor.weights
    names = [str(name) for name in done.tracks["path"]]
    return _matched(tracks, names, rows.astype(np.float32), f"labels.teacher {teacher}")
