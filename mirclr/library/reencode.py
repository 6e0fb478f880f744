"""A new encoder for an old store: everything is heard again beside it, and the new store takes its place at once.

The old store answers until then. A run that was interrupted leaves `STORE-reencode`, which the next one goes on with.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mirclr.errors import StoreError
from mirclr.features.extractor import Extractor
from mirclr.files import sync_folder
from mirclr.library.index import IndexResult, index_folder
from mirclr.library.store import SIDE_FILES, Library
from mirclr.reports import Work


def reencode(
    store: Path, folders: Sequence[Path], extractor: Extractor, place: Path | None = None, *, workers: int | None = None
) -> Work[IndexResult]:
    """Replace `store` by an index of `folders` with `extractor`, whose files lie in `place`.

    Raises StoreError when the store has tracks outside the folders (they would be lost), when it is bound to this
    encoder already, and when another program holds it at the moment of the exchange; what was heard is then kept.
    """
    _refuse_a_loss(store, folders, extractor)
    beside = store.with_name(f"{store.name}-reencode")
    with Library.open_or_create(beside, extractor, place) as library:
        done = yield from index_folder(library, folders, extractor, workers=workers)
        library.ask("PRAGMA journal_mode = DELETE")  # folds the log in: the file alone is the store
    _exchange(beside, store)
    return done


def _refuse_a_loss(store: Path, folders: Sequence[Path], extractor: Extractor) -> None:
    here = tuple(os.path.join(os.fsencode(os.path.abspath(folder)), b"") for folder in folders)
    with Library.open(store) as library:
        if library.binding.fingerprint == extractor.fingerprint:
            raise StoreError(
                f"{store}: heard by this encoder already; mirclr index without --reencode brings it up to date"
            )
        away = [name for name, stamp in library.stamps().items() if not stamp.missing and not name.startswith(here)]
    if away:
        example = os.fsdecode(sorted(away)[0])
        raise StoreError(
            f"{store}: {len(away)} track(s) lie outside the folders that were given ({example}) and would be lost; "
            "give their folders too"
        )


def _exchange(new: Path, store: Path) -> None:
    """Put `new` in the place of `store`."""
    with Library.open_to_tend(store) as library:
        library.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    log = store.with_name(f"{store.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(f"{store}: another program is using it; close that and run again, {new} is ready")
    for ending in ("-wal", "-shm", *SIDE_FILES):
        store.with_name(store.name + ending).unlink(missing_ok=True)
    os.replace(new, store)
    sync_folder(store.parent)
