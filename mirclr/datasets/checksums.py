"""Are the annotation files those that were published? SHA-256 of a file, or of all that a pattern names.

For a pattern it is what `LC_ALL=C sha256sum PATTERN | sha256sum` prints in the collection's folder: the digest of a
line `DIGEST  NAME` per file, in the order of the names' bytes.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path

from mirclr.units import printable


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def checksum(root: Path, name: str) -> str | None:
    """64 hex digits for a file below `root` or for a pattern with *; None where there is no such file.

    Raises OSError where one cannot be read.
    """
    names = sorted(glob.glob(name, root_dir=root), key=os.fsencode)
    if "*" not in name:
        return _of_file(root / name) if names else None
    lines = "".join(f"{_of_file(root / found)}  {found}\n" for found in names)
    return sha256(lines.encode("utf-8", "surrogateescape")).hexdigest() if names else None


def different(root: Path, declared: Mapping[str, str]) -> Iterator[str]:
    """A sentence for every annotation file that is not the declared one. What is not there at all is no difference:
    whoever needs it has already said so, and of five published splits one may be enough."""
    for name, digest in declared.items():
        try:
            found = checksum(root, name)
        except OSError as error:
            yield f"{printable(root / name)}: cannot be read: {error.strerror or error}"
            continue
        if found not in (None, digest):
            yield f"{printable(root / name)}: not the published annotation (SHA-256 {found}, declared {digest})"
