"""Columns made of columns: paths from templates, parts of a cell by a regular expression, a second file's columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from string import Formatter

from mirclr.datasets.sheet import Sheet


def _fields(template: str) -> list[tuple[str, str | None, str]]:
    """(text before, column or None, formats) of a template's parts. Raises ValueError on one that is malformed."""
    parts = []
    for text, name, spec, conversion in Formatter().parse(template):
        if name == "" or conversion:
            raise ValueError("write {column} or {column:format}")
        parts.append((text, name, spec or ""))
    return parts


def template_columns(path: str) -> list[str]:
    """The columns that a path names: itself, or those in its braces. Raises ValueError on a malformed template."""
    return [name for _, name, _ in _fields(path) if name is not None] if "{" in path else [path]


def filled(template: str, cells: Mapping[str, str]) -> str:
    """A template with its columns filled in, each through its formats from left to right.

    `{track_id:0>6|.3}/{track_id:0>6}.mp3` is `000/000002.mp3` for 2: padded to six, then the first three. A column's
    name is taken whole, so that `extra.mp3_path` is one.
    """
    out = []
    for text, name, spec in _fields(template):
        value = "" if name is None else cells[name]
        for step in spec.split("|") if spec else []:
            value = format(value, step)
        out.append(text + value)
    return "".join(out)


def path_cells(sheet: Sheet, path: str) -> list[str]:
    """The paths of a sheet's rows: a column to the letter, or a template filled in. Raises DatasetError on a column
    that is not there."""
    if "{" not in path:
        return sheet.paths(path)
    columns = {name: sheet.column(name) for name in template_columns(path)}
    return [filled(path, dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def with_pattern(sheet: Sheet, column: str, pattern: str) -> Sheet:
    """The sheet with the named groups of a regular expression as columns; a group that took no part is blank.

    Raises DatasetError naming the rows where the whole cell does not match.
    """
    found = [re.fullmatch(pattern, cell) for cell in sheet.paths(column)]
    sheet.refuse([match is None for match in found], f"column {column!r} is not of the form {pattern}")
    groups = [match.groupdict(default="") for match in found if match is not None]
    return sheet.with_columns({name: [row[name] for row in groups] for name in re.compile(pattern).groupindex})


def joined(sheet: Sheet, other: Sheet, key: str) -> Sheet:
    """The sheet with the columns of another file's row of the same `key`; columns of both stay the first's.

    Raises DatasetError naming rows without such a row, and keys that the other file has twice.
    """
    keys = other.column(key)
    first = {cell: row for row, cell in reversed(list(enumerate(keys)))}
    other.refuse([first[cell] != row for row, cell in enumerate(keys)], f"{key} is listed twice")
    rows = [first.get(cell) for cell in sheet.column(key)]
    sheet.refuse([row is None for row in rows], f"no such {key} in {other.path.name}")
    names = [name for name in other.columns if name not in sheet.columns]
    cells = {name: other.paths(name) for name in names}
    return sheet.with_columns({name: [cells[name][row] for row in rows if row is not None] for name in names})


def kept_rows(sheet: Sheet, keep: Mapping[str, Collection[str]]) -> Sheet:
    """The rows whose cells are among the values that `keep` names, column by column."""
    for column, values in keep.items():
        sheet = sheet.keep([cell in values for cell in sheet.column(column)])
    return sheet


def together(sheets: Sequence[Sheet], column: str, values: Sequence[str]) -> Sheet:
    """Several files' rows as one sheet, `column` saying which (`values`, one a sheet); a column that one file lacks is
    blank there. A single sheet without a value stays as it is."""
    if len(sheets) == 1 and not values[0]:
        return sheets[0]
    names = tuple(dict.fromkeys(name for sheet in sheets for name in sheet.columns))
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    files: list[Path] = []
    for sheet, value in zip(sheets, values, strict=True):
        place = {name: index for index, name in enumerate(sheet.columns)}
        order = [place.get(name, -1) for name in names]
        rows += [(*(row[at] if at >= 0 else "" for at in order), value) for row in sheet.rows]
        lines += sheet.lines
        files += [sheet.path] * len(sheet.rows)
    source = sheets[0].path if len(sheets) == 1 else sheets[0].path.parent
    several = tuple(files) if len(sheets) > 1 else ()
    return Sheet(source, (*names, column), tuple(rows), tuple(lines), several, sheets[0].unit)
