"""Rows of unequal length in one memory-mapped file: decoded samples `(T,)` int16 or log-mel frames `(N, F)` float16.

`RaggedStore` reads; `mirclr.audio.store_writer.StoreWriter` appends; `mirclr.audio.store_format` is the layout.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
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
    read_description,
    read_index,
    settings_file,
)
from mirclr.errors import CacheError

__all__ = ["RaggedStore", "Span"]


class RaggedStore:
    """Read-only view of a store as it was when opened; any number of processes, also while another one appends.

    What is verified when: on opening, the settings, every line of the index (a CRC each) and the size of the data; the
    bytes of a row by CRC-32 on the first read of that row in a process. Checking every byte on opening would read the
    whole store, 3.8 MB a track with the default settings: a minute for 2,000 tracks on a plain disk, while the first
    read of a row has its bytes in hand anyway and pays 1 to 4 ms, once. `verify=True` checks everything at once.

    Pickling carries the folder and the index, not the data: a DataLoader worker maps the file again and sees exactly
    the same rows, whatever has been appended since.
    """

    def __init__(self, folder: Path, description: Description, rows: dict[str, Row]) -> None:
        """Use `RaggedStore.open`."""
        self.folder, self._description, self._rows = folder, description, rows
        self._verified: set[str] = set()
        self._data: np.ndarray | None = None

    @classmethod
    def open(
        cls, folder: str | Path, settings: Mapping[str, Any] | None = None, *, verify: bool = False
    ) -> RaggedStore:
        """Open the store in `folder`; `settings`, where given, must be those it was made with.

        Raises CacheError naming the file and the remedy when the store is missing, damaged or made with others.
        """
        folder = Path(folder)
        description = read_description(folder)
        if settings is not None:
            check_settings(folder, description.settings, settings)
        rows, _ = read_index(folder)
        check_size(folder, description, rows)
        store = cls(folder, description, rows)
        if verify:
            for row_id in rows:
                store._verify(row_id)
        return store

    @staticmethod
    def exists(folder: str | Path) -> bool:
        """Whether a store was ever made in `folder`."""
        return settings_file(Path(folder)).exists()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings the store was made with."""
        return dict(self._description.settings)

    @property
    def dtype(self) -> np.dtype[Any]:
        """int16 for samples, float16 for log-mel."""
        return np.dtype(self._description.dtype)

    @property
    def columns(self) -> int:
        """F of rows `(N, F)`; 0 for rows `(T,)`."""
        return self._description.columns

    @property
    def ids(self) -> list[str]:
        """Row ids in the order they were appended."""
        return list(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._rows

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Those of `ids` without a row, each once, in their order."""
        return [i for i in dict.fromkeys(ids) if i not in self._rows]

    def length(self, row_id: str) -> int:
        """Steps along time of a row. Raises KeyError on an unknown id, as all readers here."""
        return self._rows[row_id].length

    def spans(self, row_id: str) -> tuple[Span, ...]:
        """The pieces of a row that are contiguous in the source, in order; a crop must lie within one of them."""
        return self._rows[row_id].spans

    def read(self, row_id: str, start: int = 0, count: int | None = None) -> np.ndarray:
        """`count` steps from `start` (None: to the end of the row): a read-only view `(count,)` or `(count, F)`.

        Raises ValueError outside the row, CacheError when the row's bytes are not the ones written.
        """
        row = self._rows[row_id]
        count = row.length - start if count is None else count
        if start < 0 or count < 0 or start + count > row.length:
            raise ValueError(f"row {row_id} has {row.length} steps; cannot read {count} from {start}")
        if row_id not in self._verified:
            self._verify(row_id)
        return self._mapped()[row.offset + start : row.offset + start + count]

    def _mapped(self) -> np.ndarray:
        """The whole data file as one array, mapped on first use."""
        if self._data is None:
            steps, columns = end_of(self._rows), self.columns
            shape = (steps, columns) if columns else (steps,)
            mapped = np.memmap(data_file(self.folder), dtype=self.dtype, mode="r", shape=shape) if steps else None
            # A plain ndarray slices several times faster than the memmap subclass.
            self._data = np.empty(shape, self.dtype) if mapped is None else mapped.view(np.ndarray)
        return self._data

    def _verify(self, row_id: str) -> None:
        """Compare a row's bytes with their checksum."""
        row = self._rows[row_id]
        block = self._mapped()[row.offset : row.offset + row.length]
        if zlib.crc32(block.data) != row.crc:
            raise CacheError(f"{data_file(self.folder)}: the row of {row_id} is damaged; {REMEDY}")
        self._verified.add(row_id)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}
