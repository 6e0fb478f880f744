"""Opening the store's file, and SQLite's errors in words that name the file and say what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from mirclr.errors import StoreError

BUSY_S = 60.0  # how long a writer waits for another writer's batch
REMAKE = "Delete it and index again"


@contextmanager
def named(path: Path) -> Iterator[None]:
    """SQLite's errors as StoreError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path}: {error}. Is the disk full or read-only, or another program writing?") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: not a library store, or a damaged one ({error}). {REMAKE}") from error


def connect(path: Path, mode: Literal["ro", "rwc"]) -> sqlite3.Connection:
    """A connection that begins and ends transactions only when told; `ro` cannot write, `rwc` makes a missing file."""
    # A store on a read-only medium has no log to share and nobody to share it with: read it as it lies.
    frozen = "&immutable=1" if mode == "ro" and not os.access(path.parent, os.W_OK) else ""
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}{frozen}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
