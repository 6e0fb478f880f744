"""Other people's vectors as rows of a report: a file of ids and numbers, held against the tracks of a collection."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirclr.datasets.collection import Collection
from mirclr.errors import DatasetError, UsageError
from mirclr.features.vector_file import read_vectors


@dataclass(frozen=True)
class Table:
    """`vectors` `(N, D)` float32 of a collection's tracks, in their order, and what a reader must know."""

    vectors: np.ndarray
    notes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """32 hex digits of the numbers."""
        return hashlib.blake2b(np.ascontiguousarray(self.vectors).data, digest_size=16).hexdigest()


def read_tables(paths: Sequence[Path], collection: Collection) -> dict[str, Table]:
    """Vector files by row name: the name of the file, or its path where two are called the same.

    Raises UsageError on a file that is given twice or cannot be read, has NaN or an id twice; DatasetError where a
    track has no vector. The message names the file and the first such id.
    """
    whole = [os.path.abspath(path) for path in paths]
    if twice := sorted({path for path in whole if whole.count(path) > 1}):
        raise UsageError(f"the vectors {twice[0]} are given twice")
    stems = [path.stem for path in paths]
    names = [str(path) if stems.count(stem) > 1 else stem for stem, path in zip(stems, paths, strict=True)]
    return {name: _table(path, collection) for name, path in zip(names, paths, strict=True)}


def _table(path: Path, collection: Collection) -> Table:
    ids, vectors = read_vectors(path)
    row_of = _rows(path, ids, collection)
    wanted = list(collection.tracks["path"])
    missing = [track for track in wanted if track not in row_of]
    if missing:
        raise DatasetError(
            f"{path}: no vector for {missing[0]} ({len(missing)} of {len(wanted)} tracks of {collection.name} are "
            "missing); ids are paths of tracks, absolute or relative to the collection"
        )
    others = len(ids) - len(wanted)
    notes = (f"vectors from {path.name}: how they were made, and of what sound, is not known here",)
    left = (f"{others} of {len(ids)} vectors in {path.name} are of no track here and were not used",) if others else ()
    return Table(vectors[[row_of[track] for track in wanted]], (*notes, *left))


def _rows(path: Path, ids: Sequence[str], collection: Collection) -> Mapping[str, int]:
    """The row of every track's vector, by the track's path."""
    known = dict(zip(collection.tracks["id"], collection.tracks["path"], strict=True))
    known |= {track: track for track in collection.tracks["path"]}
    found: dict[str, int] = {}
    for row, name in enumerate(ids):
        track = known.get(name) or known.get(os.path.normpath(name)) or known.get(os.path.abspath(name))
        if track is not None and found.setdefault(track, row) != row:
            raise UsageError(f"{path}: {ids[found[track]]!r} and {name!r} are one track: two vectors for {track}")
    return found
