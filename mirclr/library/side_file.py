"""Arrays computed from a store and kept beside it, so that a large library opens without computing them again.

A side file names the `state` of the store it was computed from and is of no use for any other. It is never trusted
blindly: its header, its length and the digest of everything but the mapped arrays have to fit, and whoever uses a
mapped array compares some of it with the store. Losing it costs time and nothing else, so what cannot be written (a
medium that is read-only, a full disk) is not kept, and what does not fit is made anew.

Layout: 8 bytes of magic, 8 bytes header length (little-endian), 16 bytes BLAKE2b digest of the header and the arrays
that are not mapped, the header (JSON: state, arrays with type, shape and offset), the arrays at multiples of 64 bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.files import replacing
from mirclr.library.rows import NUMBERS

MAGIC = b"mclrsid1"
START, ALIGN = 32, 64
TYPES = ("<f4", "<f8", "<i8", "|u1")


def write_side_file(path: Path, state: str, arrays: Mapping[str, np.ndarray], mapped: Iterable[str] = ()) -> None:
    """Keep `arrays` for a store in `state`; those in `mapped` are read without being looked at. Silent where it cannot
    be kept."""
    plan, offset = {}, 0
    for name, array in arrays.items():
        plan[name] = {"type": array.dtype.str, "shape": array.shape, "offset": offset, "mapped": name in set(mapped)}
        offset += -(-array.nbytes // ALIGN) * ALIGN
    header = json.dumps({"state": state, "arrays": plan}).encode()
    header += b" " * (-(START + len(header)) % ALIGN)
    digest = hashlib.blake2b(header, digest_size=16)
    for name, array in arrays.items():
        if not plan[name]["mapped"]:
            digest.update(np.ascontiguousarray(array).data)
    with contextlib.suppress(OSError), replacing(path) as file:
        file.write(MAGIC + len(header).to_bytes(8, "little") + digest.digest() + header)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
            file.write(b"\0" * (-array.nbytes % ALIGN))


def read_side_file(path: Path, state: str) -> dict[str, np.ndarray] | None:
    """The arrays, read-only and mapped from the file; None when there is none for this state, or it is damaged."""
    try:
        whole = np.memmap(path, np.uint8, "r")
        header, start = _header(whole)
        found = json.loads(header)
        if found["state"] != state:
            return None
        arrays = {name: _array(whole, start, about) for name, about in found["arrays"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    digest = hashlib.blake2b(header, digest_size=16)
    for name, array in arrays.items():
        if not found["arrays"][name]["mapped"]:
            digest.update(array.data)
    return arrays if digest.digest() == whole[16:START].tobytes() else None


def _header(whole: np.ndarray) -> tuple[bytes, int]:
    """The header and where the arrays begin. Raises ValueError when it is none."""
    length = int.from_bytes(whole[8:16].tobytes(), "little")
    if whole[:8].tobytes() != MAGIC or START + length > len(whole):
        raise ValueError("no side file")
    return whole[START : START + length].tobytes(), START + length


def _array(whole: np.ndarray, start: int, about: Mapping[str, Any]) -> np.ndarray:
    shape = tuple(int(size) for size in about["shape"])
    if about["type"] not in TYPES or min(shape, default=0) < 0 or int(about["offset"]) < 0:
        raise ValueError("not an array of ours")
    dtype, first = np.dtype(about["type"]), start + int(about["offset"])
    size = math.prod(shape) * dtype.itemsize
    if first + size > len(whole):
        raise ValueError("cut short")
    return np.asarray(whole[first : first + size]).view(dtype).reshape(shape)


def packed_table(tracks: pd.DataFrame) -> dict[str, np.ndarray]:
    """A track table as arrays: numbers as they are, everything else as JSON in bytes."""
    out = {}
    for name in tracks.columns:
        column = tracks[name]
        if column.dtype.name in ("int64", "float64"):
            out[f"tracks.{name}"] = column.to_numpy()
        else:
            values = column.astype(object).where(column.notna(), None).tolist()
            out[f"tracks.{name}"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    return out


def unpacked_table(arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """What `packed_table` packed. Raises ValueError when a column is not one."""
    out = {}
    for key, array in arrays.items():
        room, _, name = key.partition(".")
        if room == "tracks":
            kind = NUMBERS.get(name, "object")
            if array.dtype != np.uint8:
                out[name] = pd.Series(np.array(array))
            else:
                out[name] = pd.Series(json.loads(array.tobytes()), dtype=kind)
    return pd.DataFrame(out)
