"""Which pairs of a library are worth listening to: tracks that summaries hold for the same music.

Three summaries are compared: the measured harmony at the transposition that suits it best, the measured rhythm, and the
encoder's vector. One change of a recording spoils one of them: another tempo the rhythm, another key the encoder's
vector, a cut none. So a pair counts by the mean of its two highest cosines, and of every track the few nearest are
proposed. That is far too generous to decide anything: `mirclr.features.same_music` does, by the sound.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mirclr.library.recordings import TOLD_BY, spaces_of
from mirclr.library.search import Catalogue

LEAST = 0.9  # mean of the two highest cosines: changed recordings reach 0.94 and more (docs/listening.md)
NEAREST = 5
CLASSES = 12  # pitch classes, the first numbers of the harmony; transposing rotates them and leaves the others
BLOCK = 1024


def candidates(catalogue: Catalogue) -> list[tuple[int, int]]:
    """Rows (first < second), in order. Compares all pairs of audio that was measured, in time U^2.

    Raises StoreError when the store is gone.
    """
    found: set[tuple[int, int]] = set()
    for start, alike in _alike(catalogue):
        alike[np.arange(len(alike)), start + np.arange(len(alike))] = -1  # itself
        nearest = np.argpartition(-alike, min(NEAREST, alike.shape[1]) - 1, axis=1)[:, :NEAREST]
        rows, places = np.nonzero(np.take_along_axis(alike, nearest, axis=1) >= LEAST)
        pairs = zip((start + rows).tolist(), nearest[rows, places].tolist(), strict=True)
        found.update((min(pair), max(pair)) for pair in pairs)
    measured = _measured(catalogue)
    return sorted((int(measured[one]), int(measured[other])) for one, other in found)


def _alike(catalogue: Catalogue) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of measured rows: where each begins, and how alike (B, U) they are to all of them."""
    measured = _measured(catalogue)
    if len(measured) < 2:
        return
    raw = {name: catalogue.descriptors[name][measured] for name in TOLD_BY}
    spaces, sound = spaces_of(raw), catalogue.unit[measured]
    harmony, rhythm = (spaces[name].unit(raw[name]) for name in TOLD_BY)
    for start in range(0, len(measured), BLOCK):
        here = slice(start, start + BLOCK)
        tonal = np.full((len(sound[here]), len(sound)), -1, np.float32)
        for turn in range(CLASSES):
            np.maximum(tonal, spaces["harmony"].unit(_transposed(raw["harmony"][here], turn)) @ harmony.T, out=tonal)
        each = np.stack([tonal, rhythm[here] @ rhythm.T, sound[here] @ sound.T])
        yield start, (each.sum(axis=0) - each.min(axis=0)) / 2


def _measured(catalogue: Catalogue) -> np.ndarray:
    return np.flatnonzero(np.isfinite(catalogue.descriptors["harmony"]).all(axis=1))


def _transposed(harmony: np.ndarray, semitones: int) -> np.ndarray:
    """Measured harmonies (N, 24) as they would be so many semitones higher."""
    return np.hstack([np.roll(harmony[:, :CLASSES], semitones, axis=1), harmony[:, CLASSES:]])
