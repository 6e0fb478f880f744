"""Music on paper: text files that a fake scanner and decoder read in microseconds, for tests of the index's rules.

A file is `artist|sound`: the sound is what is heard (its decoded audio), the artist a tag. `!reason` is a bad file,
`!` a picture.
The real scanner and decoder are met in `test_index_real.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.audio.scan import ScanResult
from mirclr.errors import AudioError
from mirclr.features import hearing
from mirclr.library import index
from mirclr.reports import Progress, Work
from tests.support.library import track_row

COLUMNS = list(track_row("/x"))


def write(path: Path, sound: str, artist: str = "A") -> None:
    """Make or change a file; the change is always seen, whatever the clock's resolution."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(sound if sound.startswith("!") else f"{artist}|{sound}")
    now = max(path.stat().st_mtime_ns, before + 1)
    os.utime(path, ns=(now, now))


class Scanner:
    """Stands in for `list_files`, `scan_files` and `decode`; `opened` are the files that were scanned."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.unreadable: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put it where the index looks."""
        patch.setattr(index, "list_files", self.list_files)
        patch.setattr(index, "scan_files", self.scan_files)
        patch.setattr(hearing, "decode", decode)

    def list_files(self, roots: Sequence[Path]) -> tuple[list[Path], pd.DataFrame]:
        """Every file below `roots`, but nothing below an unreadable folder."""
        files = sorted({Path(top, name) for root in roots for top, _, names in os.walk(root) for name in names})
        shut = tuple(f"{folder}/" for folder in self.unreadable)
        bad = [{"path": folder, "reason": "folder_unreadable", "detail": "no entry"} for folder in self.unreadable]
        return [f for f in files if not str(f).startswith(shut)], pd.DataFrame(
            bad, columns=["path", "reason", "detail"]
        )

    def scan_files(
        self, paths: Sequence[Path], *, workers: int | None = None, further: bool = False
    ) -> Work[ScanResult]:
        """Rows for good files, reasons for bad ones."""
        self.opened += [str(path) for path in paths]
        rows, bad, ignored = [], [], 0
        for place, path in enumerate(paths):
            text = path.read_text()
            if text == "!":
                ignored += 1
            elif text.startswith("!"):
                bad.append({"path": str(path), "reason": text[1:], "detail": "bad"})
            else:
                rows.append(_row(path, *text.split("|")) | self.tags_of(text.split("|")[0]))
            yield Progress("scan", place + 1, len(paths))
        return ScanResult(
            pd.DataFrame(rows, columns=[*COLUMNS, "further_tags"]),
            pd.DataFrame(bad, columns=["path", "reason", "detail"]),
            ignored,
        )

    @staticmethod
    def tags_of(artist: str) -> dict[str, dict[str, list[str]]]:
        """The column of all tags: the artist, twice."""
        return {"further_tags": {"artist": [artist], "composer": [artist, "Trad."]}}


def _row(path: Path, artist: str, sound: str) -> dict[str, object]:
    found = path.stat()
    digest = hashlib.blake2b(f"{artist}|{sound}".encode(), digest_size=16).hexdigest()
    row = track_row(str(path), audio=sound, artist=artist, size=found.st_size, mtime_ns=found.st_mtime_ns)
    return row | {"id": digest, "duration": 60.0}


def decode(path: str, sample_rate: int) -> np.ndarray:
    """Noise that depends on the sound alone; the sound `deaf` cannot be decoded and `nan` is not a number."""
    sound = Path(path).read_text().split("|")[1]
    if sound == "deaf":
        raise AudioError(path, "undecodable", "deaf")
    seed = int.from_bytes(hashlib.blake2b(sound.encode(), digest_size=4).digest(), "big")
    samples = np.random.default_rng(seed).normal(size=sample_rate * 2).astype(np.float32)
    return samples * np.nan if sound == "nan" else samples
