"""A library: one SQLite file bound to one encoder, with every track's tags, vector and a few segment vectors.

WAL mode: one process may index while others search, and each reader sees a whole batch or none of it. A transaction is
a batch, so a process killed at any moment loses at most the batch it was in. See `docs/library.md`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from mirclr import __version__
from mirclr.errors import StoreError
from mirclr.features.extractor import Identity
from mirclr.features.measures import SIZES, Measures
from mirclr.library import schema
from mirclr.library.connection import REMAKE, connect, named
from mirclr.library.rows import FLOAT, NUMBERS, Binding, Contents, Stamp, blob, cell, texts

SIDE_FILES = ("-packed", "-near")  # computed from the store and kept beside it: `mirclr.library.search` writes them
READ_ROWS = 4096  # vectors read from SQLite at a time
FEW = 10_000  # rows looked up one by one; of more the whole table is read


class Library:
    """An open store. Use `open` to read one and `open_or_create` to write one; it is a context manager.

    Attributes: `path`; `binding`; `files`, the paths on disk that are the store itself.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._changed = False  # in this transaction
        # The store may lie in the music folder; SQLite keeps its log and its index of the log beside it.
        self.files = {Path(f"{path.absolute()}{ending}") for ending in ("", "-wal", "-shm", *SIDE_FILES)}
        try:
            self.binding = self._read_binding()
        except BaseException:
            connection.close()
            raise

    @classmethod
    def open(cls, path: Path, extractor: Identity | None = None) -> Library:
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
    def open_to_tend(cls, path: Path) -> Library:
        """An existing store for writing, whatever its encoder. Raises StoreError as `open` does."""
        cls.open(path).close()
        with named(path):
            library = cls(path, connect(path, "rwc"))
            schema.upgrade(library._db)
        return library

    @classmethod
    def open_or_create(cls, path: Path, extractor: Identity, encoder_folder: Path | None = None) -> Library:
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
            schema.upgrade(connection)
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
            vectors, state = self._vectors(row_of), self.state
        return Contents(tracks.assign(row=tracks["audio_id"].map(row_of).astype("int64")), vectors, state)

    @property
    def state(self) -> str | None:
        """Another word after every change of an answer; None in a store of an old version."""
        if self.version <= schema.WITHOUT_MEASURES:
            return None
        found: str | None = self.ask("SELECT state FROM meta")[0][0]
        return found

    def vectors_of(self, ids: Sequence[str]) -> np.ndarray:
        """`(N, D)` float32 vectors of some audio. Raises StoreError when one is not there."""
        out = np.empty((len(ids), self.binding.dim), np.float32)
        for place, audio_id in enumerate(ids):
            found = self.ask("SELECT vector FROM vectors WHERE audio_id = ?", (audio_id,))
            if not found or len(found[0][0]) != out.shape[1] * FLOAT.itemsize:
                raise StoreError(f"{self.path}: no whole vector of audio {audio_id}: damaged. {REMAKE}")
            out[place] = np.frombuffer(found[0][0], FLOAT)
        return out

    def descriptors(self, ids: Sequence[str], names: Sequence[str] = schema.DESCRIPTORS) -> dict[str, np.ndarray]:
        """The measured vectors of some audio: `timbre` (N, 120), `rhythm` (N, 37) and `harmony` (N, 24) float32, a row
        an id; NaN where it was not measured."""
        out = {name: np.full((len(ids), SIZES[name]), np.nan, np.float32) for name in names}
        if self.version > schema.WITHOUT_MEASURES:
            row_of = {audio_id: row for row, audio_id in enumerate(ids)}
            few = (json.dumps(list(ids)),) if len(ids) < FEW else ()
            only = schema.AMONG if few else ""
            for name, matrix in out.items():
                self._fill(matrix, f"SELECT audio_id, {name} FROM descriptors{only}", row_of, few)
        return out

    def segments(self, ids: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each audio `(S, D)` float32 segment vectors and their `(S,)` starts in seconds. StoreError if unknown."""
        rows = self.ask("SELECT audio_id, vectors, starts FROM segments" + schema.AMONG, (json.dumps(list(ids)),))
        found = {name: [np.frombuffer(blob, FLOAT).astype(np.float32) for blob in blobs] for name, *blobs in rows}
        if unknown := set(ids) - set(found):
            raise StoreError(f"{self.path}: no audio {min(unknown)} in this store")
        return [(vectors.reshape(len(at), self.binding.dim), at) for vectors, at in map(found.__getitem__, ids)]

    def every_segment(self) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
        """All kept moments, some thousand at a time: audio ids (M), vectors (M, D) float32, starts (M,) in seconds."""
        with named(self.path):
            found = self._db.execute("SELECT audio_id, vectors, starts FROM segments")
            while part := found.fetchmany(READ_ROWS // 8):
                starts = [np.frombuffer(blob, FLOAT) for _, _, blob in part]
                ids = [audio_id for (audio_id, _, _), times in zip(part, starts, strict=True) for _ in times]
                vectors = np.frombuffer(b"".join(blob for _, blob, _ in part), FLOAT)
                if vectors.size != len(ids) * self.binding.dim:
                    raise StoreError(f"{self.path}: moments of another length than their times: damaged. {REMAKE}")
                yield ids, vectors.reshape(-1, self.binding.dim), np.concatenate(starts)

    def quarantine(self) -> pd.DataFrame:
        """The contract's quarantine table: `path`, `reason`, `detail`, in path order."""
        rows = self.ask("SELECT path, reason, detail FROM quarantine ORDER BY path")
        frame = pd.DataFrame(rows, columns=["path", "reason", "detail"], dtype=object)
        frame["path"] = texts(frame["path"])
        return frame

    def stamps(self) -> dict[bytes, Stamp]:
        """What is known of every path, missing ones too."""
        rows = self.ask("SELECT path, size, mtime_ns, id, missing FROM tracks")
        return {path: Stamp(size, mtime_ns, id_, bool(missing)) for path, size, mtime_ns, id_, missing in rows}

    def ignored(self) -> dict[bytes, tuple[int, int]]:
        """Size and time of change of the files in which this mirclr found no audio and which claim none."""
        rows = self.ask("SELECT path, size, mtime_ns FROM ignored WHERE judge = ?", (__version__,))
        return {path: (size, mtime_ns) for path, size, mtime_ns in rows}

    def embedded(self) -> set[str]:
        """The audio ids that have vectors."""
        return {audio_id for (audio_id,) in self.ask("SELECT audio_id FROM vectors")}

    def unmeasured(self, recipe: str) -> pd.DataFrame:
        """`path`, `audio_id` and `duration` of a track of each audio that `recipe` has not measured, in path order."""
        known = "SELECT audio_id FROM measures WHERE recipe = ?"
        rows = self.ask(
            "SELECT MIN(path), audio_id, duration FROM tracks WHERE missing = 0 AND audio_id NOT IN "
            f"({known}) GROUP BY audio_id ORDER BY MIN(path)",
            (recipe,),
        )
        frame = pd.DataFrame(rows, columns=["path", "audio_id", "duration"], dtype=object)
        return frame.assign(path=texts(frame["path"]), duration=frame["duration"].astype("float64"))

    # -- writing: call inside `with library.batch():` -------------------------------------------------------------

    @contextmanager
    def batch(self, write: bool = True) -> Iterator[None]:
        """One transaction: everything inside happens, or nothing."""
        with named(self.path):
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            self._changed = False
            try:
                yield
                if self._changed:
                    self._db.execute(schema.NEW_STATE)
            except BaseException:
                self._db.rollback()
                raise
            self._db.commit()

    def put_track(self, row: Mapping[str, Any]) -> None:
        """Insert or replace the row of one path; `row` has the columns of the contract's track table."""
        values = [os.fsencode(row["path"]), *(cell(row.get(name)) for name in schema.TRACK_COLUMNS[1:])]
        self.change(schema.PUT_TRACK, [values])

    def put_vectors(self, audio_id: str, vector: np.ndarray, segments: np.ndarray, starts: np.ndarray) -> None:
        """Store `(D,)`, `(S, D)` and `(S,)` seconds for one audio. Raises StoreError on a wrong shape or a NaN."""
        dim = self.binding.dim
        if vector.shape != (dim,) or segments.shape != (len(starts), dim) or not np.isfinite(vector).all():
            raise StoreError(
                f"{self.path}: audio {audio_id}: expected finite vectors of {dim} values, got {vector.shape} and "
                f"{segments.shape}; the encoder {self.binding.name} does not do what it says"
            )
        self.change("INSERT OR REPLACE INTO vectors VALUES (?, ?)", [(audio_id, blob(vector))])
        self.change("INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", [(audio_id, blob(starts), blob(segments))])

    def put_measures(self, audio_id: str, measures: Measures, recipe: str) -> None:
        """Store what was measured of one audio; `recipe`: the fingerprint of the measurer."""
        row = (audio_id, recipe, cell(measures.tempo), measures.key, cell(measures.energy))
        self.change("INSERT OR REPLACE INTO measures VALUES (?, ?, ?, ?, ?)", [row])
        vectors = (blob(getattr(measures, name)) for name in schema.DESCRIPTORS)
        self.change("INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?, ?)", [(audio_id, *vectors)])

    def forget(self, paths: Iterable[bytes]) -> None:
        """Remove the rows of paths; vectors stay until `prune`."""
        self.change("DELETE FROM tracks WHERE path = ?", [(path,) for path in paths])

    def mark_missing(self, paths: Iterable[bytes], missing: bool = True) -> None:
        """Take paths out of every answer, or back in."""
        self.change("UPDATE tracks SET missing = ? WHERE path = ?", [(int(missing), path) for path in paths])

    def prune(self) -> None:
        """Delete missing tracks and vectors that no track uses."""
        for statement in schema.PRUNE:
            self.change(statement, [()])

    def put_quarantine(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert or replace rows of the contract's quarantine table."""
        values = [(os.fsencode(row["path"]), cell(row["reason"]), cell(row["detail"])) for row in rows]
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

    # -- for this room's own modules -----------------------------------------------------------------------------

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with named(self.path):
            return self._db.execute(sql, values).fetchall()

    def change(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once a row, inside a batch; the store's state is new if it changed anything."""
        self._changed |= self._db.executemany(statement, rows).rowcount > 0

    # -- inside --------------------------------------------------------------------------------------------------

    def _tracks(self) -> pd.DataFrame:
        query = schema.LIVE_TRACKS if self.version > schema.WITHOUT_MEASURES else schema.LIVE_TRACKS_UNMEASURED
        columns = [*schema.TRACK_COLUMNS, *schema.MEASURE_COLUMNS]
        frame = pd.DataFrame(self.ask(query), columns=columns, dtype=object)
        frame["path"] = texts(frame["path"])
        frame["key"] = frame["key"].where(frame["key"].notna(), None)
        return frame.astype(NUMBERS)

    def _vectors(self, row_of: Mapping[str, int]) -> np.ndarray:
        """`(U, D)` float32 for the wanted audio."""
        out = np.empty((len(row_of), self.binding.dim), np.float32)
        filled = self._fill(out, "SELECT audio_id, vector FROM vectors", row_of)
        if filled != len(row_of):
            raise StoreError(f"{self.path}: {len(row_of) - filled} track(s) without a vector: damaged. {REMAKE}")
        return out

    def _fill(self, out: np.ndarray, query: str, row_of: Mapping[str, int], values: Sequence[str] = ()) -> int:
        """Vectors into the rows of `out`, some at a time, so that memory holds one copy; how many there were."""
        filled, width = 0, out.shape[1] * FLOAT.itemsize
        with named(self.path):
            found = self._db.execute(query, tuple(values))
            while part := found.fetchmany(READ_ROWS):
                wanted = [(row_of[audio_id], blob) for audio_id, blob in part if audio_id in row_of]
                if wrong := [len(blob) for _, blob in wanted if len(blob) != width]:
                    raise StoreError(
                        f"{self.path}: a vector of {wrong[0]} bytes where {width} belong: damaged. {REMAKE}"
                    )
                matrix = np.frombuffer(b"".join(blob for _, blob in wanted), FLOAT).reshape(-1, out.shape[1])
                out[[row for row, _ in wanted]] = matrix
                filled += len(wanted)
        return filled

    @property
    def version(self) -> int:
        """Of the store's tables; an old store that is only read keeps its own."""
        return schema.version_of(self._db)

    def _read_binding(self) -> Binding:
        schema.check(self._db, self.path)
        query = "SELECT encoder, fingerprint, dim, sample_rate, folder, created FROM meta"
        name, fingerprint, dim, rate, folder, created = self._db.execute(query).fetchone()
        return Binding(name, fingerprint, dim, rate, None if folder is None else Path(os.fsdecode(folder)), created)

    def _checked(self, extractor: Identity | None) -> Library:
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


def _binding_of(extractor: Identity, folder: Path | None) -> tuple[Any, ...]:
    """The row of `meta` for a new store."""
    place = None if folder is None else os.fsencode(folder.absolute())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return (extractor.name, extractor.fingerprint, extractor.dim, extractor.sample_rate, place, now)
