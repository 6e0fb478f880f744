"""Annotations as text cells that remember their file and line, so that every complaint can name one; csv and tsv files.

The standard library's reader, not pandas: an artist called "NA" stays a name, an identifier 007 keeps its zeros, and
a row with a cell too many is a mistake at a line instead of a silently shifted column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mirclr.config import nearest
from mirclr.errors import DatasetError

# Biographies and descriptions outgrow the reader's 128 KiB a cell.
csv.field_size_limit(2**31 - 1)
DELIMITERS = (",", "\t", ";")  # ";" is what spreadsheets write where the comma is the decimal sign
SHOWN = 5
SHOWN_COLUMNS = 40


@dataclass(frozen=True)
class Sheet:
    """`rows` of text cells under `columns`; `lines` (1-based) is where each row ends in its file: `path`, or one of
    `files`, one per row, where several were read. `unit` is what is counted: lines, or records of a JSON file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    files: tuple[Path, ...] = ()
    unit: str = "line"

    def position(self, name: str) -> int:
        """Where a column stands. Raises DatasetError listing the columns there are."""
        if name not in self.columns:
            close = nearest(name, self.columns)
            hint = close if close.startswith(" Did") else ""
            shown = ", ".join(self.columns[:SHOWN_COLUMNS]) + (", ..." if len(self.columns) > SHOWN_COLUMNS else "")
            raise DatasetError(f"{self.path}: no column {name!r}; columns found: {shown}.{hint}")
        return self.columns.index(name)

    def column(self, name: str) -> list[str]:
        """The cells of a column, stripped. Raises DatasetError naming lines that are not UTF-8."""
        cells = [row[self.position(name)].strip() for row in self.rows]
        broken = [not _is_utf8(cell) for cell in cells]
        self.refuse(broken, f"column {name!r} is not UTF-8; save the table as UTF-8")
        return cells

    def paths(self, name: str) -> list[str]:
        """As `column`, but to the letter: spaces count and undecodable bytes are kept, a file name may hold both."""
        return [row[self.position(name)] for row in self.rows]

    def refuse(self, wrong: Sequence[bool] | np.ndarray, what: str) -> None:
        """Raises DatasetError naming `what` and the file and lines where `wrong` is true; nothing when none is."""
        rows = np.flatnonzero(np.asarray(wrong, bool)).tolist()
        if rows:
            raise DatasetError(rows_text(rows, what, self.path, self.lines, self.files, self.unit))

    def keep(self, wanted: Sequence[bool] | np.ndarray) -> Sheet:
        """The rows where `wanted` is true."""
        rows = np.flatnonzero(np.asarray(wanted, bool)).tolist()
        files = tuple(self.files[row] for row in rows) if self.files else ()
        kept, lines = tuple(self.rows[row] for row in rows), tuple(self.lines[row] for row in rows)
        return replace(self, rows=kept, lines=lines, files=files)

    def with_columns(self, new: Mapping[str, Sequence[str]]) -> Sheet:
        """The same with further columns, or with other cells in columns that are there."""
        old = [name for name in self.columns if name not in new]
        places = [self.columns.index(name) for name in old]
        cells = list(zip(*new.values(), strict=True)) if self.rows else []
        rows = (tuple(row[place] for place in places) + more for row, more in zip(self.rows, cells, strict=True))
        return replace(self, columns=(*old, *new), rows=tuple(rows))


def rows_text(
    rows: Sequence[int], what: str, path: Path, lines: Sequence[int], files: Sequence[Path], unit: str
) -> str:
    """'labels.csv: what (2 rows, at line 3, 7)'; of several files the first with such a row is spelt out."""
    first = files[rows[0]] if files else path
    here = [row for row in rows if not files or files[row] == first]
    more = f"; {len(rows) - len(here)} more in other files" if len(here) < len(rows) else ""
    return f"{first}: {what} ({lines_text([lines[row] for row in here], unit)}{more})"


def lines_text(lines: Sequence[int], unit: str = "line") -> str:
    """[3, 7] -> '2 rows, at line 3, 7'; only the first few are spelt out."""
    more = ", ..." if len(lines) > SHOWN else ""
    rows = "1 row" if len(lines) == 1 else f"{len(lines)} rows"
    return f"{rows}, at {unit} {', '.join(str(line) for line in lines[:SHOWN])}{more}"


def _is_utf8(cell: str) -> bool:
    return not any("\udc80" <= letter <= "\udcff" for letter in cell)


def text_of(path: Path) -> str:
    """The file's text; bytes that are not UTF-8 become surrogates, to be refused column by column."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw:
        raise DatasetError(f"{path}: this is not a UTF-8 text table; save it as CSV in UTF-8")
    return raw.decode("utf-8-sig", "surrogateescape")


def _records(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(last line, cells) of every row that is not blank; the delimiter is the commonest one in the header."""
    # newline="" leaves line ends to the csv reader: a quoted cell may hold one.
    header = io.StringIO(text, newline="").readline()
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))
    except csv.Error as error:
        raise DatasetError(f"{path}: line {reader.line_num}: {error}") from error


def checked_columns(path: Path, columns: Sequence[str]) -> tuple[str, ...]:
    """Column names, stripped. Raises DatasetError on one that is there twice."""
    names = tuple(cell.strip() for cell in columns)
    twice = sorted({c for c in names if c and names.count(c) > 1})
    if twice:
        raise DatasetError(f"{path}: the header names {', '.join(twice)} twice")
    return names


def read_sheet(path: Path) -> Sheet:
    """A csv or tsv file with a header line: BOM, CRLF, quoted cells and blank lines are fine.

    Raises DatasetError when the file cannot be read, has no rows, names a column twice or has a row of another width.
    """
    records = list(_records(text_of(path), path))
    if len(records) < 2:
        raise DatasetError(f"{path}: no rows under a header line")
    columns = checked_columns(path, records[0][1])
    odd = [line for line, row in records[1:] if len(row) != len(columns)]
    if odd:
        raise DatasetError(f"{path}: the header has {len(columns)} columns but not {lines_text(odd)}")
    body = records[1:]
    return Sheet(path, columns, tuple(tuple(row) for _, row in body), tuple(line for line, _ in body))


def read_lines(path: Path) -> list[str]:
    """The lines of a plain list (a published split), stripped, blank ones and `#` comments left out.

    A `.npy` list holds strings, `index<TAB>path` or a path each. Raises DatasetError where there is none to read.
    """
    if path.suffix == ".npy":
        return [line.split("\t")[-1].strip() for line in _strings(path)]
    lines = (line.strip() for line in text_of(path).split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _strings(path: Path) -> list[str]:
    """The strings of a one-dimensional numpy array. An array of objects would run code: it is refused unread."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as a list of strings: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != "U" or array.ndim != 1:
        raise DatasetError(f"{path}: this is no list of strings")
    return [str(line) for line in array]
