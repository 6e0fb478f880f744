"""Codecs in C write warnings straight to file descriptor 2 (mpg123: one per damaged frame); here they fall silent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_codecs() -> Iterator[None]:
    """Nothing written to stderr inside is seen, by anyone in this process: for worker processes, not for threads.

    What went wrong still arrives as an exception.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
