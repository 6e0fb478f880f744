"""Writing files so that a reader, or a killed run, finds the old one or the new one and never half of either."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mirclr.errors import UsageError


def write_atomic(path: str | Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8, undecodable bytes as they were) to `path`: temporary file, fsync, rename.

    The folder must exist. Raises OSError as the file system does; then the old file is still there, whole.
    """
    with replacing(path) as file:
        file.write(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends well, and is gone when it does not."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(target.parent)


def check_folder(path: Path) -> None:
    """Raises UsageError when the folder that `path` would be written to does not exist."""
    if not (folder := path.absolute().parent).is_dir():
        raise UsageError(f"{path}: the folder {folder} does not exist")


def sync_folder(folder: str | Path) -> None:
    """Make a rename in `folder` survive a power cut; where folders cannot be opened (Windows) nothing can be done."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    """The process's umask; mkstemp ignores it and makes files only their owner can read."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
