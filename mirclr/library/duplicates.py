"""The same music twice: copies, near-duplicates of one recording, and other versions of a piece.

A *copy* is two paths with the same decoded audio; the store knows it by `audio_id`. `mirclr.library.recordings` says
what the other two are and how they are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mirclr.library.recordings import LIKE, NEAR, TOLD_BY, VERSION, agreement_of, kind_of, spaces_of
from mirclr.library.search import Catalogue
from mirclr.library.store import Library

COPY = "copy"
BLOCK = 1024


@dataclass(frozen=True)
class Pair:
    """Two paths, what they are to each other (`kind`), and why: mean cosine of each one's moments to the nearest moment
    of the other (`agreement`), and of the measured `harmony` and `rhythm`; all 1 for a copy."""

    kind: str
    first: str
    second: str
    agreement: float
    harmony: float
    rhythm: float


def duplicates(catalogue: Catalogue) -> list[Pair]:
    """Every pair, surest first: copies, near-duplicates, versions; within a kind by agreement.

    Compares all pairs of audio that was measured, in time U^2. Raises StoreError when the store is gone.
    """
    found = list(_copies(catalogue))
    paths = catalogue.tracks["path"]
    with Library.open(catalogue.path) as library:
        ids = catalogue.tracks["audio_id"]
        for first, second, harmony, rhythm in _candidates(catalogue):
            moments = [catalogue.space.unit(library.segments(ids.iloc[row])[0]) for row in (first, second)]
            agreement = agreement_of(*moments)
            if (kind := kind_of(harmony, rhythm, agreement)) is not None:
                found.append(Pair(kind, paths.iloc[first], paths.iloc[second], agreement, harmony, rhythm))
    order = {COPY: 0, NEAR: 1, VERSION: 2}
    return sorted(found, key=lambda pair: (order[pair.kind], -pair.agreement, pair.first, pair.second))


def _copies(catalogue: Catalogue) -> Iterator[Pair]:
    """Every further path of a sound with its first one."""
    first = catalogue.tracks["path"]
    for path, row in zip(catalogue.paths["path"], catalogue.paths["row"], strict=True):
        if first.iloc[row] != path:
            yield Pair(COPY, first.iloc[row], path, 1.0, 1.0, 1.0)


def _candidates(catalogue: Catalogue) -> Iterator[tuple[int, int, float, float]]:
    """Rows (first < second) whose harmony and rhythm are alike enough, and how alike."""
    measured = np.flatnonzero(np.isfinite(catalogue.descriptors["harmony"]).all(axis=1))
    if len(measured) < 2:
        return
    blocks = {name: catalogue.descriptors[name][measured] for name in TOLD_BY}
    harmony, rhythm = (space.unit(blocks[name]) for name, space in spaces_of(blocks).items())
    for start in range(0, len(measured), BLOCK):
        tonal = harmony[start : start + BLOCK] @ harmony[start:].T
        beats = rhythm[start : start + BLOCK] @ rhythm[start:].T
        near = np.triu((tonal >= LIKE[0]) & (beats >= LIKE[1]), k=1)
        for row, column in zip(*np.nonzero(near), strict=True):
            places = int(measured[start + row]), int(measured[start + column])
            yield *places, float(tonal[row, column]), float(beats[row, column])
