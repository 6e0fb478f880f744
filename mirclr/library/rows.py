"""What a store is made of, as Python has it, and values as SQLite takes them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

FLOAT = np.dtype("<f4")
NUMBERS = {
    "size": "int64",
    "mtime_ns": "int64",
    "duration": "float64",
    "year": "Int64",
    "track": "Int64",
    "tempo": "float64",
    "energy": "float64",
}


@dataclass(frozen=True)
class Binding:
    """The encoder a store belongs to: `fingerprint` and `dim` decide, the rest is for people."""

    name: str
    fingerprint: str
    dim: int
    sample_rate: int
    folder: Path | None
    created: str


class Stamp(NamedTuple):
    """What the store knows of a path without opening the file."""

    size: int
    mtime_ns: int
    id: str
    missing: bool


@dataclass(frozen=True)
class Contents:
    """A consistent copy of a library in memory.

    `tracks`: the contract's table, one row per path in path order, plus `row`, the index into `vectors`, and `tempo`,
    `key` and `energy` as `mirclr.features.measures` has them (NaN, None and NaN where not measured).
    `vectors`: (U, D) float32, one per distinct audio, ordered by the first path that holds it. `state`: what the store
    said it was then (None: it is too old to say).
    """

    tracks: pd.DataFrame
    vectors: np.ndarray
    state: str | None = None


def texts(paths: Iterable[bytes]) -> pd.Series:
    """Paths as str. Explicitly objects: pandas' own strings may be Arrow's, which cannot hold undecodable bytes."""
    return pd.Series([os.fsdecode(path) for path in paths], dtype=object)


def blob(values: np.ndarray) -> bytes:
    """Little-endian float32."""
    return np.ascontiguousarray(values, FLOAT).tobytes()


def cell(value: Any) -> Any:
    """A table cell as SQLite takes it: NaN and NA become NULL, numpy numbers plain ones, text valid Unicode."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def file_stamp(path: Path | str) -> tuple[int, int] | None:
    """Size and time of change as the store keeps them; None when the file is gone or out of reach."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
