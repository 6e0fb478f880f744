"""A playlist that follows from tracks: chosen and ordered in one of several shapes, under rules that always hold.

Everything is deterministic: equal similarities go by path, and what is drawn is drawn from a seed. A list is made from
a *pool*, the tracks nearest to the question, so that a library of any size costs one matrix product; the pool grows
when the rules leave too little of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mirclr.config import nearest as closest
from mirclr.errors import UsageError
from mirclr.library.hubness import corrected
from mirclr.library.names import label, song_key
from mirclr.library.playlist_rules import USUAL_MINUTES, Pool, Rules, broken_runs, needed_cap
from mirclr.library.playlist_shapes import Making, by_slots, nearest, walk
from mirclr.library.playlist_targets import Arc, arc, journey, way
from mirclr.library.recordings import Moments, Recordings
from mirclr.library.search import Catalogue, best
from mirclr.library.store import Library
from mirclr.library.transitions import Transitions, Weights
from mirclr.seeds import generator

Kind = Literal["nearest", "journey", "walk", "arc"]
POOL = 4096  # tracks a list is chosen from at first
STATIONS = 9  # points of a journey around which its pool lies
PLAYED = 3.0  # what having been played costs: more than any sound can gain, so every other track comes first


@dataclass(frozen=True)
class Seed:
    """A track a playlist starts from. `row`: its row in the catalogue, or None for a file outside the library.

    `track`: its tags and path, as in the contract's track table; `unit`: (D,) float32 in the catalogue's space.
    """

    track: Mapping[str, Any]
    unit: np.ndarray
    row: int | None = None

    @classmethod
    def at(cls, catalogue: Catalogue, row: int) -> Seed:
        """The row of a catalogue."""
        return cls(catalogue.track(row), catalogue.unit[row], row)

    @classmethod
    def at_path(cls, catalogue: Catalogue, path: Path) -> Seed | None:
        """An indexed path, perhaps a later copy of its audio; None where it is not indexed."""
        row = catalogue.row_at(path)
        return None if row is None else cls(catalogue.track_at(path), catalogue.unit[row], row)

    @classmethod
    def heard(cls, catalogue: Catalogue, track: Mapping[str, Any], vector: np.ndarray, row: int | None) -> Seed:
        """A file that need not be in the library: its row of the track table, its (D,) vector, and the row of the
        catalogue that holds the same recording, or None."""
        return cls(dict(track), catalogue.space.unit(vector[None])[0], row)

    @property
    def name(self) -> str:
        """'Artist - Title' for messages."""
        return label(self.track["artist"], self.track["title"], os.path.basename(self.track["path"]))


@dataclass(frozen=True)
class Shape:
    """How a list runs. `drift` 0..1, `temperature` >= 0: of a walk. `curve`: of an arc. `seed`: of what is drawn."""

    kind: Kind = "nearest"
    drift: float = 0.5
    temperature: float = 0.5
    curve: Arc | None = None
    seed: int = 0
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"no shape {self.kind!r}.{closest(self.kind, get_args(Kind))}")
        if not 0 <= self.drift <= 1 or not 0 <= self.temperature < float("inf"):
            raise UsageError(f"drift is in 0..1 and temperature 0 or more, got {self.drift:g} and {self.temperature:g}")
        if (self.kind == "arc") != (self.curve is not None):
            raise UsageError("an arc needs a curve (--arc energy=rise), and no other shape has one")


@dataclass(frozen=True)
class Choice:
    """Which rows may be chosen: `among` (U,) bool, None: all; `played` (U,) bool come last; `musts` are in the list."""

    among: np.ndarray | None = None
    played: np.ndarray | None = None
    musts: tuple[Seed, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One track of a playlist: `track` as in the track table, `similarity` to the seeds (mean cosine), its `row` in the
    catalogue, -1 when it has none; `unit`, its (D,) direction there; `why` it is there, where that was asked."""

    track: Mapping[str, Any]
    similarity: float
    is_seed: bool = False
    row: int = -1
    unit: np.ndarray | None = field(default=None, repr=False, compare=False)
    why: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Playlist:
    """`entries` in playing order; `notes` for the person; `smoothness`: mean cosine of neighbours (NaN below 2)."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]
    smoothness: float


def make_playlist(
    catalogue: Catalogue,
    seeds: Sequence[Seed],
    rules: Rules | None = None,
    shape: Shape | None = None,
    choice: Choice | None = None,
) -> Playlist:
    """The playlist that follows from `seeds` under `rules`.

    Never twice: the same audio, the same artist and title (versions count as one), or what was measured as one
    recording (`mirclr.library.recordings`), seeds included. Raises UsageError without a seed, with more
    seeds and musts than the list is long, or when a shape cannot be made.
    """
    rules, shape, choice = rules or Rules(), shape or Shape(), choice or Choice()
    kept, notes = distinct(seeds)
    inside = kept if rules.include_seeds else []
    listed, again = distinct([*inside, *choice.musts])
    musts = listed[len(inside) :]
    if not kept or len(listed) > (rules.length or len(listed)):
        raise UsageError(f"a list of {rules.length} needs 1 to {rules.length} seeds, got {len(listed)}")
    if shape.kind == "journey" and len(kept) < 2:
        raise UsageError("a journey leads from one track to another: give two seeds or more")
    query = np.mean([seed.unit for seed in kept], axis=0)
    with moments_of(catalogue) as moments:
        known = Recordings(catalogue, moments)
        made = _Maker(catalogue, kept, musts, rules, shape, choice, query, moments, known).make()
    notes += [note for note in again if note not in notes]
    return _told(catalogue, made, query, len(kept), rules, [*notes, *made.notes])


@contextmanager
def moments_of(catalogue: Catalogue) -> Iterator[Moments]:
    """The moments of a catalogue's rows, read from its store as long as this is open."""
    with Library.open(catalogue.path) as library:
        audio = catalogue.tracks["audio_id"].to_numpy()

        def moments(rows: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
            vectors, starts = zip(*library.segments([str(audio[row]) for row in rows]), strict=True)
            unit = catalogue.space.unit(np.concatenate(vectors))
            return list(zip(np.split(unit, np.cumsum([len(times) for times in starts])[:-1]), starts, strict=True))

        yield moments


def smoothness(units: np.ndarray) -> float:
    """Mean cosine of neighbours in an (N, D) sequence of unit vectors; NaN below two."""
    return float(np.einsum("nd,nd->n", units[1:], units[:-1]).mean()) if len(units) > 1 else float("nan")


def distinct(seeds: Sequence[Seed]) -> tuple[list[Seed], list[str]]:
    """Seeds without repeats (same audio, or same artist and title), and a note for each repeat."""
    kept: list[Seed] = []
    notes: list[str] = []
    heard: set[object] = set()
    for seed in seeds:
        marks = {seed.track["audio_id"], song_key(seed.track["artist"], seed.track["title"])} - {None}
        if heard & marks:
            notes.append(f"{seed.name}: given twice, kept once")
        else:
            kept.append(seed)
        heard |= marks
    return kept, notes


@dataclass(frozen=True)
class _Made:
    """Places of a pool in playing order, and what to say about them."""

    pool: Pool
    places: list[int]
    notes: list[str]


@dataclass(frozen=True)
class _Maker:
    """One list in the making."""

    catalogue: Catalogue
    seeds: Sequence[Seed]
    musts: Sequence[Seed]
    rules: Rules
    shape: Shape
    choice: Choice
    query: np.ndarray
    moments: Moments
    recordings: Recordings

    def make(self) -> _Made:
        """The list, from as large a pool as it takes."""
        ranking, handicap = self._ranking()
        usual = self._usual(ranking)
        first = self.rules.first_cap(usual)
        making, places = self._from_pool(ranking[:POOL], handicap, first)
        if self._short(making, places) and len(ranking) > POOL:
            making, places = self._from_pool(ranking, handicap, first)
        wanted = self.rules.expected(usual)
        if len(places) < wanted and self.rules.per_artist is None:
            cap = needed_cap(making.pool, self.rules, len(making.listed), max(1, wanted - len(making.listed)))
            if cap > first:
                making, places = self._from_pool(ranking, handicap, cap)
        notes = [] if self.shape.kind == "nearest" and self.rules.order == "ranked" else making.transitions.notes
        return _Made(making.pool, places, [*notes, *self._said(making, places, first)])

    def _ranking(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that may be chosen, best first, and what every row costs beside its sound."""
        rows = np.ones(len(self.catalogue.tracks), bool) if self.choice.among is None else self.choice.among.copy()
        if self.shape.curve is not None:
            rows &= self._measured(self.shape.curve.measure)
        handicap = np.zeros(len(rows)) if self.choice.played is None else PLAYED * self.choice.played
        asked = self.query[None]
        if self.shape.kind == "journey":  # what lies near any point of its way
            asked = way(np.stack([seed.unit for seed in self.seeds]), np.linspace(0, 1, STATIONS))
        scores = np.max([self.catalogue.similarities(point) for point in asked], axis=0)
        if (hubs := self.catalogue.correction()) is not None:
            scores = corrected(scores, hubs) / 2
        scores = scores - handicap
        return best(np.where(rows, scores, -np.inf), int(rows.sum())), handicap

    def _usual(self, rows: np.ndarray) -> float:
        """Minutes of a usual track among `rows`."""
        seconds = self.catalogue.tracks["duration"].iloc[rows].dropna()
        return max(float(seconds.median()), 1.0) / 60 if len(seconds) else USUAL_MINUTES

    def _measured(self, name: str) -> np.ndarray:
        tracks = self.catalogue.tracks
        known = tracks[name].notna().to_numpy(bool) if name in tracks else np.zeros(len(tracks), bool)
        if not known.any():
            raise UsageError(f"no track of this library has a measured {name}; `mirclr index` measures what is missing")
        return known

    def _from_pool(self, rows: np.ndarray, handicap: np.ndarray, cap: int) -> tuple[Making, list[int]]:
        given = [*self.seeds, *self.musts]
        pool = Pool(self.catalogue, given, rows, self.recordings)
        transitions = Transitions(pool, self.shape.weights, self.moments)
        first = 0 if self.rules.include_seeds else len(self.seeds)
        own = np.concatenate([np.zeros(len(given)), handicap[rows]])
        making = Making(pool, self.rules, transitions, tuple(range(first, len(given))), cap, own)
        return making, self._places(making)

    def _places(self, making: Making) -> list[int]:
        seeds, shape = len(self.seeds) if self.rules.include_seeds else 0, self.shape
        if shape.kind == "walk":
            draw = generator(shape.seed, "walk")
            return walk(making, seeds, drift=shape.drift, temperature=shape.temperature, draw=draw)
        if shape.kind == "journey":
            return by_slots(making, journey(making, len(self.seeds), bool(seeds)))
        if shape.curve is not None:
            return by_slots(making, arc(making, shape.curve, self.query))
        return nearest(making, seeds)

    def _short(self, making: Making, places: Sequence[int]) -> bool:
        if self.rules.length is not None:
            return len(places) < self.rules.length
        return self.rules.minutes is None or _minutes(making.pool, places) < self.rules.minutes[0]

    def _said(self, making: Making, places: Sequence[int], first: int) -> list[str]:
        """What the rules cost, and which of them could not be kept."""
        rules, notes = self.rules, []
        if making.cap > first:
            notes.append(
                f"the library has too few artists near: up to {making.cap} tracks per artist instead of {first}"
            )
        if len(places) < (rules.length or 0):
            limited = rules.per_artist or rules.per_album or rules.minutes
            why = "under these rules; raise --per-artist" if limited else "in the library without a repeat"
            notes.append(f"{len(places)} track(s) instead of {rules.length}: there are no more {why}")
        if rules.minutes is not None and not (rules.minutes[0] <= _minutes(making.pool, places) <= rules.minutes[1]):
            span = f"{rules.minutes[0]:g} to {rules.minutes[1]:g}"
            why = "that is the length" if len(places) == rules.length else "no other tracks fit the rules"
            notes.append(f"{_minutes(making.pool, places):.1f} minutes instead of {span}: {why}")
        notes += self._runs(making.pool, places)
        taken = making.pool.rows[[p for p in places if p not in making.listed]]
        if self.choice.played is not None and self.choice.played[taken].any():
            notes.append(f"{int(self.choice.played[taken].sum())} track(s) were played before: too few others fit")
        return notes

    def _runs(self, pool: Pool, places: Sequence[int]) -> list[str]:
        limits = (("artist", pool.artist, self.rules.artist_run), ("album", pool.album, self.rules.album_run))
        broken = [(name, broken_runs(codes[list(places)], most), most) for name, codes, most in limits]
        return [
            f"{count} track(s) stand beyond {most} of one {name} in a row: the others do not keep them apart"
            for name, count, most in broken
            if count
        ]


def _minutes(pool: Pool, places: Sequence[int]) -> float:
    return float(np.nansum(pool.seconds[list(places)])) / 60


def _told(
    catalogue: Catalogue, made: _Made, query: np.ndarray, seeds: int, rules: Rules, notes: Sequence[str]
) -> Playlist:
    """The places as entries."""
    pool, entries = made.pool, []
    for place in made.places:
        given = place < len(pool.given)
        track = pool.given[place].track if given else catalogue.track(int(pool.rows[place]))
        similarity = round(float(pool.unit[place] @ query), 6)
        entries.append(Entry(track, similarity, place < seeds, int(pool.rows[place]), pool.unit[place]))
    return Playlist(tuple(entries), tuple(dict.fromkeys(notes)), smoothness(pool.unit[made.places]))
