"""Vectors on disk: .npz with arrays `path` (N,) and `vector` (N, D) float32, or a table as .csv or .parquet."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.errors import UsageError
from mirclr.files import write_atomic
from mirclr.units import printable


def _npz(paths: Sequence[str], vectors: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # A fixed-width text array: an array of objects would be a pickle.
    np.savez(buffer, path=np.array(list(paths), dtype=np.str_), vector=vectors.astype(np.float32))
    return buffer.getvalue()


def _table(paths: Sequence[str], vectors: np.ndarray) -> pd.DataFrame:
    columns = pd.DataFrame(vectors.astype(np.float32), columns=[f"v{k}" for k in range(vectors.shape[1])])
    columns.insert(0, "path", pd.Series([printable(p) for p in paths], dtype="object"))
    return columns


def _csv(paths: Sequence[str], vectors: np.ndarray) -> bytes:
    return _table(paths, vectors).to_csv(index=False, float_format="%.9g").encode()


def _parquet(paths: Sequence[str], vectors: np.ndarray) -> bytes:
    try:
        return bytes(_table(paths, vectors).to_parquet(index=False))
    except ImportError as error:
        raise UsageError(".parquet needs a package: pip install 'mirclr[tables]'; .npz and .csv need none") from error


_WRITERS: dict[str, Callable[[Sequence[str], np.ndarray], bytes]] = {".npz": _npz, ".csv": _csv, ".parquet": _parquet}


SUFFIXES = tuple(_WRITERS)


def check_suffix(path: Path) -> None:
    """Raises UsageError unless the name ends in .npz, .csv or .parquet; ask before hours of embedding."""
    if path.suffix.lower() not in _WRITERS:
        raise UsageError(f"{path}: write to a name that ends in {', '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder; make it first")


def write_vectors(path: Path, paths: Sequence[str], vectors: np.ndarray) -> None:
    """Write `paths` and their `(N, D)` vectors, atomically, in the format the name asks for."""
    check_suffix(path)
    write_atomic(path, _WRITERS[path.suffix.lower()](paths, vectors))


def read_vectors(path: Path) -> tuple[list[str], np.ndarray]:
    """`(N,)` paths and `(N, D)` float32 of a file as `write_vectors` makes it: any table with a column `path` (or `id`)
    whose other columns are numbers; in an .npz arrays `path` (or `id`) and `vector`.

    Raises UsageError, naming the file and what is wrong with it: missing, another shape, no numbers, a path twice.
    """
    try:
        paths, vectors = _read_npz(path) if path.suffix.lower() == ".npz" else _read_table(path)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(f"{path}: cannot be read as vectors: {error}") from error
    if vectors.ndim != 2 or len(paths) != len(vectors) or vectors.shape[1] < 1 or not len(paths):
        raise UsageError(f"{path}: {len(paths)} paths and values {vectors.shape}; (N,) and (N, D) are wanted")
    if not np.isfinite(vectors).all():
        raise UsageError(
            f"{path}: the row of {paths[int(np.flatnonzero(~np.isfinite(vectors).all(1))[0])]} has no number"
        )
    twice = pd.Series(paths)[pd.Series(paths).duplicated()]
    if len(twice):
        raise UsageError(f"{path}: {twice.iloc[0]} is given twice")
    return paths, vectors


def _read_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return [str(name) for name in arrays[_key(arrays)]], np.asarray(arrays["vector"], np.float32)


def _read_table(path: Path) -> tuple[list[str], np.ndarray]:
    check_suffix(path)
    table = pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    key = _key(table)
    return [str(name) for name in table[key]], table.drop(columns=key).to_numpy(np.float32)


def _key(names: Container[str]) -> str:
    """What tells whose a vector is."""
    return "id" if "id" in names and "path" not in names else "path"
