"""One recording in another file, or one piece played anew: told by what was measured, agreed to by the encoder.

- *near_duplicate*: one recording, mastered, encoded or cut anew. It keeps its pitches and its beat to the last detail.
- *version*: the same piece played or mixed anew: the pitches stay, the beat nearly does.

An encoder that learned what sounds alike cannot tell the same from the similar: on real music its nearest pairs were
two pieces for one piano. So the measured harmony and rhythm propose and decide (`mirclr.features.measures`,
standardised over the library), and the encoder's moments, which know the timbre, have to agree. docs/listening.md has
the figures the thresholds come from. A version in another key or at quite another tempo is not found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from mirclr.features.measures import SIZES
from mirclr.library.hubness import fixed_draw
from mirclr.library.search import Catalogue, Space
from mirclr.library.store import Library

NEAR, VERSION = "near_duplicate", "version"
TOLD_BY = ("harmony", "rhythm")
SAME = (0.97, 0.95)  # cosines of harmony and of rhythm in two files of one recording
LIKE = (0.96, 0.8)  # in two versions of a piece
NEAR_AGREEMENT, VERSION_AGREEMENT = 0.7, 0.85

Moments = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""A catalogue row to its (S, D) unit moments and their (S,) starts."""


def kind_of(harmony: float, rhythm: float, agreement: float) -> str | None:
    """What two tracks with these cosines are to each other; None: two pieces."""
    same = harmony >= SAME[0] and rhythm >= SAME[1]
    kind, needed = (NEAR, NEAR_AGREEMENT) if same else (VERSION, VERSION_AGREEMENT)
    return kind if agreement >= needed else None


def agreement_of(first: np.ndarray, second: np.ndarray) -> float:
    """Mean cosine of each of (S, D) and (T, D) unit moments to the nearest one of the other track."""
    cosines = first @ second.T
    return float((cosines.max(axis=1).mean() + cosines.max(axis=0).mean()) / 2)


class Recordings:
    """Asked for a few rows of a catalogue which others are the same recording or a version of the piece.

    Reads of the store only the rows it is asked about, once. Measures are standardised over the library, over a fixed
    draw of a large one. A row that was not measured is like no other.
    """

    def __init__(self, catalogue: Catalogue, moments: Moments) -> None:
        self._catalogue, self._moments = catalogue, moments
        count = len(catalogue.tracks)
        self._known = np.zeros(count, bool)
        self._units = {name: np.zeros((count, SIZES[name]), np.float32) for name in TOLD_BY}
        self._told: dict[tuple[int, int], bool] = {}

    def same(self, rows: np.ndarray, among: np.ndarray) -> np.ndarray:
        """(A,) bool: which of the rows `among` (A,) are one recording or piece with any other row of `rows` (R,)."""
        self._read(np.concatenate([rows, among]))
        alike = np.ones((len(rows), len(among)), bool)
        for name, least in zip(TOLD_BY, LIKE, strict=True):
            alike &= self._units[name][rows] @ self._units[name][among].T >= least
        out = np.zeros(len(among), bool)
        for first, second in zip(*np.nonzero(alike), strict=True):
            out[second] = out[second] or self._are_same(int(rows[first]), int(among[second]))
        return out

    def _are_same(self, one: int, other: int) -> bool:
        pair = min(one, other), max(one, other)
        if one != other and pair not in self._told:
            harmony, rhythm = (float(self._units[name][one] @ self._units[name][other]) for name in TOLD_BY)
            agreement = agreement_of(self._moments(one)[0], self._moments(other)[0])
            self._told[pair] = kind_of(harmony, rhythm, agreement) is not None
        return one != other and self._told[pair]

    def _read(self, rows: np.ndarray) -> None:
        """Bring the measures of `rows` into memory."""
        new = np.unique(rows[~self._known[rows]])
        if len(new):
            for name, raw in self._raw(new).items():
                there = np.isfinite(raw).all(axis=1)
                self._units[name][new[there]] = self._spaces[name].unit(raw[there])
            self._known[new] = True

    def _raw(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        ids = self._catalogue.tracks["audio_id"].iloc[rows].tolist()
        with Library.open(self._catalogue.path) as library:
            return library.descriptors(ids, TOLD_BY)

    @cached_property
    def _spaces(self) -> dict[str, Space]:
        return spaces_of(self._raw(fixed_draw(len(self._known))))


def spaces_of(measured: dict[str, np.ndarray]) -> dict[str, Space]:
    """Where harmony and rhythm are compared, by measures (N, .) of the library or of a draw; NaN: not measured."""
    there = {name: raw[np.isfinite(raw).all(axis=1)] for name, raw in measured.items()}
    nothing = {name: np.zeros((1, raw.shape[1]), np.float32) for name, raw in measured.items()}
    return {name: Space.fit(raw if len(raw) else nothing[name]) for name, raw in there.items()}
