"""The library store on disk: one SQLite file, its tables, and how the file says what it is.

A path is a row of `tracks`; what was learned from sound is keyed by `audio_id`, the hash of the decoded audio, so that
a copy, a move and a new tag cost nothing. What was read of a file beside its row, its tags, is keyed by `id`, the hash
of the file: a move keeps them and another content has others. Paths are BLOBs: a file name on Unix is bytes, not text.

Versions: 1 had no measures and no `state`, 2 no tags but those of a track's row. A writer brings an old store up to
date (`upgrade`) and loses nothing; a reader takes it as it is.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from mirclr.errors import StoreError
from mirclr.library.connection import REMAKE

# "mclr" in ASCII: `file library.db` and sqlite3 show it, and another program's database is never taken for ours.
APPLICATION_ID = 0x6D636C72
VERSION = 3
WITHOUT_MEASURES = 1  # the last version that had none
WITHOUT_TAGS = 2  # likewise

# The contract's track table, as stored. `path` is bytes here and str (surrogateescape) in every DataFrame.
TRACK_COLUMNS = (
    "path",
    "id",
    "audio_id",
    "size",
    "mtime_ns",
    "container",
    "codec",
    "sample_rate",
    "channels",
    "duration",
    "artist",
    "album",
    "title",
    "genre",
    "year",
    "track",
    "flags",
)

MEASURE_COLUMNS = ("tempo", "key", "energy")
DESCRIPTORS = ("timbre", "rhythm", "harmony")

# Two tables again: filters read every tempo and no vector. `recipe`: the fingerprint of what measured.
MEASURES = (
    """CREATE TABLE measures (
        audio_id TEXT PRIMARY KEY NOT NULL, recipe TEXT NOT NULL,
        tempo REAL, key TEXT, energy REAL  -- beats a minute, "F# minor", LUFS; NULL: there is none to hear
    )""",
    """CREATE TABLE descriptors (
        audio_id TEXT PRIMARY KEY NOT NULL, timbre BLOB NOT NULL, rhythm BLOB NOT NULL, harmony BLOB NOT NULL
    )""",
)
# `tag_files`: whose tags were read, by which reader. A number is never given twice, so that the tags of a file that was
# read again, or is gone, are nobody's until they are deleted. `tags` lies in the order of names: a filter reads one tag
# of all files, and nothing else.
TAGS = (
    """CREATE TABLE tag_files (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, reader INTEGER NOT NULL
    )""",
    """CREATE TABLE tags (
        name TEXT NOT NULL, value TEXT NOT NULL, file INTEGER NOT NULL, PRIMARY KEY (name, value, file)
    ) WITHOUT ROWID""",
)
# Drawn anew by every transaction that changes an answer: what was computed from the store names the state it saw.
NEW_STATE = "UPDATE meta SET state = lower(hex(randomblob(16)))"

TABLES = (
    """CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        encoder TEXT NOT NULL,       -- for people
        fingerprint TEXT NOT NULL,   -- vectors of another fingerprint are never comparable with these
        dim INTEGER NOT NULL CHECK (dim > 0),
        sample_rate INTEGER NOT NULL,
        folder BLOB,                 -- where the encoder was read from; NULL for one that has no folder
        created TEXT NOT NULL,       -- UTC, ISO 8601
        state TEXT
    )""",
    """CREATE TABLE tracks (
        path BLOB PRIMARY KEY NOT NULL,
        id TEXT NOT NULL,
        audio_id TEXT NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        container TEXT, codec TEXT, sample_rate INTEGER, channels INTEGER, duration REAL,
        artist TEXT, album TEXT, title TEXT, genre TEXT, year INTEGER, track INTEGER,
        flags TEXT NOT NULL DEFAULT '',
        missing INTEGER NOT NULL DEFAULT 0   -- 1: not found by the last run; out of every answer, kept until pruned
    )""",
    "CREATE INDEX tracks_by_audio ON tracks (audio_id)",
    # Little-endian float32. Two tables: a search reads every track vector and none of the segments.
    "CREATE TABLE vectors (audio_id TEXT PRIMARY KEY NOT NULL, vector BLOB NOT NULL)",
    "CREATE TABLE segments (audio_id TEXT PRIMARY KEY NOT NULL, starts BLOB NOT NULL, vectors BLOB NOT NULL)",
    "CREATE TABLE quarantine (path BLOB PRIMARY KEY NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL)",
    # Covers and notes between the music, so that they are opened once. `judge`: the mirclr that found no audio there.
    "CREATE TABLE ignored (path BLOB PRIMARY KEY NOT NULL, size INTEGER, mtime_ns INTEGER, judge TEXT NOT NULL)",
    *MEASURES,
    *TAGS,
)
# From a version to the next one.
UPGRADES = {1: ("ALTER TABLE meta ADD COLUMN state TEXT", *MEASURES), 2: TAGS}

INSERT_META = (
    "INSERT INTO meta (one, encoder, fingerprint, dim, sample_rate, folder, created) VALUES (1, ?, ?, ?, ?, ?, ?)"
)
PUT_TRACK = (
    f"INSERT OR REPLACE INTO tracks ({', '.join(TRACK_COLUMNS)}, missing) "
    f"VALUES ({', '.join('?' * len(TRACK_COLUMNS))}, 0)"
)
_NAMES = ", ".join(f"tracks.{name}" for name in TRACK_COLUMNS)
LIVE_TRACKS = (
    f"SELECT {_NAMES}, tempo, key, energy FROM tracks LEFT JOIN measures USING (audio_id) WHERE missing = 0 "
    "ORDER BY path"
)
LIVE_TRACKS_UNMEASURED = f"SELECT {_NAMES}, NULL, NULL, NULL FROM tracks WHERE missing = 0 ORDER BY path"
AMONG = " WHERE audio_id IN (SELECT value FROM json_each(?))"
PER_AUDIO = ("vectors", "segments", "measures", "descriptors")
# Contents that no track has any more; and what is left of a file that was read again.
STALE_TAG_FILES = "id NOT IN (SELECT id FROM tracks)"
ORPHANED_TAGS = "DELETE FROM tags WHERE file NOT IN (SELECT number FROM tag_files)"
PRUNE = (
    "DELETE FROM tracks WHERE missing = 1",
    *(f"DELETE FROM {table} WHERE audio_id NOT IN (SELECT audio_id FROM tracks)" for table in PER_AUDIO),
    f"DELETE FROM tag_files WHERE {STALE_TAG_FILES}",
    ORPHANED_TAGS,
)


def is_empty(connection: sqlite3.Connection) -> bool:
    """True for a new file, and for one whose creation was killed: no table exists."""
    return bool(connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] == 0)


def create(connection: sqlite3.Connection, bound: tuple[Any, ...]) -> None:
    """All tables and the binding in one transaction, when there are none: a store exists whole or not at all."""
    if not is_empty(connection):
        return
    # A vector of 512 values and its key just miss half of SQLite's usual page of 4 KiB and would waste the other half.
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("BEGIN IMMEDIATE")
    if is_empty(connection):  # another process may have been faster
        for statement in TABLES:
            connection.execute(statement)
        connection.execute(INSERT_META, bound)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(NEW_STATE)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.commit()


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring a store of an older version to this one, in one transaction."""
    if version_of(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for version in range(version_of(connection), VERSION):  # asked again: another process may have been faster
        for statement in UPGRADES[version]:
            connection.execute(statement)
    connection.execute(NEW_STATE)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.commit()


def version_of(connection: sqlite3.Connection) -> int:
    """The version a store says it has."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StoreError when the file is another program's database or a store of a later version."""
    if is_empty(connection):
        raise StoreError(f"{path}: an empty file, not a library store (or one that is being made). {REMAKE}")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = version_of(connection)
    if application != APPLICATION_ID:
        raise StoreError(f"{path}: a database of another program, not a mirclr library store")
    if not 1 <= version <= VERSION:
        raise StoreError(
            f"{path}: store version {version}, this mirclr reads versions 1 to {VERSION}. Use the mirclr that "
            "wrote it, or index into a new file"
        )
