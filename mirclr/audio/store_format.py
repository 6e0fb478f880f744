"""What a store of ragged rows is on disk, and how it is read back after a crash.

A store is a folder of four files: `settings.json` (what the rows are), `data.bin` (the rows, end to end, append only),
`index.jsonl` (one line per row with its place, spans and checksum, append only) and `lock` (held by the one writer).

Safety rests on one order: the bytes of a row are on the disk (fsync) before the line that names them is written. A
process killed at any moment therefore leaves nothing worse than bytes without a line, or one torn last line; both are
cut off when the next writer opens the store, and ignored by readers.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mirclr.errors import CacheError

FORMAT = "mirclr ragged store 1"
REMEDY = "delete the folder; it is made again by the next run"


class Span(NamedTuple):
    """A piece of a row contiguous in its source: `length` steps from `start`, found at `source_start_s` seconds."""

    start: int
    length: int
    source_start_s: float


class Row(NamedTuple):
    """Where a row lies (`offset` and `length` in steps along time), its spans and the CRC-32 of its bytes."""

    offset: int
    length: int
    spans: tuple[Span, ...]
    crc: int


@dataclass(frozen=True)
class Description:
    """`settings.json`: `columns` F of a step, 0 for rows `(T,)`."""

    dtype: str
    columns: int
    settings: dict[str, Any]

    @property
    def step_bytes(self) -> int:
        """Bytes of one step along time."""
        return int(np.dtype(self.dtype).itemsize) * max(1, self.columns)


def settings_file(folder: Path) -> Path:
    """What the rows are."""
    return folder / "settings.json"


def data_file(folder: Path) -> Path:
    """The rows, end to end."""
    return folder / "data.bin"


def index_file(folder: Path) -> Path:
    """Where each row lies."""
    return folder / "index.jsonl"


def sync_folder(folder: Path) -> None:
    """Make new names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_description(folder: Path, description: Description) -> None:
    """Write `settings.json` atomically."""
    text = json.dumps({"format": FORMAT, **asdict(description)}, indent=2, sort_keys=True) + "\n"
    new = folder / "settings.json.new"  # a fixed name: only the holder of the lock writes it
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, settings_file(folder))
    sync_folder(folder)


def read_description(folder: Path) -> Description:
    """Read `settings.json`. Raises CacheError when it is missing, damaged or of another format."""
    file = settings_file(folder)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.pop("format") != FORMAT:
            raise CacheError(f"{file}: another version of mirclr made this cache; {REMEDY}")
        return Description(str(np.dtype(found["dtype"])), int(found["columns"]), dict(found["settings"]))
    except FileNotFoundError:
        raise CacheError(f"{folder}: no cache here (settings.json is missing)") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CacheError(f"{file}: damaged ({error}); {REMEDY}") from error


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON gives them back (tuples become lists), so that written and wanted ones compare equal."""
    return dict(json.loads(json.dumps(dict(settings))))


def check_settings(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise CacheError naming every setting in which the store differs from what is wanted."""
    wanted = plain(wanted)
    keys = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
    if keys:
        listed = ", ".join(f"{k}: {found.get(k)!r} here, {wanted.get(k)!r} wanted" for k in keys)
        raise CacheError(f"{folder}: made with other settings ({listed}); choose another folder or delete this one")


def index_line(row_id: str, row: Row) -> bytes:
    """One line of the index: JSON whose last key is the CRC-32 of everything before it."""
    body = json.dumps(
        {"id": row_id, "offset": row.offset, "length": row.length, "spans": row.spans, "crc": row.crc},
        separators=(",", ":"),
    )[:-1].encode()
    return body + b',"check":"%08x"}\n' % zlib.crc32(body)


def parse_line(line: bytes) -> tuple[str, Row] | None:
    """The row of a line, or None when the line is torn or damaged."""
    body, _, check = line.rpartition(b',"check":"')
    if not body or check != b'%08x"}' % zlib.crc32(body):
        return None
    found = json.loads(line)
    spans = tuple(Span(*span) for span in found["spans"])
    return found["id"], Row(found["offset"], found["length"], spans, found["crc"])


def read_index(folder: Path) -> tuple[dict[str, Row], int]:
    """All rows, and how many bytes of the index are whole lines.

    A bad line is a torn tail only when nothing valid follows it and each row starts where the one before it ended;
    anything else is damage: raises CacheError.
    """
    file = index_file(folder)
    rows: dict[str, Row] = {}
    whole = end = 0
    lines = file.read_bytes().split(b"\n") if file.exists() else []
    for number, line in enumerate(lines, 1):
        parsed = parse_line(line)
        if parsed is None:
            if any(map(parse_line, lines[number:])):
                raise CacheError(f"{file}: line {number} is damaged; {REMEDY}")
            break
        row_id, row = parsed
        if row.offset != end or row_id in rows:
            raise CacheError(f"{file}: line {number} does not follow from the one before it; {REMEDY}")
        if number == len(lines):
            break  # complete but for its newline: torn by one byte
        rows[row_id] = row
        whole, end = whole + len(line) + 1, end + row.length
    return rows, whole


def end_of(rows: Mapping[str, Row]) -> int:
    """Steps of data the rows cover."""
    return max((row.offset + row.length for row in rows.values()), default=0)


def check_size(folder: Path, description: Description, rows: Mapping[str, Row]) -> None:
    """Raise CacheError when the data file is shorter than its rows: bytes that were safely written have gone."""
    file = data_file(folder)
    size = file.stat().st_size if file.exists() else 0
    needed = end_of(rows) * description.step_bytes
    if size < needed:
        raise CacheError(f"{file}: {size} bytes where the index names {needed}; {REMEDY}")
