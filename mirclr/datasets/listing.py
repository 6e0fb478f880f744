"""Which files a collection lists, with their labels as text, before the disk is asked; and the listing of a table.

A path never leaves the collection's root: `../` is refused, and an absolute path is taken only from a table that the
user named himself.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.datasets.registry import TableLayout
from mirclr.datasets.sheet import SHOWN, Sheet, lines_text, read_sheet
from mirclr.errors import DatasetError
from mirclr.units import printable


@dataclass(frozen=True)
class Listing:
    """`tracks`: one row a listed file, columns `id` (path relative to the root), `path` (absolute), `artist`, `album`,
    `title` (str or None). `cells` (N, C): the label texts. `lines` (N,): where each row stands in `source`, 0 for a
    folder. `columns`: the text of columns that a split may name. `notes`: what was passed over."""

    source: Path
    tracks: pd.DataFrame
    cells: np.ndarray
    lines: np.ndarray
    columns: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()

    def keep(self, wanted: np.ndarray) -> Listing:
        """The rows where the boolean `(N,)` `wanted` is true."""
        return replace(
            self,
            tracks=self.tracks[wanted].reset_index(drop=True),
            cells=self.cells[wanted],
            lines=self.lines[wanted],
            columns={name: cells[wanted] for name, cells in self.columns.items()},
        )

    def refuse(self, wrong: Sequence[bool] | np.ndarray, what: str) -> None:
        """Raises DatasetError naming `what` and the rows where `wrong` is true; nothing when none is."""
        rows = np.flatnonzero(np.asarray(wrong, bool))
        if not len(rows):
            return
        if self.lines[rows[0]]:
            raise DatasetError(f"{self.source}: {what} ({lines_text(self.lines[rows].tolist())})")
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


def list_table(layout: TableLayout, file: Path, root: Path, *, split_columns: Sequence[str], absolute: bool) -> Listing:
    """The rows of a table. `absolute` allows absolute paths.

    Raises DatasetError on missing columns, bad paths and a file listed twice, with line numbers.
    """
    sheet = read_sheet(file)
    paths = _located(sheet, sheet.paths(layout.path), root, absolute)
    duplicate = pd.Series(paths).duplicated(keep=False)
    sheet.refuse(duplicate.tolist(), "the same file is listed twice")
    tracks = track_frame(
        [relative_to(path, root) for path in paths],
        paths,
        artist=_texts(sheet, layout.artist),
        album=_texts(sheet, layout.album),
        title=_texts(sheet, layout.title),
    )
    cells = np.array([sheet.column(name) for name in layout.labels], dtype=object).T
    columns = {name: np.array(sheet.column(name), dtype=object) for name in split_columns}
    return Listing(file, tracks, cells, np.array(sheet.lines), columns)


def on_disk(path: str) -> str | None:
    """`path`, or the same name composed the other way (macOS stores é as two letters), if it is a file; else None."""
    forms = (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path))
    return next((form for form in forms if os.path.isfile(form)), None)
