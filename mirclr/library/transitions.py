"""What it costs to follow one track by another: the end of one against the beginning of the next, tempo and key.

Sound is compared twice, as a whole and where the tracks meet: the last moments of the first with the first moments of
the second, so the cost differs by direction. Tempo is compared on a circle of octaves, as a mixer counts (90 goes with
180). Keys are compared on the Camelot wheel, which is the circle of fifths with relative keys side by side: the same
key, its relative and its two neighbours mix well (Davis, "Harmonic Mixing Guide"; for its agreement with listeners
Gebhardt et al., "Psychoacoustic approaches for harmonic music mixing", Applied Sciences 2016).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.library.playlist_rules import Pool
from mirclr.library.recordings import Moments

ENDS = 2  # moments at either end of a track that are its intro and its outro
TEMPO_OCTAVES = 0.25  # tempi as far apart as this (19 %) or farther cost all they can
OCTAVE_COST = 0.1  # of half and double time
UNKNOWN = 0.5  # the cost of a tempo or key that nobody measured: neither good nor bad
PITCHES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEY = re.compile(r"([A-G])([#b♯♭]?) (major|minor)")


@dataclass(frozen=True)
class Weights:
    """How much each part of a transition counts; the cost is their weighted mean. Zero or more, not all zero."""

    sound: float = 1.0
    join: float = 1.0
    tempo: float = 0.4
    key: float = 0.2

    def __post_init__(self) -> None:
        values = [getattr(self, part.name) for part in fields(self)]
        if not all(0 <= value < float("inf") for value in values) or not any(values):
            raise UsageError(f"weights: {self}: each is 0 or more, and at least one is more")

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Weights:
        """`["tempo=1", "key=0"]` over the usual weights. Raises UsageError on an unknown part or no number."""
        known = {part.name: part.default for part in fields(cls)}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in known:
                raise UsageError(f"weight {text!r}: no part {name!r} of a transition.{nearest(name, known)}")
            try:
                known[name] = float(value)
            except ValueError as error:
                raise UsageError(f"weight {text!r}: {value!r} is no number") from error
        return cls(**known)  # type: ignore[arg-type]


def camelot(key: object) -> tuple[int, str] | None:
    """("F# minor") to (11, "A"), its place on the Camelot wheel: 1..12, A minor, B major; None when it is no key."""
    found = _KEY.fullmatch(key) if isinstance(key, str) else None
    if not found:
        return None
    letter, sign, mode = found.groups()
    pitch = PITCHES[letter] + {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[sign] + (3 if mode == "minor" else 0)
    return (7 * pitch + 7) % 12 + 1, "A" if mode == "minor" else "B"


def key_cost(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cost 0..1 between wheel places coded `number + 100 * minor`, NaN unknown; shapes broadcast.

    0 for the same key, 1/7 for a neighbour or the relative, 1 for the farthest; the number of moves on the wheel over
    its largest, 7.
    """
    around = np.abs(one % 100 - other % 100)
    moves = np.minimum(around, 12 - around) + (one // 100 != other // 100)
    return np.where(np.isnan(one) | np.isnan(other), UNKNOWN, moves / 7)


def tempo_cost(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cost 0..1 between tempi in beats a minute, NaN unknown; shapes broadcast. Half and double time cost a tenth."""
    octaves = np.log2(other) - np.log2(one)
    apart = np.abs(octaves - np.round(octaves)) / TEMPO_OCTAVES + OCTAVE_COST * np.abs(np.round(octaves))
    return np.where(np.isnan(octaves), UNKNOWN, np.minimum(1.0, apart))


class Transitions:
    """Costs between the tracks of a pool; moments are read when a track first needs them.

    `notes`: parts that weigh something and that nobody measured in this library.
    """

    def __init__(self, pool: Pool, weights: Weights, moments: Moments) -> None:
        self._pool, self._weights, self._moments = pool, weights, moments
        self._ends: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.tempo, self.energy = _column(pool, "tempo"), _column(pool, "energy")
        wheel = [camelot(key) for key in _objects(pool, "key")]
        self.key = np.array([np.nan if at is None else at[0] + 100.0 * (at[1] == "A") for at in wheel])
        self._parts = {
            "tempo": (weights.tempo, self.tempo, tempo_cost),
            "key": (weights.key, self.key, key_cost),
        }
        unknown = [name for name, (weight, values, _) in self._parts.items() if weight and np.isnan(values).all()]
        told = f"no {' and no '.join(unknown)} is measured in this library, so it does not count: mirclr index adds it"
        self.notes = [told] if unknown else []
        for name in unknown:
            del self._parts[name]

    def cost(self, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
        """(A, B): the cost of following each place of `before` by each of `after`, 0..2, to six digits."""
        weights, (one, other) = self._weights, (list(before), list(after))
        total = weights.sound * (1.0 - (self._pool.unit[one] @ self._pool.unit[other].T).astype(np.float64))
        if weights.join:
            self._hear([place for place in {*one, *other} if place not in self._ends])
            out = np.stack([self._ends[place][1] for place in one])
            into = np.stack([self._ends[place][0] for place in other])
            total = total + weights.join * (1.0 - out @ into.T)
        whole = weights.sound + weights.join
        for weight, values, rule in self._parts.values():
            total = total + weight * rule(values[one][:, None], values[other][None, :])
            whole += weight
        return np.round(total / whole if whole else total, 6)

    def _hear(self, places: Sequence[int]) -> None:
        """Intro and outro of places as unit vectors; a file outside the library has only its mean."""
        rows = self._pool.rows
        inside = [place for place in places if rows[place] >= 0]
        heard = self._moments(rows[inside].tolist()) if inside else []
        known = {place: moments for place, (moments, _) in zip(inside, heard, strict=True)}
        for place in places:
            moments = known.get(place, self._pool.unit[place][None])
            self._ends[place] = (_direction(moments[:ENDS]), _direction(moments[-ENDS:]))


def _direction(vectors: np.ndarray) -> np.ndarray:
    """(S, D) to the (D,) direction of their mean; zero where they cancel."""
    total: np.ndarray = vectors.sum(axis=0)
    length = math.sqrt(total @ total)
    return total / length if length > 0 else total


def _objects(pool: Pool, name: str) -> list[object]:
    """A column of the measures for every place; None where there is none."""
    own = [seed.track.get(name) for seed in pool.given]
    rows = pool.rows[len(pool.given) :]
    tracks = pool.catalogue.tracks
    return [*own, *(tracks[name].iloc[rows].tolist() if name in tracks else [None] * len(rows))]


def _column(pool: Pool, name: str) -> np.ndarray:
    values = _objects(pool, name)
    return np.array([np.nan if value is None or pd.isna(value) else float(value) for value in values])  # type: ignore[arg-type, call-overload]
