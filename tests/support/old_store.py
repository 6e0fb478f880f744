"""Stores as earlier mirclrs wrote them, for tests that newer ones read and keep them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

APPLICATION_ID = 0x6D636C72
VERSION_1 = """
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), encoder TEXT NOT NULL, fingerprint TEXT NOT NULL,
    dim INTEGER NOT NULL CHECK (dim > 0), sample_rate INTEGER NOT NULL, folder BLOB, created TEXT NOT NULL);
CREATE TABLE tracks (path BLOB PRIMARY KEY NOT NULL, id TEXT NOT NULL, audio_id TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, container TEXT, codec TEXT, sample_rate INTEGER, channels INTEGER, duration REAL,
    artist TEXT, album TEXT, title TEXT, genre TEXT, year INTEGER, track INTEGER, flags TEXT NOT NULL DEFAULT '',
    missing INTEGER NOT NULL DEFAULT 0);
CREATE INDEX tracks_by_audio ON tracks (audio_id);
CREATE TABLE vectors (audio_id TEXT PRIMARY KEY NOT NULL, vector BLOB NOT NULL);
CREATE TABLE segments (audio_id TEXT PRIMARY KEY NOT NULL, starts BLOB NOT NULL, vectors BLOB NOT NULL);
CREATE TABLE quarantine (path BLOB PRIMARY KEY NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE ignored (path BLOB PRIMARY KEY NOT NULL, size INTEGER, mtime_ns INTEGER, judge TEXT NOT NULL);
"""
TABLES = ("tracks", "vectors", "segments", "quarantine", "ignored")


def as_version_1(store: Path, old: Path) -> None:
    """Write what version 1 knew of `store` into a new file `old`."""
    with sqlite3.connect(old) as db:
        db.executescript(VERSION_1)
        db.execute("ATTACH ? AS new", (str(store),))
        db.execute("INSERT INTO meta SELECT one, encoder, fingerprint, dim, sample_rate, folder, created FROM new.meta")
        for table in TABLES:
            db.execute(f"INSERT INTO {table} SELECT * FROM new.{table}")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
    db.close()


def as_version_2(store: Path, old: Path) -> None:
    """Write what version 2 knew of `store`, all but the tags, into a new file `old`."""
    with sqlite3.connect(store) as new:
        new.execute("VACUUM INTO ?", (str(old),))
    new.close()
    with sqlite3.connect(old) as db:
        db.executescript("DROP TABLE tags; DROP TABLE tag_files; PRAGMA user_version = 2;")
    db.close()
