"""The leakage audit: what a model could have seen of its exam.

With artists on both sides of a split, genre scores rise by several points without any better music understanding
(Flexer, "A closer look on artist filters for musical genre classification", ISMIR 2007); identical recordings are
worse. A leak is therefore an error, unless it is allowed by name with a reason that stands beside every result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import get_args

import numpy as np
import pandas as pd

from mirclr.config import nearest
from mirclr.datasets.collection import Collection
from mirclr.datasets.registry import LeakKind
from mirclr.datasets.splits import Split
from mirclr.errors import DatasetError, UsageError
from mirclr.units import printable

LEAK_KINDS: tuple[str, ...] = get_args(LeakKind)
EXAMPLES = 3


@dataclass(frozen=True)
class Leak:
    """`count` things (artists, recordings or files, by `kind`) that stand in both `parts` of split `split`."""

    kind: LeakKind
    split: str
    parts: tuple[str, str]
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        thing = {"artist_overlap": "artist", "duplicate_audio": "recording", "same_file": "file"}[self.kind]
        more = ", ..." if self.count > len(self.examples) else ""
        names = ", ".join(printable(name) for name in self.examples)
        plural = "" if self.count == 1 else "s"
        return f"{self.kind}: {self.split}: {self.count} {thing}{plural} in {' and '.join(self.parts)}: {names}{more}"


def _shared(keys: pd.Series, left: np.ndarray, right: np.ndarray) -> list[object]:
    """Keys that occur among both rows, in the order of `left`; a missing key is nobody's."""
    other = set(keys.iloc[right].dropna())
    return list(dict.fromkeys(key for key in keys.iloc[left].dropna() if key in other))


def _leak(kind: LeakKind, split: str, parts: tuple[str, str], names: Sequence[str]) -> Iterator[Leak]:
    if names:
        yield Leak(kind, split, parts, len(names), tuple(names[:EXAMPLES]))


def _pair_leaks(collection: Collection, split: Split, parts: tuple[str, str]) -> Iterator[Leak]:
    """The leaks between two parts of one split."""
    tracks, (left, right) = collection.tracks, (split.parts[part] for part in parts)
    both = np.intersect1d(left, right)
    yield from _leak("same_file", split.name, parts, tracks["id"].iloc[both].tolist())
    # A row in both parts is already reported; its artist and its sound are not a second finding.
    left, right = np.setdiff1d(left, both), np.setdiff1d(right, both)
    for column in ("content", "audio_id"):
        if column in tracks:
            pairs = [_pair(tracks, column, key, left, right) for key in _shared(tracks[column], left, right)]
            yield from _leak("duplicate_audio", split.name, parts, pairs)
    groups = pd.Series(collection.groups)
    rows = [int(np.flatnonzero(collection.groups == group)[0]) for group in _shared(groups, left, right)]
    yield from _leak("artist_overlap", split.name, parts, [str(tracks["artist"].iloc[row]) for row in rows])


def _pair(tracks: pd.DataFrame, column: str, key: object, left: np.ndarray, right: np.ndarray) -> str:
    """'a.mp3 = b.mp3': one recording, a file of it on either side."""
    ids = [tracks["id"].iloc[rows][(tracks[column].iloc[rows] == key).to_numpy()].iloc[0] for rows in (left, right)]
    return " = ".join(ids)


def audit(collection: Collection) -> list[Leak]:
    """Every leak between train, valid and test of every split.

    `same_file`: one file listed in two parts. `duplicate_audio`: files with identical bytes, or with identical decoded
    sound where the tracks have an `audio_id`, in two parts. `artist_overlap`: an artist in two parts; tracks whose
    artist is unknown cannot be judged and are counted in the collection's notes.
    """
    return [
        leak
        for split in collection.splits
        for parts in combinations(split.parts, 2)
        for leak in _pair_leaks(collection, split, parts)
    ]


def allowed_kinds(collection: Collection, allow: Sequence[str] = ()) -> Mapping[str, str]:
    """{kind: reason} of the leaks accepted by the declaration and by `allow`. Raises UsageError on an unknown kind."""
    for kind in allow:
        if kind not in LEAK_KINDS:
            raise UsageError(f"--allow-leak {kind}: no such leak.{nearest(kind, LEAK_KINDS)}")
    return {**dict.fromkeys(allow, "allowed by --allow-leak"), **{leak.kind: leak.reason for leak in collection.allow}}


def refuse_leaks(collection: Collection, leaks: Sequence[Leak], allow: Sequence[str] = ()) -> tuple[str, ...]:
    """A note for every leak that is allowed. Raises DatasetError listing all those that are not."""
    reasons = allowed_kinds(collection, allow)
    forbidden = [leak for leak in leaks if leak.kind not in reasons]
    if forbidden:
        kinds = " ".join(f"--allow-leak {kind}" for kind in sorted({leak.kind for leak in forbidden}))
        lines = "\n".join(f"  {leak}" for leak in forbidden)
        raise DatasetError(
            f"{collection.name}: the splits leak, so a score would not be a benchmark:\n{lines}\n"
            f"Mend the splits, or accept it by name: {kinds}, or `allow` with a reason in datasets.yaml"
        )
    return tuple(f"allowed leak ({reasons[leak.kind]}): {leak}" for leak in leaks)
