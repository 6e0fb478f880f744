"""A library: one SQLite file bound to one encoder, with every track's tags, vector and a few segment vectors.

WAL mode: one process may index while others search, and each reader sees a whole batch or none of it. A transaction is
a batch, so a process killed at any moment loses at most the batch it was in. See `docs/library.md`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mirclr import __version__
from mirclr.errors import StoreError
from mirclr.features.extractor import Extractor
from mirclr.library import schema
from mirclr.library.connection import REMAKE, connect, named

FLOAT = np.dtype("<f4")
READ_ROWS = 4096  # vectors read from SQLite at a time


@dataclass(frozen=True)
class Binding:
    """The encoder a store belongs to: `fingerprint` and `dim` decide, the rest is for people."""

    name: str
    fingerprint: str
    dim: int
    sample_rate: int
    folder: Path | None
    created: str


class Stamp(NamedTuple):
    """What the store knows of a path without opening the file."""

    size: int
    mtime_ns: int
    id: str
    missing: bool


@dataclass(frozen=True)
class Contents:
    """A consistent copy of a library in memory.

    `tracks`: the contract's table, one row per path in path order, plus `row`, the index into `vectors`.
    `vectors`: (U, D) float32, one per distinct audio, ordered by the first path that holds it.
    """

    tracks: pd.DataFrame
    vectors: np.ndarray


class Library:
    """An open store. Use `open` to read one and `open_or_create` to write one; it is a context manager.

    Attributes: `path`; `binding`; `files`, the paths on disk that are the store itself.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        # The store may lie in the music folder; SQLite keeps its log and its index of the log beside it.
        self.files = {Path(f"{path.absolute()}{ending}") for ending in ("", "-wal", "-shm")}
        try:
            self.binding = self._read_binding()
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open(cls, path: Path, extractor: Extractor | None = None) -> Library:
        """An existing store, for reading only.

        Raises StoreError when there is none, when it is not a store, damaged, of another version, or bound to another
        encoder than `extractor`.
        """
        if not path.is_file():
            raise StoreError(
                f"{path}: no library store here. Make one with: mirclr index FOLDER --encoder RUN --store {path}"
            )
        with named(path):
            library = cls(path, connect(path, "ro"))
        return library._checked(extractor)

    @classmethod
    def open_or_create(cls, path: Path, extractor: Extractor, encoder_folder: Path | None = None) -> Library:
        """A store for writing, made and bound to `extractor` when there is none; remembers where the encoder lies.

        Raises StoreError as `open` does; nothing is written into a file that is not a store of this encoder.
        """
        if not path.parent.is_dir():
            raise StoreError(f"{path}: the folder {path.parent} does not exist")
        with named(path):
            connection = connect(path, "rwc")
            schema.create(connection, _binding_of(extractor, encoder_folder))
            library = cls(path, connection)._checked(extractor)
            connection.execute("PRAGMA journal_mode = WAL")
            library._remember(encoder_folder)
        return library

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file. The last writer to close folds the log back into it."""
        self._db.close()

    # -- reading -------------------------------------------------------------------------------------------------

    def contents(self) -> Contents:
        """Everything a search needs, from one moment, whatever another process is writing."""
        with self.batch(write=False):
            tracks = self._tracks()
            ids = tracks["audio_id"].drop_duplicates().tolist()
            row_of = {audio_id: row for row, audio_id in enumerate(ids)}
            vectors = self._vectors(row_of)
        return Contents(tracks.assign(row=tracks["audio_id"].map(row_of).astype("int64")), vectors)

    def segments(self, audio_id: str) -> tuple[np.ndarray, np.ndarray]:
        """`(S, D)` float32 segment vectors of one audio, `(S,)` starts in seconds. StoreError if unknown."""
        found = self._all("SELECT vectors, starts FROM segments WHERE audio_id = ?", (audio_id,))
        if not found:
            raise StoreError(f"{self.path}: no audio {audio_id} in this store")
        vectors, starts = (np.frombuffer(blob, FLOAT).astype(np.float32) for blob in found[0])
        return vectors.reshape(len(starts), self.binding.dim), starts

    def quarantine(self) -> pd.DataFrame:
        """The contract's quarantine table: `path`, `reason`, `detail`, in path order."""
        rows = self._all("SELECT path, reason, detail FROM quarantine ORDER BY path")
        frame = pd.DataFrame(rows, columns=["path", "reason", "detail"], dtype=object)
        frame["path"] = _texts(frame["path"])
        return frame

    def stamps(self) -> dict[bytes, Stamp]:
        """What is known of every path, missing ones too."""
        rows = self._all("SELECT path, size, mtime_ns, id, missing FROM tracks")
        return {path: Stamp(size, mtime_ns, id_, bool(missing)) for path, size, mtime_ns, id_, missing in rows}

    def ignored(self) -> dict[bytes, tuple[int, int]]:
        """Size and time of change of the files in which this mirclr found no audio and which claim none."""
        rows = self._all("SELECT path, size, mtime_ns FROM ignored WHERE judge = ?", (__version__,))
        return {path: (size, mtime_ns) for path, size, mtime_ns in rows}

    def embedded(self) -> set[str]:
        """The audio ids that have vectors."""
        return {audio_id for (audio_id,) in self._all("SELECT audio_id FROM vectors")}

    # -- writing: call inside `with library.batch():` -------------------------------------------------------------

    @contextmanager
    def batch(self, write: bool = True) -> Iterator[None]:
        """One transaction: everything inside happens, or nothing."""
        with named(self.path):
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()

    def put_track(self, row: Mapping[str, Any]) -> None:
        """Insert or replace the row of one path; `row` has the columns of the contract's track table."""
        values = [os.fsencode(row["path"]), *(_cell(row.get(name)) for name in schema.TRACK_COLUMNS[1:])]
        self._db.execute(schema.PUT_TRACK, values)

    def put_vectors(self, audio_id: str, vector: np.ndarray, segments: np.ndarray, starts: np.ndarray) -> None:
        """Store `(D,)`, `(S, D)` and `(S,)` seconds for one audio. Raises StoreError on a wrong shape or a NaN."""
        dim = self.binding.dim
        if vector.shape != (dim,) or segments.shape != (len(starts), dim) or not np.isfinite(vector).all():
            raise StoreError(
                f"{self.path}: audio {audio_id}: expected finite vectors of {dim} values, got {vector.shape} and "
                f"{segments.shape}; the encoder {self.binding.name} does not do what it says"
            )
        self._db.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?)", (audio_id, _blob(vector)))
        self._db.execute("INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", (audio_id, _blob(starts), _blob(segments)))

    def forget(self, paths: Iterable[bytes]) -> None:
        """Remove the rows of paths; vectors stay until `prune`."""
        self._db.executemany("DELETE FROM tracks WHERE path = ?", [(path,) for path in paths])

    def mark_missing(self, paths: Iterable[bytes], missing: bool = True) -> None:
        """Take paths out of every answer, or back in."""
        self._db.executemany("UPDATE tracks SET missing = ? WHERE path = ?", [(int(missing), path) for path in paths])

    def prune(self) -> None:
        """Delete missing tracks and vectors that no track uses."""
        for statement in schema.PRUNE:
            self._db.execute(statement)

    def put_quarantine(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert or replace rows of the contract's quarantine table."""
        values = [(os.fsencode(row["path"]), _cell(row["reason"]), _cell(row["detail"])) for row in rows]
        self._db.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?)", values)

    def put_ignored(self, rows: Iterable[tuple[bytes, int, int]]) -> None:
        """Note files (path, size, mtime_ns) that are no audio and claim to be none."""
        values = [(*row, __version__) for row in rows]
        self._db.executemany("INSERT OR REPLACE INTO ignored VALUES (?, ?, ?, ?)", values)

    def release(self, paths: Iterable[bytes]) -> None:
        """Take paths out of the quarantine and out of the ignored."""
        values = [(path,) for path in paths]
        self._db.executemany("DELETE FROM quarantine WHERE path = ?", values)
        self._db.executemany("DELETE FROM ignored WHERE path = ?", values)

    # -- inside --------------------------------------------------------------------------------------------------

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with named(self.path):
            return self._db.execute(sql, values).fetchall()

    def _tracks(self) -> pd.DataFrame:
        frame = pd.DataFrame(self._all(schema.LIVE_TRACKS), columns=list(schema.TRACK_COLUMNS), dtype=object)
        frame["path"] = _texts(frame["path"])
        numbers = {"size": "int64", "mtime_ns": "int64", "duration": "float64", "year": "Int64", "track": "Int64"}
        return frame.astype(numbers)

    def _vectors(self, row_of: Mapping[str, int]) -> np.ndarray:
        """`(U, D)` float32 for the wanted audio; filled some rows at a time, so that memory holds one copy."""
        out = np.empty((len(row_of), self.binding.dim), np.float32)
        filled = 0
        found = self._db.execute("SELECT audio_id, vector FROM vectors")
        while part := found.fetchmany(READ_ROWS):
            wanted = [(row_of[audio_id], blob) for audio_id, blob in part if audio_id in row_of]
            out[[row for row, _ in wanted]] = self._matrix([blob for _, blob in wanted])
            filled += len(wanted)
        if filled != len(row_of):
            raise StoreError(f"{self.path}: {len(row_of) - filled} track(s) without a vector: damaged. {REMAKE}")
        return out

    def _matrix(self, blobs: Sequence[bytes]) -> np.ndarray:
        """Blobs of one vector each as `(N, D)` float32."""
        width = self.binding.dim * FLOAT.itemsize
        wrong = [len(blob) for blob in blobs if len(blob) != width]
        if wrong:
            raise StoreError(f"{self.path}: a vector of {wrong[0]} bytes where {width} belong: damaged. {REMAKE}")
        return np.frombuffer(b"".join(blobs), FLOAT).reshape(-1, self.binding.dim)

    def _read_binding(self) -> Binding:
        schema.check(self._db, self.path)
        query = "SELECT encoder, fingerprint, dim, sample_rate, folder, created FROM meta"
        name, fingerprint, dim, rate, folder, created = self._db.execute(query).fetchone()
        return Binding(name, fingerprint, dim, rate, None if folder is None else Path(os.fsdecode(folder)), created)

    def _checked(self, extractor: Extractor | None) -> Library:
        """Itself, if `extractor` (None: any) is the encoder of the store; else closes and raises StoreError."""
        bound = self.binding
        if extractor is None or (extractor.fingerprint, extractor.dim) == (bound.fingerprint, bound.dim):
            return self
        self.close()
        raise StoreError(
            f"{self.path}: bound to the encoder {bound.name!r} ({bound.fingerprint[:12]}, {bound.dim} values), not to "
            f"{extractor.name!r} ({extractor.fingerprint[:12]}, {extractor.dim} values). Their vectors cannot be "
            f"compared: use the store's own encoder{f' ({bound.folder})' if bound.folder else ''}, or index into a new "
            "file with --store NEW.db"
        )

    def _remember(self, folder: Path | None) -> None:
        """Note that the encoder lies in `folder` now: a run folder may have been moved since."""
        if folder is None or folder.absolute() == self.binding.folder:
            return
        with self.batch():
            self._db.execute("UPDATE meta SET folder = ?", (os.fsencode(folder.absolute()),))
        self.binding = self._read_binding()


def _binding_of(extractor: Extractor, folder: Path | None) -> tuple[Any, ...]:
    """The row of `meta` for a new store."""
    place = None if folder is None else os.fsencode(folder.absolute())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return (extractor.name, extractor.fingerprint, extractor.dim, extractor.sample_rate, place, now)


def _texts(paths: Iterable[bytes]) -> pd.Series:
    """Paths as str. Explicitly objects: pandas' own strings may be Arrow's, which cannot hold undecodable bytes."""
    return pd.Series([os.fsdecode(path) for path in paths], dtype=object)


def _blob(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, FLOAT).tobytes()


def _cell(value: Any) -> Any:
    """A table cell as SQLite takes it: NaN and NA become NULL, numpy numbers plain ones, text valid Unicode."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
