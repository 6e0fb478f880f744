"""The formats in which annotations are published: one reader each, from a file to a sheet of text cells.

A reader takes the file and the columns that somebody will ask for (a table of fifty columns and 100,000 rows need not
be kept whole), and raises DatasetError naming file and line. A further format is one function and a line in `READERS`.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mirclr.datasets.sheet import Sheet, checked_columns, read_lines, read_sheet, text_of
from mirclr.errors import DatasetError

JOINED = "\t"
"""Between several values in one cell: `separator` for a multilabel table read from such a format."""


def _delimited(path: Path, wanted: Collection[str]) -> Sheet:
    """Comma, tab or semicolon, one header line (`mirclr.datasets.sheet.read_sheet`)."""
    return read_sheet(path)


def _ragged(path: Path, wanted: Collection[str]) -> Sheet:
    """Tab-separated; the last column of the header is the first of any number of cells, joined by tabs here.

    MTG-Jamendo: `TRACK_ID ARTIST_ID ALBUM_ID PATH DURATION TAGS`, then a tag a cell, lines ended by CRLF.
    """
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text_of(path).split("\n"), 1) if line.strip()]
    if len(lines) < 2:
        raise DatasetError(f"{path}: no rows under a header line")
    columns = checked_columns(path, lines[0][1].split("\t"))
    wide = len(columns) - 1
    cells = [line.split("\t") for _, line in lines[1:]]
    rows = tuple((*row[:wide], JOINED.join(filter(None, row[wide:]))) for row in cells)
    sheet = Sheet(path, columns, rows, tuple(number for number, _ in lines[1:]))
    sheet.refuse([len(row) <= wide for row in cells], f"too short a row: the header has {len(columns)} columns")
    return sheet


def _two_row_header(path: Path, wanted: Collection[str]) -> Sheet:
    """A pandas table with two header rows, columns named `upper.lower` (FMA's tracks.csv: `set.split`); the index,
    named in a third row, is a column of that name. Only wanted columns are kept: the file has 250 MB."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            return _under_two_rows(path, csv.reader(file, strict=True), wanted)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error


def _under_two_rows(path: Path, reader: Any, wanted: Collection[str]) -> Sheet:
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    try:
        upper, lower, index = [*itertools.islice(reader, 3), [], [], []][:3]
        names = (index[0] if index else "", *(f"{a}.{b}" for a, b in zip(upper[1:], lower[1:], strict=False)))
        if len(names) < 2 or len(upper) != len(lower) or not names[0] or any(index[1:]):
            raise DatasetError(f"{path}: not two header rows and a row that names the index")
        columns = checked_columns(path, names)
        for name in wanted:
            Sheet(path, columns, (), ()).position(name)
        kept = [place for place, name in enumerate(columns) if name in wanted]
        for row in reader:
            if len(row) != len(columns):
                raise DatasetError(
                    f"{path}: line {reader.line_num}: {len(row)} cells, the header has {len(columns)} columns"
                )
            rows.append(tuple(row[place] for place in kept))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DatasetError(f"{path}: line {reader.line_num}: {error}") from error
    return Sheet(path, tuple(columns[place] for place in kept), tuple(rows), tuple(lines))


def _name_cells(path: Path) -> dict[str, str]:
    """What a file's name tells: `name`, `stem`, `suffix` and the `folder` it lies in."""
    return {"name": path.name, "stem": path.stem, "suffix": path.suffix, "folder": path.parent.name}


def _paths(path: Path, wanted: Collection[str]) -> Sheet:
    """A path a line; columns `path`, `name`, `stem`, `suffix` and `folder`, which is often the label (GTZAN)."""
    names = [os.path.normpath(line) for line in read_lines(path)]
    rows = tuple((name, *_name_cells(Path(name)).values()) for name in names)
    return Sheet(path, ("path", *_name_cells(path)), rows, tuple(range(1, len(rows) + 1)), unit="entry")


def _value(path: Path, wanted: Collection[str]) -> Sheet:
    """A file per track that holds its one value (`C minor`, `127.0`); columns `value`, `name`, `stem`, `folder`."""
    lines = [line.strip() for line in text_of(path).splitlines() if line.strip()]
    if len(lines) != 1:
        raise DatasetError(f"{path}: {len(lines)} lines, one value was expected")
    cells = {"value": lines[0], **_name_cells(path)}
    return Sheet(path, tuple(cells), (tuple(cells.values()),), (1,))


def _events(path: Path, wanted: Collection[str]) -> Sheet:
    """A file per track that holds its annotation, for tasks of frames; columns `file`, `name`, `stem`, `folder`."""
    cells = {"file": str(path), **_name_cells(path)}
    return Sheet(path, tuple(cells), (tuple(cells.values()),), (1,))


def _json_file(path: Path) -> Any:
    """The content of a JSON file, gzipped or not."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return json.loads(raw)
    except (OSError, EOFError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as JSON: {error}") from error


def _flat(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """('extra.artist', 'Ana') of nested objects; lists joined, null blank."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            many = value if isinstance(value, list) else [value]
            yield f"{before}{key}", JOINED.join("" if item is None else str(item) for item in many)


def _from_records(path: Path, records: list[dict[str, str]], unit: str) -> Sheet:
    """A sheet of records that need not have the same keys: what one lacks is blank."""
    columns = tuple(dict.fromkeys(key for record in records for key in record))
    rows = tuple(tuple(record.get(name, "") for name in columns) for record in records)
    return Sheet(path, columns, rows, tuple(range(1, len(rows) + 1)), unit=unit)


def _json(path: Path, wanted: Collection[str]) -> Sheet:
    """An object of records by id (NSynth) or a list of them; column `id` is the key or the place, a nested key is
    `outer.inner`."""
    found = _json_file(path)
    pairs = list(found.items()) if isinstance(found, Mapping) else []
    if isinstance(found, list):
        pairs = [(str(place), record) for place, record in enumerate(found, 1)]
    records = [{"id": key, **dict(_flat(record))} for key, record in pairs if isinstance(record, Mapping)]
    if not records or len(records) != len(pairs):
        raise DatasetError(f"{path}: neither an object of records by id nor a list of records")
    return _from_records(path, records, "record")


def _observations(annotation: Mapping[str, Any]) -> list[tuple[float, str]]:
    """(confidence, value) of an annotation's observations, which JAMS writes as a list or as columns."""
    data = annotation.get("data", [])
    if isinstance(data, Mapping):
        data = [dict(zip(data, cells, strict=True)) for cells in zip(*data.values(), strict=True)]
    return [(float(row.get("confidence") or 0.0), str(row.get("value"))) for row in data]


def _jams(path: Path, wanted: Collection[str]) -> Sheet:
    """A JAMS file per track (Humphrey et al., ISMIR 2014): a column per namespace with its most confident value, one
    called `NAMESPACE.all` with every value, and `title`, `artist`, `album`, `duration` of the file's metadata."""
    found = _json_file(path)
    try:
        about = found["file_metadata"]
        cells = {"title": about.get("title"), "artist": about.get("artist"), "album": about.get("release")}
        cells |= {"duration": about.get("duration"), **_name_cells(path)}
        for annotation in found["annotations"]:
            seen = _observations(annotation)
            if seen and annotation["namespace"] not in cells:
                cells[annotation["namespace"]] = max(seen, key=lambda pair: pair[0])[1]
                cells[f"{annotation['namespace']}.all"] = JOINED.join(value for _, value in seen)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DatasetError(f"{path}: not a JAMS file: {error!r}") from error
    return _from_records(path, [{key: "" if v is None else str(v) for key, v in cells.items()}], "record")


def _xml(path: Path, wanted: Collection[str]) -> Sheet:
    """Elements inside a label's element, a track each (Extended Ballroom): their attributes; `parent` is the label."""
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError) as error:
        raise DatasetError(f"{path}: cannot be read as XML: {error}") from error
    records = [{**track.attrib, "parent": label.tag} for label in root for track in label]
    if not records:
        raise DatasetError(f"{path}: no element inside an element of the root")
    return _from_records(path, records, "element")


Reader = Callable[[Path, Collection[str]], Sheet]
READERS: dict[str, Reader] = {
    "delimited": _delimited,
    "ragged": _ragged,
    "two-row-header": _two_row_header,
    "paths": _paths,
    "value": _value,
    "events": _events,
    "json": _json,
    "jams": _jams,
    "xml": _xml,
}
