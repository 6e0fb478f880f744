"""A csv or tsv file as text cells that remember their line, so that every complaint can name one.

The standard library's reader, not pandas: an artist called "NA" stays a name, an identifier 007 keeps its zeros, and
a row with a cell too many is a mistake at a line instead of a silently shifted column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mirclr.config import nearest
from mirclr.errors import DatasetError

DELIMITERS = (",", "\t", ";")  # ";" is what spreadsheets write where the comma is the decimal sign
SHOWN = 5


@dataclass(frozen=True)
class Sheet:
    """`rows` of text cells under `columns`; `lines` (1-based) is where each row ends in `path`."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def position(self, name: str) -> int:
        """Where a column stands. Raises DatasetError listing the columns there are."""
        if name not in self.columns:
            close = nearest(name, self.columns)
            hint = close if close.startswith(" Did") else ""
            raise DatasetError(f"{self.path}: no column {name!r}; columns found: {', '.join(self.columns)}.{hint}")
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

    def refuse(self, wrong: Sequence[bool], what: str) -> None:
        """Raises DatasetError naming `what` and the lines where `wrong` is true; nothing when none is."""
        lines = [line for line, is_wrong in zip(self.lines, wrong, strict=True) if is_wrong]
        if lines:
            raise DatasetError(f"{self.path}: {what} ({lines_text(lines)})")


def lines_text(lines: Sequence[int]) -> str:
    """[3, 7] -> '2 rows, at line 3, 7'; only the first few are spelt out."""
    more = ", ..." if len(lines) > SHOWN else ""
    rows = "1 row" if len(lines) == 1 else f"{len(lines)} rows"
    return f"{rows}, at line {', '.join(str(line) for line in lines[:SHOWN])}{more}"


def _is_utf8(cell: str) -> bool:
    return not any("\udc80" <= letter <= "\udcff" for letter in cell)


def _text(path: Path) -> str:
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


def read_sheet(path: Path) -> Sheet:
    """A csv or tsv file with a header line: BOM, CRLF, quoted cells and blank lines are fine.

    Raises DatasetError when the file cannot be read, has no rows, names a column twice or has a row of another width.
    """
    records = list(_records(_text(path), path))
    if len(records) < 2:
        raise DatasetError(f"{path}: no rows under a header line")
    columns = tuple(cell.strip() for cell in records[0][1])
    twice = sorted({c for c in columns if c and columns.count(c) > 1})
    if twice:
        raise DatasetError(f"{path}: the header names {', '.join(twice)} twice")
    odd = [line for line, row in records[1:] if len(row) != len(columns)]
    if odd:
        raise DatasetError(f"{path}: the header has {len(columns)} columns but not {lines_text(odd)}")
    body = records[1:]
    return Sheet(path, columns, tuple(tuple(row) for _, row in body), tuple(line for line, _ in body))


def read_lines(path: Path) -> list[str]:
    """The lines of a plain list (a published split), stripped, blank ones and `#` comments left out."""
    lines = (line.strip() for line in _text(path).split("\n"))
    return [line for line in lines if line and not line.startswith("#")]
