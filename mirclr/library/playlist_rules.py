"""What a playlist must keep, and the book that is kept while one is made: which tracks may still be taken.

Every shape of playlist asks the same book, so that no shape breaks a rule another one keeps.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from mirclr.errors import UsageError
from mirclr.library.names import artist_key, folded, version_key
from mirclr.library.recordings import Recordings
from mirclr.library.search import Catalogue

if TYPE_CHECKING:
    from mirclr.library.playlist import Seed

USUAL_MINUTES = 4.0  # of a track, to guess how long a list of so many minutes is


@dataclass(frozen=True)
class Rules:
    """What a playlist must keep.

    `length`: tracks in all, seeds included when they are part of it; None: as many as `minutes` hold. `per_artist`: at
    most so many tracks of one artist, a promise (seeds and musts are the user's own choice and stay); None: a tenth of
    the list, raised only when the library cannot fill the list otherwise, and said so. Tracks whose tags name no single
    artist are under no limit. `order`: `smooth` (a short path) or `ranked` (by likeness), for lists without a shape of
    their own. `per_album`: as `per_artist`, but no limit by itself; albums are told by their title. `artist_run`,
    `album_run`: at most so many of one in a row. `minutes`: (least, most); beside a length they
    bound it.
    """

    length: int | None = 20
    per_artist: int | None = None
    include_seeds: bool = True
    order: Literal["smooth", "ranked"] = "smooth"
    per_album: int | None = None
    artist_run: int | None = None
    album_run: int | None = None
    minutes: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        counts = (self.length, self.per_artist, self.per_album, self.artist_run, self.album_run)
        if any(count is not None and count < 1 for count in counts):
            raise UsageError("a playlist has at least one track, and at least one per artist, album and run")
        if self.length is None and self.minutes is None:
            raise UsageError("a playlist needs a length or minutes")
        if self.minutes is not None and not 0 <= self.minutes[0] <= self.minutes[1] < float("inf"):
            raise UsageError(f"minutes: least {self.minutes[0]:g} and most {self.minutes[1]:g} are no span of time")

    def expected(self, usual: float = USUAL_MINUTES) -> int:
        """About how many tracks the list will have, when one lasts `usual` minutes."""
        by_time = [math.ceil(self.minutes[0] / usual)] if self.minutes else []
        return max(1, min([*by_time, *([self.length] if self.length else [])]))

    def first_cap(self, usual: float = USUAL_MINUTES) -> int:
        """The limit per artist that is tried first."""
        return self.per_artist or max(1, self.expected(usual) // 10)

    @property
    def most_seconds(self) -> float:
        """The longest the list may be."""
        return self.minutes[1] * 60 if self.minutes else float("inf")


class Pool:
    """Tracks a playlist is made of: the `given` ones (seeds, then musts) first, then catalogue rows, best first.

    A *place* is an index into these arrays of N: `rows` (-1 for a file outside the library), `unit` (N, D), `seconds`
    (NaN: unknown), and the codes `artist`, `album`, `song` (equal codes are the same; -1: nothing to tell it by).
    `recordings` tells by what was measured which places are one recording; None: nobody asks.
    """

    def __init__(
        self, catalogue: Catalogue, given: Sequence[Seed], rows: np.ndarray, recordings: Recordings | None = None
    ) -> None:
        self.catalogue, self.given = catalogue, tuple(given)
        self.rows = np.concatenate([[-1 if seed.row is None else seed.row for seed in given], rows]).astype(np.int64)
        self.unit = np.vstack([*(seed.unit[None] for seed in given), catalogue.unit[rows]])
        columns = catalogue.tracks[["artist", "album", "title", "duration"]].iloc[rows]
        own = pd.DataFrame([dict(seed.track) for seed in given], dtype=object).reindex(columns=columns.columns)
        artists, albums, titles, seconds = (
            [*own[name].tolist(), *columns[name].tolist()] for name in ("artist", "album", "title", "duration")
        )
        self.seconds = np.array([np.nan if s is None or pd.isna(s) else float(s) for s in seconds])
        self.artist = _codes(artist_key(_text(artist)) for artist in artists)
        self.album = _codes(folded(_text(album)) or None for album in albums)
        self.song = _codes(version_key(_text(a), _text(t)) for a, t in zip(artists, titles, strict=True))

        self._inside = np.flatnonzero(self.rows >= 0)
        self._same = None if recordings is None else recordings.asked_among(self.rows[self._inside])
        self.same_sound = lru_cache(maxsize=None)(self._same_sound)

    def __len__(self) -> int:
        return len(self.rows)

    def _same_sound(self, place: int) -> np.ndarray:
        """The places whose sound is the same recording as that of `place`."""
        if self._same is None or self.rows[place] < 0:
            return self._inside[:0]
        return self._inside[self._same(self.rows[[place]])]


def _text(tag: object) -> str | None:
    return tag if isinstance(tag, str) else None


def _codes(keys: Iterable[Hashable | None]) -> np.ndarray:
    """A number for every key, equal for equal keys; -1 for None."""
    known: dict[Hashable, int] = {}
    return np.array([-1 if key is None else known.setdefault(key, len(known)) for key in keys], np.int64)


class Ledger:
    """The book: what was taken, and what may still be.

    `open` (N,) bool: no repeat, and within the limits per artist and album. `seconds`: the length so far.
    """

    def __init__(self, pool: Pool, rules: Rules, cap: int) -> None:
        self._pool, self._rules = pool, rules
        self.open, self.seconds, self.count = np.ones(len(pool), bool), 0.0, 0
        self._caps = (cap, rules.per_album)
        self._taken = tuple(np.zeros(codes.max(initial=-1) + 1, np.int32) for codes in (pool.artist, pool.album))
        self._runs = [(-1, 0), (-1, 0)]
        if rules.minutes:  # a length nobody knows cannot be promised
            self.open &= np.isfinite(pool.seconds)
        known = [seed.row for seed in pool.given if seed.row is not None]
        self.open[np.isin(pool.rows, known)] = False
        for place in range(len(pool.given)):
            self._close(place)

    def copy(self) -> Ledger:
        """A book that goes on by itself."""
        other = object.__new__(Ledger)
        other.__dict__.update(self.__dict__)
        other.open, other._taken = self.open.copy(), tuple(taken.copy() for taken in self._taken)
        other._runs = list(self._runs)
        return other

    def take(self, place: int) -> None:
        """Note that `place` is the next track."""
        self.reserve(place)
        self.follow(place)

    def reserve(self, place: int) -> None:
        """Count `place` in, wherever it will stand."""
        self._close(place)
        self.count += 1
        seconds = float(self._pool.seconds[place])
        self.seconds += 0.0 if math.isnan(seconds) else seconds
        groups = zip((self._pool.artist, self._pool.album), self._taken, self._caps, strict=True)
        for codes, taken, cap in groups:
            code = int(codes[place])
            if code >= 0:
                taken[code] += 1
                if cap is not None and taken[code] >= cap:
                    self.open[codes == code] = False

    def follow(self, place: int) -> None:
        """Note that `place` is the track just played, for the rules about runs."""
        for kind, codes in enumerate((self._pool.artist, self._pool.album)):
            code, (before, run) = int(codes[place]), self._runs[kind]
            self._runs[kind] = (code, run + 1 if code == before and code >= 0 else 1)

    def allowed(self, in_a_row: bool = True) -> np.ndarray:
        """(N,) bool: what may be taken now; the rules about runs count only when tracks are taken in playing order."""
        mask = self.open
        if self._rules.minutes:
            mask = mask & (self._pool.seconds <= self._rules.most_seconds - self.seconds)
        if in_a_row:
            limits = (self._rules.artist_run, self._rules.album_run)
            for codes, (code, run), most in zip((self._pool.artist, self._pool.album), self._runs, limits, strict=True):
                if most is not None and run >= most and code >= 0:
                    mask = mask & (codes != code)
        return mask

    @property
    def full(self) -> bool:
        """Whether the list is as long as it should be."""
        if self._rules.length is not None:
            return self.count >= self._rules.length
        return self._rules.minutes is not None and self.seconds >= self._rules.minutes[0] * 60 and self.count > 0

    def _close(self, place: int) -> None:
        self.close_song(place)
        self.open[self._pool.same_sound(place)] = False

    def close_song(self, place: int) -> None:
        """Nothing of this artist and title any more."""
        self.open[place] = False
        if self._pool.song[place] >= 0:
            self.open[self._pool.song == self._pool.song[place]] = False


def needed_cap(pool: Pool, rules: Rules, listed: int, wanted: int) -> int:
    """The smallest limit per artist under which `wanted` tracks can be taken behind the `listed` given ones.

    Counts every track once (the first of each song) and how many of its artist come before it.
    """
    book = Ledger(pool, rules, len(pool) + 1)
    counts: dict[int, int] = {}
    for code in pool.artist[:listed].tolist():
        counts[code] = counts.get(code, 0) + 1
    before = []
    for place in range(len(pool.given), len(pool)):
        if book.open[place]:
            book.close_song(place)
            code = int(pool.artist[place])
            before.append(counts.get(code, 0) if code >= 0 else 0)
            counts[code] = counts.get(code, 0) + 1
    return sorted(before)[min(wanted, len(before)) - 1] + 1 if before else 1


def broken_runs(codes: np.ndarray, most: int | None) -> int:
    """How many tracks of a sequence of codes stand beyond `most` of one in a row; -1 never counts."""
    run, broken = 0, 0
    for place, code in enumerate(codes.tolist()):
        run = run + 1 if place and code == codes[place - 1] and code >= 0 else 1
        broken += most is not None and run > most
    return broken
