"""Exact nearest neighbours in a library held in memory.

The store keeps the encoder's own vectors. They are compared by cosine after every dimension was standardised over the
library (Schnitzer et al., JMLR 2012, on why raw timbre spaces are dominated by a few directions): what all tracks share
says nothing about which two are alike. Every track is compared; at 100,000 x 512 a query is one matrix product.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mirclr.errors import StoreError
from mirclr.library.hubness import HUBBY, Hubness, hubness, nearness
from mirclr.library.rows import Contents
from mirclr.library.side_file import packed_table, read_side_file, unpacked_table, write_side_file
from mirclr.library.store import Library
from mirclr.library.track_tags import TrackTags

PRIOR_TRACKS = 2.0
PACKED_FROM = 5000  # tracks: smaller libraries open as fast without
COMPARED = 16  # vectors of the packed copy compared with the store's own, evenly spread
BLOCK = 1024  # rows turned to float64 at a time
DIGITS = 6  # float32 sums differ in the seventh digit between machines; equal to six digits is a tie


class Hit(NamedTuple):
    """One answer: a row of `Catalogue.tracks` and its cosine similarity in -1..1."""

    row: int
    similarity: float


@dataclass(frozen=True)
class Space:
    """Where similarity is measured: `(x - centre) / scale` per dimension, then length one.

    `centre`, `scale`: (D,) float32. The statistics are those of the library plus `PRIOR_TRACKS` tracks at the origin:
    with thousands of tracks this is the plain z-score, and with one, two or three (where a z-score makes any two tracks
    opposites) it is still a sensible space. A dimension that never moves weighs nothing in a large library.
    """

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> Space:
        """The space of a library of (U, D) float32 vectors, U >= 1."""
        total, square = np.zeros(vectors.shape[1]), np.zeros(vectors.shape[1])
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK].astype(np.float64)
            total += block.sum(axis=0)
            square += np.einsum("nd,nd->d", block, block)
        count = len(vectors) + PRIOR_TRACKS
        centre = total / count
        scale = np.sqrt(np.maximum(square / count - centre**2, 0))
        # Below a millionth of the widest dimension there is only rounding noise, which must not be blown up.
        scale[scale <= 1e-6 * scale.max()] = np.inf
        return cls(centre.astype(np.float32), scale.astype(np.float32))

    def unit(self, vectors: np.ndarray) -> np.ndarray:
        """(N, D) encoder vectors to (N, D) float32 rows of length one (zero for a vector that says nothing)."""
        out = (vectors - self.centre) / self.scale
        length = np.sqrt(np.einsum("nd,nd->n", out, out))[:, None]
        return np.divide(out, length, out=np.zeros_like(out), where=length > 0)


class Catalogue:
    """A library in memory, ready to search.

    `tracks`: one row per distinct audio in path order (of several copies, the first path), the columns of `Contents`;
    `unit`: (U, D) float32, their vectors in `space`. A row number everywhere means a row of these two. `paths`: one row
    per path, as `Contents.tracks`. What few questions need is read from the store at `path` when it is asked for.
    """

    def __init__(self, paths: pd.DataFrame, space: Space, unit: np.ndarray, path: Path, state: str | None) -> None:
        """Use `load`. `paths`: as `Contents.tracks`; `state`: of the store when it was read."""
        self.path, self.state = path, state
        self.paths = paths
        self.tracks: pd.DataFrame = paths.drop_duplicates("row").reset_index(drop=True)
        self.space, self.unit = space, unit

    @classmethod
    def of(cls, contents: Contents, path: Path) -> Catalogue:
        """Of what was read from the store at `path`; the vectors are overwritten, so that they are held once."""
        space = Space.fit(contents.vectors)
        return cls(contents.tracks, space, _in_blocks(space, contents.vectors), path, contents.state)

    @classmethod
    def load(cls, library: Library) -> Catalogue:
        """Read a library. Raises StoreError when it holds no track.

        Of a large one a copy that opens at once is kept beside the store, `STORE-packed`, until the store changes.
        """
        if (packed := _unpacked(library)) is not None:
            return packed
        contents = library.contents()
        if contents.tracks.empty:
            raise StoreError(
                f"{library.path}: the library is empty. Fill it with: mirclr index FOLDER --store {library.path}"
            )
        catalogue = cls.of(contents, library.path)
        if catalogue.state is not None and len(catalogue.tracks) >= PACKED_FROM:
            fitted = {"centre": catalogue.space.centre, "scale": catalogue.space.scale, "unit": catalogue.unit}
            packed_arrays = {**packed_table(catalogue.paths), **fitted}
            write_side_file(_beside(library.path, "-packed"), catalogue.state, packed_arrays, mapped=["unit"])
        return catalogue

    @cached_property
    def _place(self) -> dict[str, int]:
        return {path: place for place, path in enumerate(self.paths["path"])}

    def row_at(self, path: Path) -> int | None:
        """The row that holds the audio of an indexed path, or None."""
        place = self._place.get(os.fspath(path))
        return None if place is None else int(self.paths["row"].iloc[place])

    def row_of_audio(self, audio_id: str) -> int | None:
        """The row of an audio, or None when the library does not hold it."""
        found = np.flatnonzero(self.tracks["audio_id"] == audio_id)
        return int(found[0]) if len(found) else None

    def track(self, row: int) -> dict[str, Any]:
        """The table row `row` as a dictionary; None for what is not known."""
        return _plain(self.tracks.iloc[row])

    def track_at(self, path: Path) -> dict[str, Any]:
        """The table row of an indexed path itself, perhaps a later copy of the audio. KeyError if unknown."""
        return _plain(self.paths.iloc[self._place[os.fspath(path)]])

    @cached_property
    def descriptors(self) -> dict[str, np.ndarray]:
        """`timbre` (U, 120), `rhythm` (U, 37) and `harmony` (U, 24) float32 as measured, not standardised; NaN rows
        where not measured (`mirclr index` measures what is missing). Raises StoreError when the store is gone."""
        with Library.open(self.path) as library:
            return library.descriptors(self.tracks["audio_id"].tolist())

    @cached_property
    def tags(self) -> TrackTags:
        """Every tag of every row, read from the store when it is asked for, as filters do."""
        return TrackTags(self.path, self.tracks["id"].tolist())

    def segments(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The kept moments of a row: `(S, D)` float32 unit rows in `space`, and their `(S,)` starts in seconds.

        Raises StoreError when the store is gone, or a later index run has deleted the track.
        """
        with Library.open(self.path) as library:
            [(vectors, starts)] = library.segments([str(self.tracks["audio_id"].iloc[row])])
        return self.space.unit(vectors), starts

    @cached_property
    def nearness(self) -> np.ndarray:
        """(U,) float32: how near every row is to its own neighbourhood; `mirclr.library.hubness` uses it."""
        if self.state is None or len(self.unit) < PACKED_FROM:
            return nearness(self.unit)
        place = _beside(self.path, "-near")
        kept = read_side_file(place, self.state)
        if kept is None or kept["near"].shape != (len(self.unit),):
            kept = {"near": nearness(self.unit)}
            write_side_file(place, self.state, kept)
        return kept["near"]

    @cached_property
    def hubness(self) -> Hubness:
        """How much the library suffers from hubs, uncorrected."""
        return hubness(self.unit)

    def correction(self, wanted: bool | None = None) -> np.ndarray | None:
        """The `nearness` by which hubs are corrected, or None for as it is; unless `wanted` says: where hubs are."""
        return self.nearness if (self.hubness.skewness >= HUBBY if wanted is None else wanted) else None

    def similarities(self, query: np.ndarray) -> np.ndarray:
        """(U,) float32: the dot product of every row with `query`, a (D,) vector in `space`, to six digits."""
        return np.round(self.unit @ query.astype(np.float32), DIGITS)


