"""A labelled collection, ready to be judged on: tracks, targets, artists and splits, with what was left out and why."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from mirclr.audio.track import content_id
from mirclr.datasets.registry import AllowedLeak, Expected
from mirclr.datasets.splits import Split
from mirclr.datasets.tasks import Task, learned

Answer = TypeVar("Answer")
# What taggers write when there is no single artist. Such tracks share nothing, so each counts as its own artist.
NO_ARTIST = frozenset(
    {"", "various", "various artists", "va", "v.a.", "v/a", "unknown", "unknown artist", "n/a", "nan", "null"}
)


@dataclass(frozen=True, eq=False)
class Collection:
    """`N` labelled tracks that are on disk. `kind`: what it asks for.

    `tracks`: columns `id` (path relative to `root`), `path` (absolute), `artist`, `album`, `title` (str or None) and
    `content` (see `content_of`). `vocabulary`: the K labels in order. `targets`: int64 `(N,)` for multiclass, float32
    0/1 `(N, K)` for multilabel, float32 `(N, K)` for regression; key is multiclass over `KEYS`, tempo a regression of
    log2 of beats per minute (mirclr.datasets.tasks). `groups`: int64 `(N,)`, equal for tracks of one artist; an unknown
    artist is one of its own. `missing`: ids listed but not on disk. `excluded`: known-bad ids and their reasons.
    `notes`: what a reader of a result has to know. `licence`, `citation`, `expected` and `allow` come from the
    declaration; `annotations`: for tasks of frames the columns of what is known of each track, arrays sorted by time,
    and `targets` say which outputs occur in it at all; `listed` (K,) counts the tracks it lists with each label,
    missing ones included. `cautions`: what was allowed although it makes a score no benchmark (leaks, a partial copy);
    every output repeats them."""

    name: str
    root: Path
    kind: Task
    vocabulary: tuple[str, ...]
    tracks: pd.DataFrame
    targets: np.ndarray
    groups: np.ndarray
    splits: list[Split]
    missing: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    listed: tuple[int, ...] = ()
    licence: str = ""
    citation: str = ""
    expected: Expected = field(default_factory=Expected)
    allow: tuple[AllowedLeak, ...] = ()
    cautions: tuple[str, ...] = ()
    annotations: tuple[Mapping[str, np.ndarray], ...] = ()

    @property
    def task(self) -> Task:
        """What a head learns of it: multiclass, multilabel or regression."""
        return learned(self.kind)

    def with_audio_ids(self, scanned: pd.DataFrame) -> Collection:
        """The same collection with the column `audio_id` (hash of the decoded sound) of a scanned track table."""
        found = dict(zip(scanned["path"], scanned["audio_id"], strict=True))
        return replace(self, tracks=self.tracks.assign(audio_id=self.tracks["path"].map(found.get).astype(object)))


def artist_groups(artists: Iterable[str | None], not_artists: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """(groups int64 `(N,)`, known bool `(N,)`): one number per artist, whatever the case, spacing and accents' coding.

    An artist is unknown when blank, a tagger's word for nobody, or one of `not_artists`; it gets a group of its own.
    """
    nobody = NO_ARTIST | {_artist_key(name) for name in not_artists}
    keys = [_artist_key(name or "") for name in artists]
    known = np.array([key not in nobody for key in keys], bool)
    number: dict[str, int] = {}
    groups = [
        number.setdefault(key if ok else f"\0{row}", len(number))
        for row, (key, ok) in enumerate(zip(keys, known, strict=True))
    ]
    return np.array(groups, np.int64), known


def _artist_key(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def content_of(paths: Sequence[str]) -> list[str | None]:
    """A hex digest of each file's bytes where another file has the same size; None elsewhere, because such a file can
    have no copy here. So a collection of thousands costs little more than reading its sizes.

    An empty file, or one that may not be read, gets None too: whoever opens it next lists it with its reason.
    """
    sizes = pd.Series([_read(path, os.path.getsize) or 0 for path in paths], dtype=np.int64)
    twins = sizes.duplicated(keep=False) & (sizes > 0)
    return [_read(path, content_id) if twin else None for path, twin in zip(paths, twins, strict=True)]


def _read(path: str, what: Callable[[str], Answer]) -> Answer | None:
    try:
        return what(path)
    except OSError:
        return None


def joined_groups(groups: np.ndarray, content: Sequence[str | None]) -> np.ndarray:
    """`(N,)` groups in which artists who share an identical file are one: a seeded split then keeps copies together."""
    parent = {int(g): int(g) for g in groups}

    def root(group: int) -> int:
        while parent[group] != group:
            group = parent[group]
        return group

    first: dict[str, int] = {}
    for group, digest in zip(groups.tolist(), content, strict=True):
        if digest is not None:
            parent[root(group)] = root(first.setdefault(digest, group))
    return np.array([root(int(g)) for g in groups], np.int64)
