"""What is written about tracks: the fields of their tags, and descriptions of the user's own in a table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mirclr.config import nearest
from mirclr.datasets.sheet import Sheet, read_sheet
from mirclr.datasets.sources import ARTIST_COLUMNS, LABEL_COLUMNS, PATH_COLUMNS
from mirclr.errors import DatasetError

TAGS = ("artist", "title", "album", "genre", "year")
FIELDS = (*TAGS, "text")
"""The fields of a text: the tags, and descriptions of the user's own."""

# Column names recognised in a table, whatever their case; the first that is there is taken.
COLUMNS: dict[str, tuple[str, ...]] = {
    "path": PATH_COLUMNS,
    "artist": ARTIST_COLUMNS[:2],  # an artist's number says nothing to anybody
    "title": ("title",),
    "album": ("album",),
    "genre": ("genre", *(name for name in LABEL_COLUMNS if name != "genre")),
    "year": ("year", "date"),
    "text": ("text", "description", "tags"),
}

Fields = dict[str, tuple[str, ...]]
"""A track's texts by field; several of one field are different ways to say it."""


def tag_fields(tags: Mapping[str, Any]) -> Fields:
    """The fields of one row of a track table; a year is '1997 1990s', so that decades are words too."""
    out: Fields = {}
    for name in TAGS:
        value = tags.get(name)
        text = _year(value) if name == "year" else value if isinstance(value, str) else ""
        if text.strip():
            out[name] = (text.strip(),)
    return out


def _year(value: Any) -> str:
    """'1997 1990s' of 1997, '1997' and '1997-05-01'; nothing of anything else."""
    digits = str(value)[:4]
    return f"{digits} {digits[:3]}0s" if digits.isdecimal() and len(digits) == 4 else ""


def merged_fields(parts: Iterable[Fields]) -> Fields:
    """The texts of all parts, field by field, each once."""
    out: Fields = {}
    for part in parts:
        for name, texts in part.items():
            out[name] = tuple(dict.fromkeys((*out.get(name, ()), *texts)))
    return out


def read_texts(path: Path) -> dict[str, Fields]:
    """Every file that a table with the columns `path` and any of `COLUMNS` writes about, and what it writes.

    Keys are real paths; a relative path is seen from the table's folder. A file may have several rows: they are several
    ways to describe it. Raises DatasetError on a table that cannot be read, has no such column, or no text at all.
    """
    sheet = read_sheet(path)
    columns = _columns(sheet)
    cells = {name: sheet.column(column) for name, column in columns.items() if name != "path"}
    out: dict[str, Fields] = {}
    for row, name in enumerate(sheet.paths(columns["path"])):
        place = os.path.realpath(os.path.join(path.parent, name))
        said = {field: texts[row] for field, texts in cells.items()}
        fields = tag_fields(said) | ({"text": (said["text"],)} if said.get("text") else {})
        out[place] = merged_fields([out.get(place, {}), fields])
    if not any(out.values()):
        raise DatasetError(f"{path}: no row has a text; write some into {', '.join(columns[name] for name in cells)}")
    return out


def _columns(sheet: Sheet) -> dict[str, str]:
    """The columns of a table by what they hold."""
    by_name = {column.casefold(): column for column in reversed(sheet.columns)}
    found = {what: next((by_name[n] for n in names if n in by_name), None) for what, names in COLUMNS.items()}
    known = {what: column for what, column in found.items() if column is not None}
    if "path" not in known or len(known) < 2:
        wanted = "path" if "path" not in known else "text"
        close = nearest(wanted, sheet.columns)
        raise DatasetError(
            f"{sheet.path}: needs a column path and one of {', '.join(FIELDS)}; columns found: "
            f"{', '.join(sheet.columns)}.{close if close.startswith(' Did') else ''}"
        )
    return known
