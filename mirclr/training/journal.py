"""metrics.jsonl: one JSON object a line, a line per step and a line per report. What was written after the last
checkpoint is cut off on resume, so that an interrupted run leaves the same file as an uninterrupted one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from mirclr.files import write_atomic


def _parsed(line: str) -> dict[str, Any] | None:
    """A whole line; None for one that a killed process left torn."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Every whole row; none when there is no file."""
    if not path.is_file():
        return []
    rows = (_parsed(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [row for row in rows if row is not None]


class Journal:
    """Appends rows to metrics.jsonl; each is flushed, so that a crash costs at most the line being written."""

    def __init__(self, path: Path | None, keep_to_step: int) -> None:
        """Open `path`, keeping the rows of steps up to `keep_to_step` (0: start anew); None keeps rows in memory only,
        for the processes of a run that do not write."""
        kept = (
            [row for row in read_journal(path) if row.get("step", 0) <= keep_to_step] if keep_to_step and path else []
        )
        self.rows = kept
        self._file: TextIO | None = None
        if path is not None:
            write_atomic(path, "".join(json.dumps(row) + "\n" for row in kept))
            self._file = path.open("a", encoding="utf-8")

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one row; floats are written so that they read back bit for bit."""
        self.rows.append(dict(row))
        if self._file is not None:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def losses_since(self, step: int) -> list[float]:
        """Losses of the steps after `step`."""
        return [row["loss"] for row in self.rows if row["kind"] == "step" and row["step"] > step]

    def reports(self) -> list[dict[str, Any]]:
        """The report rows so far."""
        return [row for row in self.rows if row["kind"] == "epoch"]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
