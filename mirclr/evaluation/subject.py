"""What is judged: the tracks of a collection that every extractor could read, and their vectors.

A file that cannot be decoded is listed and left out for every row alike, so no row gains by failing on a hard track.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Split
from mirclr.errors import DatasetError
from mirclr.evaluation.crossfit import Problem, refuse_frames
from mirclr.evaluation.retrieval import Ground
from mirclr.features.embed import Embedded, embed_tracks
from mirclr.features.extractor import Extractor
from mirclr.features.together import Together
from mirclr.reports import Work, finish

Embed = Callable[[Extractor, pd.DataFrame], Work[Embedded]]


def every_vector(collection: Collection, extractor: Extractor, workers: int | None = None) -> np.ndarray:
    """`(N, D)` vectors of all tracks of a collection, for comparisons that must judge the same ones each time.

    Raises DatasetError when a file cannot be read.
    """
    done = finish(embed_tracks(extractor, collection.tracks, workers=workers))
    if len(done.quarantine):
        raise DatasetError(
            f"{len(done.quarantine)} file(s) of {collection.name} cannot be read; see `mirclr data check`"
        )
    return done.vectors


@dataclass(frozen=True)
class Subject:
    """`tracks` that everybody read (N rows), `vectors[name]` `(N, D)` for each extractor and each table of vectors, the
    `problem` and `ground` on those tracks, the `quarantine` (path, reason, detail) of the rest, and the `speeds` (see
    `Together`)."""

    tracks: pd.DataFrame
    vectors: dict[str, np.ndarray]
    problem: Problem
    ground: Ground
    quarantine: pd.DataFrame
    speeds: Mapping[str, float] = field(default_factory=dict)


def embed_collection(
    collection: Collection,
    extractors: Mapping[str, Extractor],
    embed: Embed,
    tables: Mapping[str, np.ndarray] | None = None,
) -> Work[Subject]:
    """Embed the collection by every extractor and keep the tracks all of them could read.

    `tables`: vectors `(N, D)` that are there already, in the order of the collection's tracks. Raises UsageError on a
    task of frames, DatasetError when no track is left, or when an extractor gives a vector that is not finite.
    """
    refuse_frames(collection.name, collection.kind)
    found: dict[str, tuple[list[str], np.ndarray]] = {}
    bad = [pd.DataFrame(columns=["path", "reason", "detail"])]
    speeds: dict[str, float] = {}
    for rate in sorted({e.sample_rate for e in extractors.values()}):
        team = Together({name: e for name, e in extractors.items() if e.sample_rate == rate})
        done = yield from embed(team, collection.tracks)
        found |= {name: (list(done.tracks["path"]), v) for name, v in team.split(done.vectors).items()}
        bad.append(done.quarantine)
        speeds |= team.speeds
    paths = list(collection.tracks["path"])
    found |= {name: (paths, table) for name, table in (tables or {}).items()}
    quarantine = pd.concat(bad).drop_duplicates("path", ignore_index=True)
    return replace(_subject(collection, found, quarantine), speeds=speeds)


def _subject(
    collection: Collection, found: Mapping[str, tuple[list[str], np.ndarray]], quarantine: pd.DataFrame
) -> Subject:
    read = set.intersection(*(set(paths) for paths, _ in found.values()))
    keep = np.array([path in read for path in collection.tracks["path"]], bool)
    if not keep.any():
        raise DatasetError(f"{collection.name}: none of {len(keep)} files could be read; see the quarantine list")
    vectors = {name: _kept(name, paths, table, read) for name, (paths, table) in found.items()}
    targets, groups = collection.targets[keep], collection.groups[keep]
    classes = len(collection.vocabulary)
    problem = Problem(collection.kind, targets, groups, _splits_within(collection.splits, keep), classes)
    labels = targets if collection.task == "multiclass" else None
    tracks = collection.tracks[keep].reset_index(drop=True)
    return Subject(tracks, vectors, problem, Ground(groups, labels), quarantine)


def _kept(name: str, paths: Sequence[str], vectors: np.ndarray, read: set[str]) -> np.ndarray:
    """The rows of `vectors` whose paths everybody read, in table order; raises DatasetError where one is not finite."""
    rows = [i for i, path in enumerate(paths) if path in read]
    wrong = [paths[i] for i in rows if not np.isfinite(vectors[i]).all()]
    if wrong:
        raise DatasetError(
            f"{name}: the vector of {os.fspath(wrong[0])} is not finite ({len(wrong)} such tracks); the encoder is "
            "damaged or diverged in training, use another checkpoint"
        )
    return vectors[rows]


def _splits_within(splits: Sequence[Split], keep: np.ndarray) -> list[Split]:
    """The splits' track numbers after the tracks that are not kept are gone."""
    number = np.cumsum(keep) - 1
    return [Split(s.name, *(number[part[keep[part]]] for part in (s.train, s.valid, s.test))) for s in splits]
