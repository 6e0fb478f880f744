"""What embeddings are coloured by: tags of the files themselves, or columns of a table that lists them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirclr.audio.sniff import sniff
from mirclr.audio.tags import FIELDS, Tags, read_tags
from mirclr.config import nearest
from mirclr.datasets.sheet import read_sheet
from mirclr.errors import AudioError, UsageError
from mirclr.plots.embeddings import MOST_VALUES

PATH = "path"


@dataclass(frozen=True)
class Tagged:
    """`values`: per tag `(N,)` as `mirclr.plots.embeddings.Tags` wants them; `unread`: path, reason, detail of tracks
    whose tags nobody could read (they are unknown)."""

    values: dict[str, np.ndarray]
    unread: tuple[dict[str, str], ...] = ()


def tags_from_files(paths: Sequence[str], names: Sequence[str]) -> Tagged:
    """The tags `names` of audio files. Raises UsageError on an unknown name, or a tag that no file has."""
    for name in names:
        if name not in FIELDS:
            raise UsageError(f"no tag {name!r} in files ({', '.join(FIELDS)}).{nearest(name, FIELDS)}")
    unread: list[dict[str, str]] = []
    found = [_tags(path, unread) for path in paths]
    cells = {name: [_text(getattr(tags, name)) for tags in found] for name in names}
    return Tagged({name: _values(name, each, "the files") for name, each in cells.items()}, tuple(unread))


def _tags(path: str, unread: list[dict[str, str]]) -> Tags:
    """The tags of a file; all unknown, and a line in `unread`, where it is not there or no sound."""
    try:
        sniffed = sniff(path)
    except AudioError as error:
        unread.append({"path": path, "reason": error.reason, "detail": error.detail})
        return Tags()
    except OSError as error:
        unread.append({"path": path, "reason": "unreadable", "detail": error.strerror or str(error)})
        return Tags()
    return read_tags(Path(path), sniffed.container, sniffed.codec) if sniffed.container else Tags()


def _text(value: object) -> str:
    return "" if value is None else str(value)


def tags_from_table(paths: Sequence[str], names: Sequence[str], table: Path) -> Tagged:
    """The columns `names` of `table`, whose column `path` (relative to the table, or absolute) lists the tracks.

    Raises DatasetError on a missing column, UsageError when it lists none of the tracks.
    """
    sheet = read_sheet(table)
    places = [os.path.abspath(table.parent / name) for name in sheet.paths(PATH)]
    row = {place: index for index, place in enumerate(places)}
    rows = [row.get(os.path.abspath(path)) for path in paths]
    if all(index is None for index in rows):
        raise UsageError(f"{table}: lists none of the {len(paths)} tracks; its paths are relative to its own folder")
    columns = {name: sheet.column(name) for name in names}
    cells = {name: ["" if i is None else column[i] for i in rows] for name, column in columns.items()}
    return Tagged({name: _values(name, each, str(table)) for name, each in cells.items()})


def _values(name: str, cells: Sequence[str], where: str) -> np.ndarray:
    """`(N,)` numbers where all known cells are, and too many to be names; else words, None for unknown."""
    known = [cell for cell in cells if cell]
    if not known:
        raise UsageError(f"no track has a {name!r} in {where}; colour by another tag")
    if len(set(known)) > MOST_VALUES and all(_number(cell) is not None for cell in known):
        return np.array([np.nan if not cell else _number(cell) for cell in cells], float)
    return np.array([cell or None for cell in cells], object)


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
