"""Appends rows to a store for ever; a test kills it. Each row's content follows from its number alone."""

from __future__ import annotations

import sys

import numpy as np

from mirclr.audio.store_writer import StoreWriter

SETTINGS = {"sample_rate": 8000}


def row_of(number: int) -> np.ndarray:
    """Row `number`: `(T,)` int16 with T between 1 and 50,000."""
    rng = np.random.default_rng(number)
    return rng.integers(-32768, 32768, int(rng.integers(1, 50_000)), dtype=np.int16)


def write_for_ever(folder: str) -> None:
    """Go on after the last whole row, committing after one to four rows."""
    with StoreWriter(folder, "int16", SETTINGS, columns=0) as writer:
        number = len(writer)
        print("writing", flush=True)
        while True:
            row = row_of(number)
            writer.add(str(number), row, [(0, len(row), 0.0)])
            number += 1
            if number % (1 + number % 4) == 0:
                writer.commit()


if __name__ == "__main__":
    write_for_ever(sys.argv[1])
