"""The draws of a report on disk, so that two reports can be compared as two rows of one report are: paired.

`draws.npz` holds arrays of numbers and text, never objects: nothing in it can run.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirclr.errors import UsageError
from mirclr.evaluation.judge import Judged, Measure
from mirclr.evaluation.rows import Kind
from mirclr.files import write_atomic

DRAWS_FILE = "draws.npz"
FORMAT = 1
AGAIN = "run `mirclr evaluate` again with this version"


@dataclass(frozen=True)
class StoredRow:
    """A row's kind, how many seeds it is the mean of, and its measures; without intervals and predictions."""

    kind: Kind
    seeds: int
    judged: Judged


@dataclass(frozen=True)
class Stored:
    """`terms`: on what was judged, by name, equal for reports that may be compared; `main`: the measure that decides;
    `ids` (N,) of the tracks with their artists' `groups` and their `targets`; `rows` by name."""

    terms: Mapping[str, str]
    main: str
    ids: Sequence[str]
    groups: np.ndarray
    targets: np.ndarray
    rows: Mapping[str, StoredRow]


def write_draws(stored: Stored, path: Path) -> None:
    """Write `stored` atomically; draws as float32, whose last digit is far below any interval's."""
    rows = stored.rows.values()
    keys = list(dict.fromkeys(key for row in rows for key in row.judged.draws))
    table = np.stack([[_draws(row.judged, key) for key in keys] for row in rows])
    values = np.array([[_value(row.judged, key) for key in keys] for row in rows])
    told = {"format": FORMAT, "terms": dict(stored.terms), "main": stored.main}
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        told=np.array(json.dumps(told)),
        measures=np.array(keys, np.str_),
        rows=np.array(list(stored.rows), np.str_),
        kinds=np.array([row.kind for row in rows], np.str_),
        seeds=np.array([row.seeds for row in rows]),
        values=values,
        draws=table.astype(np.float32),
        ids=np.array(list(stored.ids), np.str_),
        groups=stored.groups,
        targets=stored.targets,
    )
    write_atomic(path, buffer.getvalue())


def _draws(judged: Judged, key: str) -> np.ndarray:
    """`(B,)`; nan where this row has no such measure."""
    count = len(next(iter(judged.draws.values())))
    return judged.draws.get(key, np.full(count, np.nan))


def _value(judged: Judged, key: str) -> float:
    return judged.measures[key].value if key in judged.measures else np.nan


def read_draws(folder: Path) -> Stored:
    """The draws of the report in `folder`. Raises UsageError, naming the file, when they are missing or damaged."""
    path = folder / DRAWS_FILE if folder.is_dir() else folder
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give the folder that `mirclr evaluate -o` wrote, or {AGAIN}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        told = json.loads(str(found["told"]))
        if told["format"] != FORMAT:
            raise UsageError(f"{path}: format {told['format']}, this mirclr reads {FORMAT}; {AGAIN}")
        return Stored(
            {str(k): str(v) for k, v in told["terms"].items()},
            str(told["main"]),
            found["ids"].tolist(),
            found["groups"],
            found["targets"],
            _rows(found),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: damaged or no draws of a report ({error}); {AGAIN}") from error


def _rows(found: Mapping[str, np.ndarray]) -> dict[str, StoredRow]:
    """Every row with its measures; those it never had are left out."""
    keys = found["measures"].tolist()
    out: dict[str, StoredRow] = {}
    for place, name in enumerate(found["rows"].tolist()):
        values, draws = found["values"][place], found["draws"][place].astype(np.float64)
        known = [i for i, value in enumerate(values) if not np.isnan(value)]
        measures = {keys[i]: Measure(float(values[i]), np.nan, np.nan) for i in known}
        judged = Judged(measures, {keys[i]: draws[i] for i in known})
        out[name] = StoredRow(found["kinds"][place], int(found["seeds"][place]), judged)
    return out
