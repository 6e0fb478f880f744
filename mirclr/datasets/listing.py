"""Which files a collection lists, with their labels as text, before the disk is asked; and the listing of a table.

A path never leaves the collection's root: `../` is refused, and an absolute path is taken only from a table that the
user named himself.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.datasets.columns import joined, kept_rows, path_cells, together, with_pattern
from mirclr.datasets.formats import READERS
from mirclr.datasets.layouts import PART, TableFile, TableLayout
from mirclr.datasets.sheet import SHOWN, Sheet, rows_text
from mirclr.errors import DatasetError
from mirclr.units import printable


@dataclass(frozen=True)
class Listing:
    """`tracks`: one row a listed file, columns `id` (path relative to the root), `path` (absolute), `artist`, `album`,
    `title` (str or None). `cells` (N, C): the label texts. `lines` (N,): where each row stands in `source`, 0 for a
    folder; or in one of `files`, one a row. `columns`: the text of columns that a split may name. `notes`: what was
    passed over. `unlabelled`: ids of the rows that say that they have no label; they are not among the tracks."""

    source: Path
    tracks: pd.DataFrame
    cells: np.ndarray
    lines: np.ndarray
    columns: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    unit: str = "line"
    unlabelled: tuple[str, ...] = ()

    def keep(self, wanted: np.ndarray) -> Listing:
        """The rows where the boolean `(N,)` `wanted` is true."""
        return replace(
            self,
            tracks=self.tracks[wanted].reset_index(drop=True),
            cells=self.cells[wanted],
            lines=self.lines[wanted],
            columns={name: cells[wanted] for name, cells in self.columns.items()},
            files=tuple(file for file, kept in zip(self.files, wanted, strict=True) if kept) if self.files else (),
        )

    def refuse(self, wrong: Sequence[bool] | np.ndarray, what: str) -> None:
        """Raises DatasetError naming `what` and the rows where `wrong` is true; nothing when none is."""
        rows = np.flatnonzero(np.asarray(wrong, bool))
        if not len(rows):
            return
        if self.lines[rows[0]]:
            raise DatasetError(rows_text(rows.tolist(), what, self.source, self.lines.tolist(), self.files, self.unit))
        names = ", ".join(printable(name) for name in self.tracks["id"].iloc[rows[:SHOWN]])
        raise DatasetError(f"{self.source}: {what} ({len(rows)} files: {names}{', ...' if len(rows) > SHOWN else ''})")


def _texts(sheet: Sheet, column: str | None) -> list[str | None]:
    """Cells of an optional column; blank ones are None."""
    return [None] * len(sheet.rows) if column is None else [cell or None for cell in sheet.column(column)]


def track_frame(ids: Sequence[str], paths: Sequence[str], **texts: Sequence[str | None]) -> pd.DataFrame:
    """The columns of `Listing.tracks`; objects, so that None stays None and odd bytes in names survive."""
    columns = {"id": list(ids), "path": list(paths), **{name: list(cells) for name, cells in texts.items()}}
    return pd.DataFrame(columns, dtype=object)


def _located(sheet: Sheet, names: Sequence[str], root: Path, absolute_allowed: bool) -> list[str]:
    """Absolute paths of table cells. Raises DatasetError for blank, escaping and unwanted absolute ones."""
    sheet.refuse([not name.strip() for name in names], "no path")
    if not absolute_allowed:
        sheet.refuse([os.path.isabs(name) for name in names], f"paths have to be relative to {root}")
    normal = [os.path.normpath(name) for name in names]
    sheet.refuse([name.split(os.sep)[0] == os.pardir for name in normal], f"paths lead out of {root}")
    return [os.path.join(root, name) for name in normal]


def relative_to(path: str, root: Path) -> str:
    """The name of a track: its path below the root, or the whole path of a file elsewhere."""
    inside = path.startswith(os.path.join(root, ""))
    return os.path.relpath(path, root) if inside else path


def read_table(layout: TableLayout, files: Sequence[TableFile], other: Path | None, columns: Sequence[str]) -> Sheet:
    """The rows of a layout's `files` that it keeps, with the columns it makes and those of the joined file `other`.

    `columns`: what a split will ask for. Raises DatasetError on files that cannot be read and rows that do not fit.
    """
    if not files:
        raise DatasetError("a table needs at least one file")
    joining = (
        None if layout.join is None or other is None else (layout.join.column, READERS[layout.join.format](other, ()))
    )
    elsewhere = layout.columns_made() | (set(joining[1].columns) - {joining[0]} if joining else set())
    wanted = {*layout.columns_read(), *columns} - elsewhere
    sheet = together([READERS[layout.format](file, wanted) for _, file in files], PART, [part for part, _ in files])
    if joining is not None:
        sheet = joined(sheet, joining[1], joining[0])
    for column, pattern in layout.patterns.items():
        sheet = with_pattern(sheet, column, pattern)
    kept = kept_rows(sheet, layout.keep)
    if not kept.rows:
        raise DatasetError(f"{sheet.path}: no row belongs to this collection")
    return kept


def _renamed(cell: str, names: Mapping[str, str], separator: str | None) -> str:
    """A label cell with its labels as they are called here."""
    if separator is None:
        return names.get(cell, cell)
    return separator.join(names.get(name.strip(), name) for name in cell.split(separator))


def _label_cells(layout: TableLayout, sheet: Sheet) -> tuple[np.ndarray, np.ndarray]:
    """(label texts `(N, C)`, bool `(N,)` which rows have a label at all)."""
    cells = np.array([sheet.column(name) for name in layout.labels], dtype=object).T
    labelled = np.array([not any(cell in layout.no_label for cell in row) for row in cells], bool)
    if layout.rename:
        renamed = [[_renamed(cell, layout.rename, layout.separator) for cell in row] for row in cells]
        cells = np.array(renamed, dtype=object)
    return cells, labelled


def list_table(
    layout: TableLayout,
    files: Sequence[TableFile],
    root: Path,
    *,
    split_columns: Sequence[str],
    other: Path | None = None,
) -> Listing:
    """The rows of a table in `files`, (part, file) each; `other` is the file of `layout.join`.

    Raises DatasetError on missing columns, bad paths and a file listed twice, with file and line numbers.
    """
    sheet = read_table(layout, files, other, split_columns)
    paths = _located(sheet, path_cells(sheet, layout.path), root, layout.outside)
    duplicate = pd.Series(paths).duplicated(keep=False)
    sheet.refuse(duplicate.to_numpy(), "the same file is listed twice")
    tracks = track_frame(
        [relative_to(path, root) for path in paths],
        paths,
        artist=_texts(sheet, layout.artist),
        album=_texts(sheet, layout.album),
        title=_texts(sheet, layout.title),
    )
    cells, labelled = _label_cells(layout, sheet)
    columns = {name: np.array(sheet.column(name), dtype=object) for name in split_columns}
    listing = Listing(sheet.path, tracks, cells, np.array(sheet.lines), columns, (), sheet.files, sheet.unit)
    return with_label(listing, labelled, layout.no_label)


def with_label(listing: Listing, labelled: np.ndarray, no_label: Sequence[str]) -> Listing:
    """The rows where `labelled` `(N,)` is true, and a note on the others, whose cells are one of `no_label`.

    Raises DatasetError when there is none.
    """
    if labelled.all():
        return listing
    if not labelled.any():
        raise DatasetError(f"{listing.source}: every row says that it has no label ({', '.join(map(repr, no_label))})")
    without = f"{(~labelled).sum()} row(s) without a label ({', '.join(map(repr, no_label))}) are left out"
    ids = tuple(listing.tracks["id"][~labelled])
    return replace(listing.keep(labelled), notes=(*listing.notes, without), unlabelled=ids)


def on_disk(path: str, suffixes: Sequence[str] = ()) -> str | None:
    """`path`, or the same name composed the other way (macOS stores é as two letters), or with another of `suffixes`,
    if it is a file; else None."""
    if os.path.isfile(path):
        return path
    names = [path, *(os.path.splitext(path)[0] + suffix for suffix in suffixes)]
    forms = (form for name in names for form in (name, *(unicodedata.normalize(how, name) for how in ("NFC", "NFD"))))
    return next((form for form in forms if os.path.isfile(form)), None)