def similar(catalogue: Catalogue, query: np.ndarray, k: int, exclude: Collection[int] = ()) -> list[Hit]:
    """The `k` rows most like `query`, a (D,) vector in the catalogue's space; best first, ties in path order.

    Rows in `exclude` are left out; fewer than `k` come back when the library holds fewer.
    """
    scores = catalogue.similarities(query)
    scores[list(exclude)] = -np.inf
    return [Hit(int(row), float(scores[row])) for row in best(scores, min(k, len(scores) - len(set(exclude))))]


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """The indices of the `k` highest scores, best first, equal ones by index; sorts no more than it must."""
    if k <= 0:
        return np.empty(0, np.int64)
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= kth)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def _beside(store: Path, ending: str) -> Path:
    return store.with_name(store.name + ending)


def _unpacked(library: Library) -> Catalogue | None:
    """A catalogue from the copy beside the store; None when there is none of this state, or it is not the store's."""
    state = library.state
    arrays = None if state is None else read_side_file(_beside(library.path, "-packed"), state)
    if arrays is None:
        return None
    try:
        paths, space = unpacked_table(arrays), Space(arrays["centre"], arrays["scale"])
        found = Catalogue(paths, space, arrays["unit"], library.path, state)
        rows = np.unique(np.linspace(0, len(found.tracks) - 1, COMPARED).astype(int))
        own = library.vectors_of(found.tracks["audio_id"].iloc[rows].tolist())
        same = np.allclose(space.unit(own), found.unit[rows], atol=1e-5)
    except (KeyError, ValueError, IndexError, StoreError):
        return None
    return found if same and len(found.unit) == len(found.tracks) else None


def _plain(row: pd.Series) -> dict[str, Any]:
    """A table row as a dictionary; None for NaN and NA."""
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}


def _in_blocks(space: Space, vectors: np.ndarray) -> np.ndarray:
    """`space.unit` written over `vectors`, so that a large library is held once."""
    for start in range(0, len(vectors), BLOCK):
        vectors[start : start + BLOCK] = space.unit(vectors[start : start + BLOCK])
    return vectors
