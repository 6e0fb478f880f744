"""Vectors on disk: .npz with arrays `path` (N,) and `vector` (N, D) float32, or a table as .csv or .parquet."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
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
