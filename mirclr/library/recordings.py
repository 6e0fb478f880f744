"""One recording in two files, as far as what is in the store can tell: what playlists ask, who cannot open files.

`mirclr.library.duplicates` listens and knows better. Here the measured harmony and rhythm decide
(`mirclr.features.measures`, standardised over the library), and the encoder's moments, which know the timbre, have to
agree. The thresholds are tight: a track kept out of a list for nothing is worse than a second mastering in it. Versions
are not told: the summaries of two hymns or madrigals are as alike as those of two remixes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np

from mirclr.features.measures import SIZES
from mirclr.library.hubness import fixed_draw
from mirclr.library.search import Catalogue, Space
from mirclr.library.store import Library

TOLD_BY = ("harmony", "rhythm")
SAME = 0.985  # cosine of harmony and of rhythm; of two different pieces the lower one reached 0.971
AGREEMENT = 0.85

Moments = Callable[[Sequence[int]], list[tuple[np.ndarray, np.ndarray]]]
"""Catalogue rows, one or more, to the (S, D) unit moments of each and their (S,) starts."""


def agreement_of(first: np.ndarray, second: np.ndarray) -> float:
    """Mean cosine of each of (S, D) and (T, D) unit moments to the nearest one of the other track."""
    cosines = first @ second.T
    return float((cosines.max(axis=1).mean() + cosines.max(axis=0).mean()) / 2)


class Recordings:
    """Asked for a few rows of a catalogue which others are the same recording.

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
        """(A,) bool: which of the rows `among` (A,) are one recording with any other row of `rows` (R,)."""
        return self.asked_among(among)(rows)

    def asked_among(self, among: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """`same` for many questions about the same rows `among` (A,), whose measures are gathered once."""
        self._read(among)
        return partial(self._same, among, self._units["harmony"][among])

    def _same(self, among: np.ndarray, harmony: np.ndarray, rows: np.ndarray) -> np.ndarray:
        self._read(rows)
        out = np.zeros(len(among), bool)
        alike = self._units["harmony"][rows] @ harmony.T >= SAME
        for first, second in zip(*np.nonzero(alike), strict=True):  # few, so that rhythm is compared pair by pair
            out[second] = out[second] or self._agree(int(rows[first]), int(among[second]))
        return out

    def _agree(self, one: int, other: int) -> bool:
        """Whether rhythm and the moments say so too; no row agrees with itself."""
        rhythm = self._units["rhythm"]
        if rhythm[one] @ rhythm[other] < SAME:
            return False
        pair = min(one, other), max(one, other)
        if one != other and pair not in self._told:
            (first, _), (second, _) = self._moments(pair)
            self._told[pair] = agreement_of(first, second) >= AGREEMENT
        return one != other and self._told[pair]

    def _read(self, rows: np.ndarray) -> None:
        """Bring the measures of `rows` into memory."""
        if self._known[rows].all():
            return
        new = np.unique(rows[~self._known[rows]])
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
