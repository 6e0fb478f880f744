"""A playlist that follows from seed tracks: the nearest tracks under the rules, in an order without jumps.

Choosing and ordering are two steps. *Choose*: walk down the exact ranking and take what the rules allow. *Order*: from
the last seed through the chosen tracks along a short path, so that each track resembles the one before it. Both are
deterministic: equal similarities go by path.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mirclr.errors import UsageError
from mirclr.library.names import artist_key, label, song_key
from mirclr.library.ordering import short_path
from mirclr.library.search import Catalogue, best


@dataclass(frozen=True)
class Seed:
    """A track a playlist starts from. `row`: its row in the catalogue, or None for a file outside the library.

    `track`: its tags and path, as in the contract's track table; `unit`: (D,) float32 in the catalogue's space.
    """

    track: Mapping[str, Any]
    unit: np.ndarray
    row: int | None = None

    @property
    def name(self) -> str:
        """'Artist - Title' for messages."""
        return label(self.track["artist"], self.track["title"], os.path.basename(self.track["path"]))


@dataclass(frozen=True)
class Rules:
    """What a playlist must keep.

    `length`: tracks in all, seeds included when they are part of it. `per_artist`: at most so many tracks of one
    artist, a promise (seeds are the user's own choice and stay); None: a tenth of the list, raised only when the
    library cannot fill the list otherwise, and said so. Tracks whose tags name no single artist are under no limit.
    `order`: `journey` (a short path) or `ranked` (by likeness).
    """

    length: int = 20
    per_artist: int | None = None
    include_seeds: bool = True
    order: Literal["journey", "ranked"] = "journey"

    def __post_init__(self) -> None:
        if self.length < 1 or (self.per_artist is not None and self.per_artist < 1):
            raise UsageError("a playlist has at least one track, and at least one per artist")

    @property
    def first_cap(self) -> int:
        """The limit per artist that is tried first."""
        return self.per_artist or max(1, self.length // 10)


@dataclass(frozen=True)
class Entry:
    """One track of a playlist: `track` as in the track table, `similarity` to the seeds (mean cosine)."""

    track: Mapping[str, Any]
    similarity: float
    is_seed: bool = False


@dataclass(frozen=True)
class Playlist:
    """`entries` in playing order; `notes` for the person; `smoothness`: mean cosine of neighbours (NaN below 2)."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]
    smoothness: float


def make_playlist(catalogue: Catalogue, seeds: Sequence[Seed], rules: Rules | None = None) -> Playlist:
    """The playlist that follows from `seeds` under `rules`.

    Never twice: the same audio, or the same artist and title, seeds included. Raises UsageError without a seed, or with
    more seeds than the list is long.
    """
    rules = rules or Rules()
    kept, notes = _distinct(seeds)
    listed = kept if rules.include_seeds else []
    if not kept or len(listed) > rules.length:
        raise UsageError(f"a list of {rules.length} needs 1 to {rules.length} seeds, got {len(kept)}")
    query = np.mean([seed.unit for seed in kept], axis=0)
    scores = catalogue.similarities(query)
    rows, cap = _choose(catalogue, scores, kept, rules)
    notes += _shortfall(rules, cap, len(rows) + len(listed))
    if rules.order == "journey":
        rows = _journey(catalogue, kept[-1], rows)
    entries = [Entry(seed.track, round(float(seed.unit @ query), 6), True) for seed in listed]
    entries += [Entry(catalogue.track(row), float(scores[row])) for row in rows]
    units = np.array([*(seed.unit for seed in listed), *catalogue.unit[rows]])
    return Playlist(tuple(entries), tuple(notes), smoothness(units))


def smoothness(units: np.ndarray) -> float:
    """Mean cosine of neighbours in an (N, D) sequence of unit vectors; NaN below two."""
    return float(np.einsum("nd,nd->n", units[1:], units[:-1]).mean()) if len(units) > 1 else float("nan")


def _distinct(seeds: Sequence[Seed]) -> tuple[list[Seed], list[str]]:
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


def _candidates(
    catalogue: Catalogue, scores: np.ndarray, seeds: Sequence[Seed], rules: Rules
) -> Iterator[tuple[int, int]]:
    """Rows down the ranking that repeat nothing, each with how many tracks of its artist came before it."""
    artists, titles = catalogue.tracks["artist"].tolist(), catalogue.tracks["title"].tolist()
    songs = {song_key(seed.track["artist"], seed.track["title"]) for seed in seeds} - {None}
    listed = [artist_key(seed.track["artist"]) for seed in seeds if rules.include_seeds]
    before = Counter(artist for artist in listed if artist)
    audio = {seed.track["audio_id"] for seed in seeds}
    own = set(np.flatnonzero(catalogue.tracks["audio_id"].isin(audio)).tolist())
    for row in best(scores, len(scores)).tolist():
        song, artist = song_key(artists[row], titles[row]), artist_key(artists[row])
        if row in own or song in songs:
            continue
        if song:
            songs.add(song)
        yield row, before[artist] if artist else 0
        if artist:
            before[artist] += 1


def _choose(catalogue: Catalogue, scores: np.ndarray, seeds: Sequence[Seed], rules: Rules) -> tuple[list[int], int]:
    """The rows that fill the list, best first, and the limit per artist that was needed."""
    wanted = rules.length - (len(seeds) if rules.include_seeds else 0)
    cap = rules.first_cap
    passed: list[tuple[int, int]] = []
    taken = 0
    for row, before in _candidates(catalogue, scores, seeds, rules):
        if taken == wanted:
            break
        passed.append((row, before))
        taken += before < cap
    if taken < wanted and rules.per_artist is None and passed:
        # The whole ranking was walked: the smallest limit under which enough of it may stay.
        cap = max(cap, sorted(before for _, before in passed)[min(wanted, len(passed)) - 1] + 1)
    return [row for row, before in passed if before < cap][:wanted], cap


def _shortfall(rules: Rules, cap: int, length: int) -> list[str]:
    """What to say when the limit was raised or the list came out short."""
    notes = []
    if cap > rules.first_cap:
        notes.append(
            f"the library has too few artists near: up to {cap} tracks per artist instead of {rules.first_cap}"
        )
    if length < rules.length:
        why = "under these rules; raise --per-artist" if rules.per_artist else "in the library without a repeat"
        notes.append(f"{length} track(s) instead of {rules.length}: there are no more {why}")
    return notes


def _journey(catalogue: Catalogue, start: Seed, rows: list[int]) -> list[int]:
    """`rows` along a short path from `start`; two neighbours of one artist cost as much as two opposite tracks."""
    units = np.vstack([start.unit[None], catalogue.unit[rows]])
    tracks = [start.track, *(catalogue.track(row) for row in rows)]
    artists = np.array([artist_key(track["artist"]) or f"\0{place}" for place, track in enumerate(tracks)])
    cost = np.round(1.0 - units @ units.T, 6) + 2.0 * (artists[:, None] == artists[None, :])
    return [rows[place - 1] for place in short_path(cost)[1:]]
