"""Labels as numbers: text cells to a vocabulary and an array, with every bad row named."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mirclr.audio.annotations import read_annotation
from mirclr.audio.synth_theory import KEYS
from mirclr.config import nearest
from mirclr.datasets.listing import Listing
from mirclr.datasets.tasks import TEMPI, Task, key_of, learned
from mirclr.errors import DatasetError
from mirclr.events.grid import occurring
from mirclr.events.kinds import OUTPUTS
from mirclr.units import printable

# How spreadsheets, R, databases and pandas write "nothing here"; a vocabulary may still declare such a word a label.
NO_LABEL = frozenset({"", "nan", "na", "n/a", "null", "<na>"})
LARGEST = float(np.finfo(np.float32).max)
TRUTH = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0}


def _number(cell: str) -> float:
    """The finite number a cell holds, else NaN. A decimal comma is not guessed."""
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if abs(value) <= LARGEST else math.nan


def _vocabulary(listing: Listing, names: Sequence[Sequence[str]], declared: Sequence[str] | None) -> tuple[str, ...]:
    """The labels in order. Raises DatasetError for blank labels, labels outside `declared`, fewer than two."""
    allowed = set(declared or ())
    blank = [not row or any(n.casefold() in NO_LABEL and n not in allowed for n in row) for row in names]
    listing.refuse(blank, "no label")
    found = sorted({name for row in names for name in row})
    unknown = [name for name in found if declared is not None and name not in allowed]
    if unknown and declared is not None:
        hint = nearest(unknown[0], declared)
        listing.refuse([unknown[0] in row for row in names], f"label {unknown[0]!r} is not in the vocabulary.{hint}")
    labels = tuple(declared or found)
    if len(labels) < 2:
        raise DatasetError(
            f"{listing.source}: only one label, {printable(labels[0])!r}: there is nothing to tell apart"
        )
    return labels


def _refuse_quantity(listing: Listing) -> None:
    """A column of fractions read as names would make every value its own class."""
    values = [_number(cell) for cell in listing.cells[:, 0]]
    if all(math.isfinite(v) for v in values) and any(v != round(v) for v in values):
        raise DatasetError(
            f"{listing.source}: the labels are quantities ({listing.cells[0, 0]}, ...), not names; declare the "
            "collection in a datasets.yaml with task: regression"
        )


def _multiclass(listing: Listing, declared: Sequence[str] | None) -> tuple[tuple[str, ...], np.ndarray]:
    labels = _vocabulary(listing, listing.cells.tolist(), declared)
    if declared is None:
        _refuse_quantity(listing)
    position = {label: index for index, label in enumerate(labels)}
    return labels, np.array([position[cell] for cell in listing.cells[:, 0]], np.int64)


def _joined(listing: Listing, separator: str, declared: Sequence[str] | None) -> tuple[tuple[str, ...], np.ndarray]:
    """One cell of labels joined by `separator`."""
    names = [[part.strip() for part in cell.split(separator) if part.strip()] for cell in listing.cells[:, 0]]
    labels = _vocabulary(listing, names, declared)
    return labels, np.array([[label in row for label in labels] for row in names], np.float32)


def _columns(listing: Listing, columns: Sequence[str], task: Task) -> tuple[tuple[str, ...], np.ndarray]:
    """One column per label: 0 or 1 for multilabel, any finite number for regression."""
    values = np.empty(listing.cells.shape, np.float32)
    wanted = "0 or 1" if task == "multilabel" else "a finite number"
    for place, name in enumerate(columns):
        cells = listing.cells[:, place]
        numbers = [TRUTH.get(c.casefold(), math.nan) if task == "multilabel" else _number(c) for c in cells]
        listing.refuse(np.isnan(numbers), f"column {name!r}: not {wanted}")
        values[:, place] = numbers
    return tuple(columns), values


def _keys(listing: Listing) -> tuple[tuple[str, ...], np.ndarray]:
    """One column of keys, however spelled."""
    found = [key_of(cell) for cell in listing.cells[:, 0]]
    wanted = "not a key such as 'Eb minor'; list it under known_bad, or leave it out, where it has no single key"
    listing.refuse([key is None for key in found], wanted)
    position = {key: index for index, key in enumerate(KEYS)}
    return KEYS, np.array([position[key] for key in found if key is not None], np.int64)


def _tempi(listing: Listing, column: str) -> tuple[tuple[str, ...], np.ndarray]:
    """One column of beats per minute, as logarithms."""
    numbers = np.array([_number(cell) for cell in listing.cells[:, 0]])
    listing.refuse(~((numbers >= TEMPI[0]) & (numbers <= TEMPI[1])), "not {:g} to {:g} beats per minute".format(*TEMPI))
    return (column,), np.log2(numbers).astype(np.float32)[:, None]


def read_annotated(
    listing: Listing, root: Path, task: Task
) -> tuple[tuple[str, ...], np.ndarray, tuple[Mapping[str, np.ndarray], ...]]:
    """(outputs, float32 `(N, K)` which of them occur in each track, the annotations of all): for tasks of frames, whose
    one column names a file for each track, inside `root` and relative to it or whole.

    Raises DatasetError on files that lead elsewhere, are missing, or hold something else.
    """
    names = [os.path.normpath(root / cell.strip()) for cell in listing.cells[:, 0]]
    listing.refuse([not cell.strip() for cell in listing.cells[:, 0]], f"no file of {task}")
    inside = os.path.join(os.path.normpath(root), "")
    listing.refuse([not name.startswith(inside) for name in names], f"files of {task} have to lie below {root}")
    tables = [read_annotation(Path(name), task) for name in names]
    columns = tuple({str(name): table[name].to_numpy() for name in table} for table in tables)
    targets = np.stack([occurring(task, events) for events in columns])
    return OUTPUTS[task], targets, columns


def read_targets(
    listing: Listing, task: Task, columns: Sequence[str], separator: str | None, declared: Sequence[str] | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """(vocabulary, targets): int64 `(N,)` for multiclass, float32 0/1 `(N, K)` for multilabel, float32 `(N, K)` for
    regression. `declared` fixes the labels and their order; without it they are those found, sorted.

    Raises DatasetError naming the rows without a label, with an unknown one, or with something that is no number.
    """
    if task == "multiclass":
        return _multiclass(listing, declared)
    if task == "key":
        return _keys(listing)
    if task == "tempo":
        return _tempi(listing, columns[0] if columns else task)
    if separator is not None:
        return _joined(listing, separator, declared)
    return _columns(listing, columns, task)


def with_label(targets: np.ndarray, task: Task, count: int) -> np.ndarray:
    """`(K, N)` bool: which tracks have each of `count` labels; for regression every track has every target."""
    if learned(task) == "multiclass":
        return targets[None, :] == np.arange(count)[:, None]
    return np.ones((count, len(targets)), bool) if learned(task) == "regression" else targets.T > 0


def per_label(targets: np.ndarray, task: Task, count: int) -> np.ndarray:
    """`(K,)` int64 number of tracks with each of `count` labels (see `with_label`)."""
    return with_label(targets, task, count).sum(axis=1)
