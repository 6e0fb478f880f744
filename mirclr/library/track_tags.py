"""Every tag of a store's tracks: kept beside the rows, by file, and read when a filter asks for one.

Opening a library reads none of them. A store of an older mirclr knows none, and a run that was killed not all: an index
run reads what is missing, from the files and without decoding them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from heapq import nsmallest
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mirclr.audio.further_tags import READER, FurtherTags, bounded, further_tags_of
from mirclr.audio.processes import Lost, cores, in_processes
from mirclr.errors import AudioError, StoreError
from mirclr.library import schema
from mirclr.library.columns import TagColumn
from mirclr.library.rows import cell, file_stamp
from mirclr.library.store import Library
from mirclr.reports import Progress, Work

BATCH = 256  # files between two transactions
COMMONEST = 3  # values shown of a tag
_NOT_LIVE = "SELECT number FROM tag_files WHERE id NOT IN (SELECT id FROM tracks WHERE missing = 0)"


class TrackTags:
    """The tags of a catalogue's rows; each is read from the store when it is first asked for."""

    def __init__(self, store: Path, ids: Sequence[str]) -> None:
        """`ids`: the `id` of the track table, a row each."""
        self._store, self._ids = store, ids
        self._columns: dict[str, TagColumn] = {}

    def column(self, name: str) -> TagColumn:
        """All values of one tag. Raises StoreError where the tags of no track were read, or the store is gone."""
        if name not in self._columns:
            if self.unread == len(self._ids):
                raise _never_read(self._store)
            with Library.open(self._store) as library:
                found = library.ask("SELECT file, value FROM tags WHERE name = ?", (name,))
            files, texts = np.array([file for file, _ in found], np.int64), [text for _, text in found]
            places, rows = self._rows
            first, last = (np.searchsorted(places, files, side) for side in ("left", "right"))
            # Of a file none of the rows is, one is, or (two decoders heard it differently) several are.
            value = np.repeat(np.arange(len(files)), last - first)
            offset = np.arange(len(value)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
            self._columns[name] = TagColumn(
                len(self._ids), rows[first[value] + offset], np.array(texts, dtype=object)[value]
            )
        return self._columns[name]

    def names(self) -> list[str]:
        """What tags there are, those with the most values first; perhaps some of tracks that are gone."""
        with Library.open(self._store) as library:
            found = library.ask("SELECT name FROM tags GROUP BY name ORDER BY COUNT(*) DESC, name")
        return [str(name) for (name,) in found]

    @property
    def unread(self) -> int:
        """Of how many rows the tags were not read yet."""
        return len(self._ids) - len(self._rows[1])

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of the file and the row of every row whose tags were read, by number."""
        with Library.open(self._store) as library:
            found = () if library.version <= schema.WITHOUT_TAGS else library.ask("SELECT id, number FROM tag_files")
        number_of = dict(found)
        numbers = np.array([number_of.get(id_, 0) for id_ in self._ids], np.int64)
        rows = np.argsort(numbers, kind="stable")[int((numbers == 0).sum()) :]
        return numbers[rows], rows


def _never_read(store: Path) -> StoreError:
    return StoreError(
        f"{store}: the tags of its files were not read yet (an older mirclr wrote it). This reads them without hearing "
        f"the music again: mirclr index FOLDER --store {store}"
    )


class TagCount(NamedTuple):
    """A tag of a store: how many tracks have it (files of the same bytes are one), how many different values there
    are, and the commonest, each with its tracks."""

    name: str
    tracks: int
    values: int
    commonest: list[tuple[str, int]]


def count_tags(library: Library) -> list[TagCount]:
    """What tags the live tracks of a store have, the commonest first. Raises StoreError where none was ever read."""
    if library.version <= schema.WITHOUT_TAGS:
        raise _never_read(library.path)
    live = f"FROM tags WHERE file NOT IN ({_NOT_LIVE})"
    tracks = dict(library.ask(f"SELECT name, COUNT(DISTINCT file) {live} GROUP BY name"))
    values = library.ask(f"SELECT name, value, COUNT(*) {live} GROUP BY name, value ORDER BY name")
    found = []
    for name, group in groupby(values, key=itemgetter(0)):
        counts = [(-count, value) for _, value, count in group]
        commonest = [(value, -minus) for minus, value in nsmallest(COMMONEST, counts)]
        found.append(TagCount(name, tracks[name], len(counts), commonest))
    return sorted(found, key=lambda tag: (-tag.tracks, tag.name))


def unread_tracks(library: Library) -> int:
    """How many live tracks there are whose tags were never read."""
    known = "" if library.version <= schema.WITHOUT_TAGS else "AND id NOT IN (SELECT id FROM tag_files)"
    return int(library.ask(f"SELECT COUNT(*) FROM tracks WHERE missing = 0 {known}")[0][0])


def put_tags(library: Library, id_: str, tags: Mapping[str, Sequence[str]], reader: int = READER) -> None:
    """Keep what was read of the file that has this hash; inside a batch. What this reader read of it stays."""
    if library.ask("SELECT reader FROM tag_files WHERE id = ?", (id_,)) == [(reader,)]:
        return
    library.change("INSERT OR REPLACE INTO tag_files (id, reader) VALUES (?, ?)", [(id_, reader)])
    number = library.ask("SELECT number FROM tag_files WHERE id = ?", (id_,))[0][0]
    rows = [(name, cell(value), number) for name, values in tags.items() for value in values]
    library.change("INSERT OR IGNORE INTO tags VALUES (?, ?, ?)", rows)


def drop_stale_tags(library: Library) -> None:
    """Delete the tags of contents that no track has any more; inside a batch. No answer changes by it."""
    stale = f"SELECT number FROM tag_files WHERE {schema.STALE_TAG_FILES}"
    if library.ask(f"SELECT EXISTS ({stale})")[0][0]:  # or else the tags need not be looked through
        library.ask(f"DELETE FROM tags WHERE file IN ({stale})")
        library.ask(f"DELETE FROM tag_files WHERE {schema.STALE_TAG_FILES}")


def every_tag(library: Library) -> dict[str, tuple[int, FurtherTags]]:
    """Of every live file whose tags were read, by its hash: which reader it was, and the tags."""
    if library.version <= schema.WITHOUT_TAGS:
        return {}
    live = f"SELECT id, number, reader FROM tag_files WHERE number NOT IN ({_NOT_LIVE})"
    out, file_of = {}, {}
    for id_, number, reader in library.ask(live):
        out[id_] = reader, (tags := FurtherTags())
        file_of[number] = tags
    for name, value, number in library.ask("SELECT name, value, file FROM tags ORDER BY name, value"):
        if number in file_of:
            file_of[number].setdefault(name, []).append(value)
    return out


def unpacked_tags(found: Any) -> dict[str, tuple[int, FurtherTags]]:
    """What `every_tag` gave, back from JSON, within the bounds of `bounded`. Raises ValueError when it is not."""
    out = {}
    for id_, (reader, tags) in found.items():
        if not isinstance(reader, int) or not all(isinstance(values, list) for values in tags.values()):
            raise ValueError("no tags of ours")
        out[id_] = reader, bounded([(name, value) for name, values in tags.items() for value in values])
    return out


def read_missing_tags(
    library: Library, wanted: Callable[[bytes], bool], workers: int | None
) -> Work[list[dict[str, str]]]:
    """Read the tags of the live files that are `wanted` and have not been read by this reader; what could not be read,
    as rows of the quarantine table. A file that changed meanwhile is left to the next run."""
    known = "SELECT id FROM tag_files WHERE reader = ?"
    query = f"SELECT path, id, size, mtime_ns FROM tracks WHERE missing = 0 AND id NOT IN ({known}) ORDER BY path"
    todo = {Path(os.fsdecode(path)): stamp for path, *stamp in library.ask(query, (READER,)) if wanted(path)}
    bad: list[dict[str, str]] = []
    held: list[tuple[str, FurtherTags]] = []
    for done, (path, outcome) in enumerate(in_processes(further_tags_of, list(todo), workers or cores()), 1):
        id_, *stamp = todo[path]
        if isinstance(outcome, AudioError):
            bad.append({"path": str(path), "reason": outcome.reason, "detail": outcome.detail})
        elif isinstance(outcome, Lost):  # broken tags are no tags, but they are told of
            bad.append({"path": str(path), "reason": "undecodable", "detail": f"its tags: {outcome.why}"})
            held.append((id_, {}))
        elif file_stamp(path) == tuple(stamp):
            held.append((id_, outcome))
        if len(held) == BATCH or done == len(todo):
            with library.batch():
                for each in held:
                    put_tags(library, *each)
                if done == len(todo):
                    library.ask(schema.ORPHANED_TAGS)  # what an older reader had read of them
            held.clear()
        yield Progress("tags", done, len(todo), path.name)
    return bad
