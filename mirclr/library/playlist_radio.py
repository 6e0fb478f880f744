"""Radio: one track after another without end, steered by what is skipped and liked (Rocchio, "Relevance feedback in
information retrieval", 1971: towards the mean of what was wanted, away from the mean of what was not)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

import numpy as np

from mirclr.errors import UsageError
from mirclr.library.names import artist_key, version_key
from mirclr.library.playlist import PLAYED, Choice, Entry, Seed
from mirclr.library.playlist_rules import Pool
from mirclr.library.playlist_shapes import NEAR, STEP_SHARE
from mirclr.library.recordings import Moments, Recordings
from mirclr.library.search import Catalogue, best
from mirclr.library.transitions import Transitions, Weights
from mirclr.seeds import generator

LIKED, SKIPPED = 0.75, 0.5  # Rocchio's beta and gamma; a skip is what is said most, so it weighs more than his .15
REMEMBERED = 10  # likes and skips that steer; older ones are another mood
WINDOW = 10  # tracks in which an artist is heard at most once
LOOKED_AT = 256
LATELY = 512  # tracks heard before whose sound is compared with the next one's


class Radio:
    """A list without end from `seeds`. Call `next` for a track, then perhaps `skip` or `like` about it.

    No track comes again before half of the library has been heard, and no artist within `WINDOW` tracks, as long as
    there are others; `notes` says when there are none. Deterministic from `seed` and what is said.
    Raises UsageError without a seed, or when `choice` leaves no track.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seeds: Sequence[Seed],
        moments: Moments,
        *,
        temperature: float = 0.5,
        weights: Weights | None = None,
        choice: Choice | None = None,
        seed: int = 0,
    ) -> None:
        choice = choice or Choice()
        rows = np.ones(len(catalogue.tracks), bool) if choice.among is None else choice.among
        if not seeds or not rows.any():
            raise UsageError("radio needs a seed, and at least one track that may be played")
        self._catalogue, self._moments, self._weights = catalogue, moments, weights or Weights()
        self._temperature, self._draw = temperature, generator(seed, "radio")
        self._rows, self._last = np.flatnonzero(rows), seeds[-1]
        self._handicap = np.zeros(len(rows)) if choice.played is None else PLAYED * choice.played
        self._recordings = Recordings(catalogue, moments)
        self._home = np.mean([each.unit for each in seeds], axis=0)
        self._liked: deque[np.ndarray] = deque(maxlen=REMEMBERED)
        self._skipped: deque[np.ndarray] = deque(maxlen=REMEMBERED)
        self._heard: deque[tuple[int, Hashable]] = deque(maxlen=max(1, len(self._rows) // 2))
        self._artists: deque[str | None] = deque(maxlen=WINDOW - 1)
        self.notes: list[str] = []
        for each in seeds:
            self._note(each)

    @property
    def query(self) -> np.ndarray:
        """Where the radio listens: (D,)."""
        point = self._home.astype(np.float64)
        for units, weight in ((self._liked, LIKED), (self._skipped, -SKIPPED)):
            if units:
                point = point + weight * np.mean(units, axis=0)
        return point / max(float(np.linalg.norm(point)), 1e-9)

    def skip(self) -> None:
        """The last track was not wanted."""
        self._skipped.append(self._last.unit)

    def like(self) -> None:
        """The last track was right."""
        self._liked.append(self._last.unit)

    def next(self) -> Entry:
        """The next track; it always has one."""
        query = self.query
        pool = Pool(self._catalogue, [self._last], self._fresh(query))
        near = self._apart(pool)
        cost = 1.0 - pool.unit[near] @ query + self._handicap[pool.rows[near]]
        order = np.argsort(np.round(cost, 6), kind="stable")[:NEAR]
        near, cost = near[order], cost[order]
        cost = cost + STEP_SHARE * Transitions(pool, self._weights, self._moments).cost([0], near.tolist())[0]
        noise = self._temperature * float(cost.std()) * self._draw.gumbel(size=len(near))
        row = int(pool.rows[near[np.argmin(np.round(cost, 6) - noise)]])
        self._last = Seed.at(self._catalogue, row)
        self._note(self._last)
        return Entry(self._last.track, round(float(self._last.unit @ query), 6), False, row, self._last.unit)

    def _fresh(self, query: np.ndarray) -> np.ndarray:
        """The rows nearest to `query` that were not heard lately; in a library of a track or two, heard ones."""
        rows = np.setdiff1d(self._rows, [row for row, _ in self._heard])
        rows = rows if len(rows) else self._rows
        scores = self._catalogue.similarities(query)[rows] - self._handicap[rows]
        return rows[best(scores, min(LOOKED_AT, len(rows)))]

    def _apart(self, pool: Pool) -> np.ndarray:
        """Places that repeat no song (by its tags or its sound) and no artist of late; as far as there are any."""
        tags = self._catalogue.tracks[["artist", "title"]].iloc[pool.rows[1:]].itertuples(index=False)
        named = [(_key(artist), _song(artist, title)) for artist, title in tags]
        songs = {song for _, song in self._heard if song}
        new = np.array([song is None or song not in songs for _, song in named], bool)
        heard = np.array([row for row, _ in self._heard if row >= 0][-LATELY:], np.int64)
        new &= ~self._recordings.same(heard, pool.rows[1:])
        other = np.array([artist is None or artist not in self._artists for artist, _ in named], bool)
        for mask, said in ((new & other, None), (new, "no other artist is near: one comes again sooner")):
            if mask.any():
                self._say(said)
                return 1 + np.flatnonzero(mask)
        self._say("every song near was heard: some come again")
        return np.arange(1, len(pool))

    def _say(self, note: str | None) -> None:
        if note and note not in self.notes:
            self.notes.append(note)

    def _note(self, track: Seed) -> None:
        artist, title = track.track["artist"], track.track["title"]
        self._heard.append((-1 if track.row is None else track.row, _song(artist, title)))
        self._artists.append(_key(artist))


def _key(artist: object) -> str | None:
    return artist_key(artist) if isinstance(artist, str) else None


def _song(artist: object, title: object) -> tuple[str, str] | None:
    return version_key(artist, title) if isinstance(artist, str) and isinstance(title, str) else None
