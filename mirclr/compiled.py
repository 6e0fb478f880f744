"""librosa, of which one process at a time compiles what it compiles when it is first imported.

Its universal functions (`numba.guvectorize` with a cache) come in two files, the function and what calls it by name,
and the name counts what the process compiled before. Two processes that import librosa for the first time together, one
having compiled something else first, leave one file of each: whoever calls such a function crashes, and goes on
crashing until the cache is deleted (numba's issue 10128; eight of eight tries with librosa 0.11 and numba 0.68).
"""

from __future__ import annotations

import fcntl
import importlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

AT_IMPORT = ("librosa.util.utils", "librosa.core.audio", "librosa.core.pitch")  # every one compiles when imported


@cache
def librosa(*further: str) -> Any:
    """The package; `further` names modules of it that compile at import as well: `librosa.beat` is the only one.

    Waits while another of this user's processes is here. Raises ModuleNotFoundError where there is no such module.
    """
    with _one_process():
        for module in (*AT_IMPORT, *further):
            importlib.import_module(module)
        return importlib.import_module("librosa")


@contextmanager
def _one_process() -> Iterator[None]:
    """A lock that goes with the process, however that ends.

    It lies where all of a user's processes look, whichever cache each was given; a file of that name which is somebody
    else's, or a link, is not opened, and nothing is locked.
    """
    path = Path(tempfile.gettempdir(), f"mirclr-compiles-{os.getuid()}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # no folder that can be written: nor can the cache there, most likely
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
