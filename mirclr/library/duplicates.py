"""The same music twice: copies, near-duplicates of one recording, and other versions of a piece.

- *copy*: two paths with the same decoded audio; the store knows it by `audio_id`.
- *near_duplicate*: one recording, mastered, encoded or cut anew. It keeps its pitches and its beat to the last detail.
- *version*: the same piece played or mixed anew: the pitches stay, the beat nearly does.

An encoder that learned what sounds alike cannot tell the same from the similar: on real music its nearest pairs were
two pieces for one piano. So the measured harmony and rhythm propose and decide (`mirclr.features.measures`,
standardised over the library), and the encoder's moments, which know the timbre, have to agree. docs/listening.md has
the figures the thresholds come from. A version in another key or at quite another tempo is not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mirclr.library.search import Catalogue, Space
from mirclr.library.store import Library

COPY, NEAR, VERSION = "copy", "near_duplicate", "version"
SAME_HARMONY, SAME_RHYTHM = 0.97, 0.95
LIKE_HARMONY, LIKE_RHYTHM = 0.96, 0.8
NEAR_AGREEMENT, VERSION_AGREEMENT = 0.7, 0.85
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
            agreement = _agreement(*moments)
            same = harmony >= SAME_HARMONY and rhythm >= SAME_RHYTHM
            kind, needed = (NEAR, NEAR_AGREEMENT) if same else (VERSION, VERSION_AGREEMENT)
            if agreement >= needed:
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
    blocks = {name: catalogue.descriptors[name][measured] for name in ("harmony", "rhythm")}
    harmony, rhythm = (Space.fit(block).unit(block) for block in blocks.values())
    for start in range(0, len(measured), BLOCK):
        tonal = harmony[start : start + BLOCK] @ harmony[start:].T
        beats = rhythm[start : start + BLOCK] @ rhythm[start:].T
        near = np.triu((tonal >= LIKE_HARMONY) & (beats >= LIKE_RHYTHM), k=1)
        for row, column in zip(*np.nonzero(near), strict=True):
            places = int(measured[start + row]), int(measured[start + column])
            yield *places, float(tonal[row, column]), float(beats[row, column])


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Mean cosine of each of (S, D) and (T, D) unit moments to the nearest one of the other track."""
    cosines = first @ second.T
    return float((cosines.max(axis=1).mean() + cosines.max(axis=0).mean()) / 2)
