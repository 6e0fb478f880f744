"""The library that is served: in memory, read only, and read anew when the store changes."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirclr.errors import UsageError
from mirclr.features.joint_file import SavedJoint, load_joint
from mirclr.library.names import typed
from mirclr.library.playlist import Playlist, Rules, Seed, make_playlist
from mirclr.library.query import Part, Question, answer
from mirclr.library.search import Catalogue, Hit
from mirclr.library.store import Binding, Library
from mirclr.library.taste import load_catalogue, place_of
from mirclr.library.text_search import Shelf, doubts, shelf_of_store
from mirclr.library.text_search import search as search_sound
from mirclr.plots.map_data import lay_out
from mirclr.plots.map_fields import Field, in_order, table_fields
from mirclr.reports import finish
from mirclr.units import printable

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Ask:
    """What a server was started for: the `store`, `methods` of the map and their `seed`, the `joint` space or None."""

    store: Path
    methods: tuple[str, ...] = ()
    seed: int = 0
    joint: Path | None = None

    @property
    def name(self) -> str:
        """What the library is called on the page."""
        return printable(self.store.name)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A library as it was at one moment. Everything in it is only ever read, so many requests may share it.

    `row_of`: an audio id to its row; `fields`: what is known of every track; `shelf`: the tracks in the joint space,
    where there is one.
    """

    ask: Ask
    binding: Binding
    catalogue: Catalogue
    row_of: dict[str, int]
    fields: tuple[Field, ...]
    joint: SavedJoint | None
    shelf: Shelf | None
    _map: list[bytes] = field(default_factory=list)
    _one: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, ask: Ask) -> Snapshot:
        """The library of `ask` now. Raises StoreError as `Library.open` and `load_catalogue` do."""
        with Library.open(ask.store) as library:
            (catalogue, _), binding = load_catalogue(library), library.binding
        row_of = {audio_id: row for row, audio_id in enumerate(catalogue.tracks["audio_id"])}
        joint = None if ask.joint is None else load_joint(ask.joint)
        shelf = None if joint is None else shelf_of_store(joint, ask.store)
        fields = tuple(in_order(table_fields(catalogue.tracks)))
        return cls(ask, binding, catalogue, row_of, fields, joint, shelf)

    def track(self, row: int) -> dict[str, Any]:
        """The row of the track table."""
        return self.catalogue.track(row)

    def tags(self, row: int) -> dict[str, Any]:
        """What is known of a track, in the order people ask for it: words, numbers, None for unknown."""
        return {each.name: each.values[row] for each in self.fields if each.name != "artist"}

    def similar(self, row: int, k: int) -> list[Hit]:
        """The `k` tracks most like one, hubs corrected where there are hubs."""
        question = Question([Part("", self.catalogue.unit[row], rows=(row,))])
        return answer(self.catalogue, question, k, near=self.catalogue.correction())

    def playlist(self, rows: Sequence[int], rules: Rules) -> Playlist:
        """The playlist that follows from the tracks `rows`. Raises UsageError as `make_playlist` does."""
        seeds = [Seed.at(self.catalogue, row) for row in rows]
        return make_playlist(self.catalogue, seeds, rules)

    def by_words(self, text: str, limit: int) -> list[int]:
        """The first rows, in path order, whose name or tags hold every word of `text`."""
        words = typed(text).split()
        columns = [each.values for each in self.fields if each.kind == "words"]
        found: list[int] = []
        for row, (path, title) in enumerate(
            zip(self.catalogue.tracks["path"], self.catalogue.tracks["title"], strict=True)
        ):
            tags = [column[row] or "" for column in columns]
            known = typed(" ".join([title or os.path.basename(path), *tags]))
            if words and all(word in known for word in words):
                found.append(row)
            if len(found) == limit:
                break
        return found

    def by_sound(self, text: str, limit: int) -> tuple[list[Hit], list[str]]:
        """The tracks whose sound `text` says most of, and what to know of the answer. UsageError without a space."""
        if self.joint is None or self.shelf is None:
            raise UsageError("this server has no joint space; start it with --joint JOINT (see mirclr align)")
        return search_sound(self.shelf, self.joint, text, limit), doubts(self.joint, text)

    def map_json(self) -> bytes:
        """The map as JSON, laid out once: whoever asks meanwhile waits for it."""
        with self._one:
            if not self._map:
                laid = finish(lay_out(self.catalogue, self.ask.name, self.ask.methods, self.ask.seed))
                self._map.append(laid.as_json().encode("utf-8"))
            return self._map[0]


class LiveLibrary:
    """Gives every request the newest snapshot. While one request reads the store anew, others get the one before."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self._lock = threading.Lock()
        self._stamp = stamp(ask.store)
        self._snapshot = Snapshot.read(ask)

    def now(self) -> Snapshot:
        """The library as it is. Raises StoreError when the store has gone or is damaged."""
        seen = stamp(self.ask.store)
        if seen != self._stamp and self._lock.acquire(blocking=False):
            try:
                self._snapshot = Snapshot.read(self.ask)
                self._stamp = seen  # taken before reading: what is written meanwhile is read by the next request
            finally:
                self._lock.release()
        return self._snapshot


def stamp(store: Path) -> Stamp:
    """What changes whenever an answer does: the store, its log (SQLite's WAL), a taste; in bytes and time."""
    found = []
    for name in (store, Path(f"{store}-wal"), place_of(store)):
        try:
            known = name.stat()
        except FileNotFoundError:
            continue
        if known.st_size:
            found.append((known.st_ino, known.st_size, known.st_mtime_ns))
    return tuple(found)
