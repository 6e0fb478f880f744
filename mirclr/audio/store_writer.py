"""Appending to a ragged store: one process at a time, crash safe by the order of its writes."""

from __future__ import annotations

import fcntl
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mirclr.audio.store_format import (
    REMEDY,
    Description,
    Row,
    Span,
    check_settings,
    check_size,
    data_file,
    end_of,
    index_file,
    index_line,
    plain,
    read_description,
    read_index,
    settings_file,
    sync_folder,
    write_description,
)
from mirclr.errors import CacheError


class StoreBusy(CacheError):
    """Another process is writing to the store."""


def _lock(folder: Path) -> int:
    """Take the writer's lock; it goes with the process, however that ends. Raises CacheError when it is held."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreBusy(
            f"{folder}: process {holder} is writing to this cache; wait for it to finish, or choose another folder"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """A full or failing disk as a CacheError; what was committed before stays good."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{folder}: cannot write ({error.strerror}); free some space or choose another cache folder"
        ) from error


def _write(file: int, block: memoryview, position: int) -> None:
    """Write all of `block` at a fixed position, so that a write cut short never shifts a later one."""
    while block:
        written = os.pwrite(file, block, position)
        block, position = block[written:], position + written


class StoreWriter:
    """The one process that appends. `add` rows, then `commit` them together: two fsyncs however many rows.

    >>> with StoreWriter(folder, "int16", {"sample_rate": 16000}, columns=0) as writer:
    ...     writer.add("4f1c", samples, [Span(0, len(samples), 0.0)])
    """

    def __init__(
        self, folder: str | Path, dtype: str, settings: Mapping[str, Any], *, columns: int | None = None
    ) -> None:
        """Open or create the store; `columns` None leaves F to the first row that is ever added.

        Raises StoreBusy when another process writes, CacheError when the store is damaged or made with other settings.
        """
        self.folder = Path(folder)
        with _disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.folder)
        self._wanted = (str(np.dtype(dtype)), columns, plain(settings))
        self._pending: dict[str, Row] = {}
        self._committed = time.monotonic()
        try:
            with _disk_errors(self.folder):
                self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self) -> None:
        """Verify what is there, cut torn tails, and open both files."""
        dtype, columns, settings = self._wanted
        self._description: Description | None = None
        self._rows, self._index_end = read_index(self.folder)
        self._end = end_of(self._rows)
        if settings_file(self.folder).exists():
            self._description = found = read_description(self.folder)
            check_settings(self.folder, found.settings, settings)
            if found.dtype != dtype or columns not in (None, found.columns):
                raise CacheError(f"{self.folder}: holds {found.dtype} x {found.columns}, not {dtype} x {columns}")
            check_size(self.folder, found, self._rows)
        elif self._rows:
            raise CacheError(f"{self.folder}: settings.json is missing; {REMEDY}")
        elif columns is not None:
            self._describe(columns)
        self._data, self._index = self._append_files()

    def _append_files(self) -> tuple[int, int]:
        """Open both files for writing, cut back to the last whole row."""
        flags = os.O_RDWR | os.O_CREAT
        data, index = (os.open(name(self.folder), flags, 0o666) for name in (data_file, index_file))
        os.ftruncate(data, self._end * (self._description.step_bytes if self._description else 0))
        os.ftruncate(index, self._index_end)
        sync_folder(self.folder)
        return data, index

    def _describe(self, columns: int) -> Description:
        """Fix what the rows are, once."""
        dtype, _, settings = self._wanted
        self._description = Description(dtype, columns, settings)
        write_description(self.folder, self._description)
        return self._description

    def __len__(self) -> int:
        return len(self._rows) + len(self._pending)

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._rows or row_id in self._pending

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Those of `ids` without a row, each once, in their order."""
        return [i for i in dict.fromkeys(ids) if i not in self]

    @property
    def pending_steps(self) -> int:
        """Steps added and not yet committed."""
        return sum(row.length for row in self._pending.values())

    def add(self, row_id: str, row: np.ndarray, spans: Sequence[tuple[int, int, float]]) -> None:
        """Write a row's bytes; it exists once `commit` has returned. `spans` must cover the row without gaps.

        Raises ValueError on a row of another shape or type, spans that do not cover it, or an id already here;
        CacheError when the disk refuses.
        """
        description = self._description or self._describe(row.shape[1] if row.ndim == 2 else 0)
        pieces = tuple(Span(int(a), int(n), float(s)) for a, n, s in spans)
        self._check_row(row_id, row, pieces, description)
        block = np.ascontiguousarray(row)
        with _disk_errors(self.folder):
            _write(self._data, block.data.cast("B"), self._end * description.step_bytes)
        self._pending[row_id] = Row(self._end, len(block), pieces, zlib.crc32(block.data))
        self._end += len(block)

    def _check_row(self, row_id: str, row: np.ndarray, pieces: Sequence[Span], is_: Description) -> None:
        """The contract of `add`."""
        shape = (len(row), is_.columns) if is_.columns else (len(row),)
        if row.dtype != np.dtype(is_.dtype) or row.shape != shape or not len(row):
            raise ValueError(f"row {row_id}: {row.dtype} {row.shape} does not fit a store of {is_.dtype} {shape}")
        if row_id in self:
            raise ValueError(f"row {row_id} is already in {self.folder}")
        ends = np.cumsum([piece.length for piece in pieces]).tolist()
        tiled = [piece.start for piece in pieces] == [0, *ends[:-1]] and ends[-1:] == [len(row)]
        if not tiled or min(piece.length for piece in pieces) < 1:
            raise ValueError(f"row {row_id}: spans {list(pieces)} do not cover its {len(row)} steps in order")

    def commit(self) -> None:
        """Make every row added so far permanent: data to the disk first, then the lines that name it."""
        if not self._pending:
            return
        lines = b"".join(index_line(row_id, row) for row_id, row in self._pending.items())
        with _disk_errors(self.folder):
            os.fsync(self._data)
            os.ftruncate(self._index, self._index_end)
            _write(self._index, memoryview(lines), self._index_end)
            os.fsync(self._index)
        self._index_end += len(lines)
        self._rows.update(self._pending)
        self._pending.clear()
        self._committed = time.monotonic()

    def commit_due(self) -> None:
        """Commit when 32 MB or 2 s of rows are waiting: a kill then loses little, and a disk is asked seldom."""
        waiting = self.pending_steps * (self._description.step_bytes if self._description else 0)
        if waiting > 32 << 20 or time.monotonic() - self._committed > 2.0:
            self.commit()

    def append(self, row_id: str, row: np.ndarray, spans: Sequence[tuple[int, int, float]]) -> None:
        """`add` and `commit` one row."""
        self.add(row_id, row, spans)
        self.commit()

    def close(self) -> None:
        """Commit, close the files and let the lock go."""
        try:
            self.commit()
        finally:
            for descriptor in (self._data, self._index, self._lock):
                os.close(descriptor)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
