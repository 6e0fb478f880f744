"""The manifest of a cleaned collection: every file, whether it is kept, and why not.

`mirclr data clean` writes it. It is taken wherever a folder of music is (then it means the files it keeps), and by a
labelled collection whose declaration names it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirclr.errors import UsageError
from mirclr.files import write_atomic

COLUMNS = ("path", "keep", "reason", "detail")
HEADER = ",".join(COLUMNS)


@dataclass(frozen=True)
class Verdict:
    """Whether the file at the absolute `path` is kept; if not, the `reason`, a code, and a `detail` for people."""

    path: str
    keep: bool
    reason: str = ""
    detail: str = ""


def is_manifest(path: str | os.PathLike[str]) -> bool:
    """Whether a file is named .csv and begins with a manifest's header. Raises OSError where it cannot be read."""
    name = os.fspath(path)
    if not name.casefold().endswith(".csv"):
        return False
    with open(name, "rb") as file:
        return file.readline(200).rstrip(b"\r\n") == HEADER.encode()


def write_manifest(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write a manifest, replaced whole or not at all. Raises OSError."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((row.path, int(row.keep), row.reason, row.detail) for row in verdicts)
    write_atomic(path, text.getvalue())


def read_manifest(path: Path) -> list[Verdict]:
    """The verdicts of a manifest, in its order. Raises UsageError naming the line that is none."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    out = []
    try:
        if next(reader, None) != list(COLUMNS):
            raise UsageError(f"{path}: not a manifest, which begins with {HEADER}")
        for row in reader:
            if len(row) != len(COLUMNS) or row[1] not in ("0", "1") or not os.path.isabs(row[0]):
                raise UsageError(
                    f"{path}: line {reader.line_num}: not an absolute path, keep (0 or 1), reason and detail"
                )
            out.append(Verdict(row[0], row[1] == "1", row[2], row[3]))
    except csv.Error as error:
        raise UsageError(f"{path}: line {reader.line_num}: {error}") from error
    return out
