"""What is judged: the tracks of a collection that every extractor could read, and their vectors.

A file that cannot be decoded is listed and left out for every row alike, so no row gains by failing on a hard track.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Split
from mirclr.errors import DatasetError
from mirclr.evaluation.crossfit import Problem
from mirclr.evaluation.retrieval import Ground
from mirclr.features.embed import Embedded, embed_tracks
from mirclr.features.extractor import Extractor, track_vector
from mirclr.reports import Work, finish

Embed = Callable[[Extractor, pd.DataFrame], Work[Embedded]]


class Together:
    """Several extractors of one sample rate as one: each track is decoded once for all of them.

    Its vector is theirs in a row (each the mean over its own segments); `split` takes them apart. `speeds` says how
    much faster than real time each has been so far.
    """

    def __init__(self, extractors: Mapping[str, Extractor]) -> None:
        self.extractors = dict(extractors)
        members = list(self.extractors.values())
        self.name = " + ".join(self.extractors)
        self.fingerprint = "+".join(m.fingerprint for m in members)
        self.dim, self.sample_rate = sum(m.dim for m in members), members[0].sample_rate
        # (seconds of sound, seconds of work) of every track; appended to by several threads, which a list allows.
        self._clock: dict[str, list[tuple[float, float]]] = {name: [] for name in self.extractors}

    @property
    def speeds(self) -> dict[str, float]:
        """Seconds of sound embedded in a second of one thread, without decoding, for each extractor that worked.

        The median over tracks: in the first one libraries are loaded and code is compiled.
        """
        return {
            name: float(np.median([sound / max(work, 1e-9) for sound, work in spent]))
            for name, spent in self._clock.items()
            if spent
        }

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` samples to one `(1, D1 + D2 + ...)` float32 vector starting at 0 s."""
        vectors = []
        for name, member in self.extractors.items():
            begun = time.perf_counter()
            vectors.append(track_vector(member.segments(samples)[0]))
            self._clock[name].append((len(samples) / self.sample_rate, time.perf_counter() - begun))
        return np.concatenate(vectors)[None, :], np.zeros(1)

    def split(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """`(N, D1 + D2 + ...)` to `(N, Di)` for each extractor by name."""
        ends = np.cumsum([member.dim for member in self.extractors.values()])
        return dict(zip(self.extractors, np.split(vectors, ends[:-1], axis=1), strict=True))


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
    """`tracks` that everybody read (N rows), `vectors[name]` `(N, D)` for each extractor, the `problem` and `ground`
    on those tracks, the `quarantine` (path, reason, detail) of the rest, and the `speeds` (see `Together`)."""

    tracks: pd.DataFrame
    vectors: dict[str, np.ndarray]
    problem: Problem
    ground: Ground
    quarantine: pd.DataFrame
    speeds: Mapping[str, float] = field(default_factory=dict)


def embed_collection(collection: Collection, extractors: Mapping[str, Extractor], embed: Embed) -> Work[Subject]:
    """Embed the collection by every extractor and keep the tracks all of them could read.

    Raises DatasetError when no track is left, or when an extractor gives a vector that is not finite.
    """
    found: dict[str, tuple[list[str], np.ndarray]] = {}
    bad = [pd.DataFrame(columns=["path", "reason", "detail"])]
    speeds: dict[str, float] = {}
    for rate in sorted({e.sample_rate for e in extractors.values()}):
        team = Together({name: e for name, e in extractors.items() if e.sample_rate == rate})
        done = yield from embed(team, collection.tracks)
        found |= {name: (list(done.tracks["path"]), v) for name, v in team.split(done.vectors).items()}
        bad.append(done.quarantine)
        speeds |= team.speeds
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
    problem = Problem(collection.task, targets, groups, _splits_within(collection.splits, keep), classes)
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
