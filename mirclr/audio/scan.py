"""`scan`: a folder becomes a track table and a quarantine table. Nothing is skipped in silence.

>>> found = finish(scan(Path("~/Music").expanduser()))
>>> found.tracks, found.quarantine, found.ignored
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mirclr.audio.processes import Lost, cores, in_processes
from mirclr.audio.track import read_track
from mirclr.audio.walk import list_rows
from mirclr.errors import AudioError
from mirclr.reports import Progress, Work

_NUMBERS = {"sample_rate": "int64", "channels": "int64", "duration": "float64", "size": "int64", "mtime_ns": "int64"}
_MAYBE_NUMBERS = {"year": "Int64", "track": "Int64"}
TRACK_COLUMNS = (
    *("id", "path", "container", "codec", "sample_rate", "channels", "duration"),
    *("artist", "album", "title", "genre", "year", "track", "size", "mtime_ns", "audio_id", "flags"),
)
QUARANTINE_COLUMNS = ("path", "reason", "detail")


@dataclass(frozen=True)
class ScanResult:
    """`tracks`: one row a good file, sorted by path, columns TRACK_COLUMNS (text columns hold str or None).
    `quarantine`: path, reason (a code of `mirclr.audio.reasons`), detail. `ignored`: how many files are no audio."""

    tracks: pd.DataFrame
    quarantine: pd.DataFrame
    ignored: int


def scan(folder: Path | Sequence[Path], *, clip_seconds: float = 4.0, workers: int | None = None) -> Work[ScanResult]:
    """Look at everything under `folder` (one or several, or single files), whatever its name says.

    Tracks shorter than `clip_seconds` are flagged `short`. `workers` processes (None: one a core) of one thread each; a
    codec that crashes or hangs loses its file (`undecodable`) and nothing else. The result does not depend on
    `workers`. Raises UsageError where a folder does not exist.
    """
    yield Progress("look", 0, None)
    files, rows = list_rows([folder] if isinstance(folder, Path) else folder)
    found = yield from scan_files(files, clip_seconds=clip_seconds, workers=workers)
    unread = [_bad(*row) for row in found.quarantine.itertuples(index=False)]
    return ScanResult(found.tracks, quarantine_table([*rows, *unread]), found.ignored)


def list_files(roots: Path | Sequence[Path]) -> tuple[list[Path], pd.DataFrame]:
    """All files under `roots`, unopened, sorted; and the quarantine table of what could not be listed.

    Raises UsageError where a root does not exist.
    """
    files, rows = list_rows([roots] if isinstance(roots, Path) else roots)
    return files, quarantine_table(rows)


def scan_files(
    paths: Sequence[Path], *, clip_seconds: float = 4.0, workers: int | None = None, further: bool = False
) -> Work[ScanResult]:
    """`scan` of exactly these files. `duplicate` is judged among them: the first by path is the original.

    `further`: the track table has one more column, `further_tags` (see `mirclr.audio.further_tags`).
    """
    read = partial(read_track, clip_seconds=clip_seconds, further=further)
    tracks: list[dict[str, Any]] = []
    bad: list[dict[str, str]] = []
    ignored = 0
    yield Progress("scan", 0, len(paths))
    for done, (path, outcome) in enumerate(in_processes(read, paths, workers or cores()), 1):
        if isinstance(outcome, Lost):
            bad.append(_bad(path, "undecodable", f"the decoder was lost: {outcome.why}"))
        elif isinstance(outcome, AudioError):
            bad.append(_bad(path, outcome.reason, outcome.detail))
        elif outcome is None:
            ignored += 1
        else:
            tracks.append(outcome)
        yield Progress("scan", done, len(paths), path.name)
    return ScanResult(track_table(tracks, further), quarantine_table(bad), ignored)


def _bad(path: Path, reason: str, detail: str) -> dict[str, str]:
    return {"path": str(path), "reason": reason, "detail": detail}


def track_table(rows: Sequence[dict[str, Any]], further: bool = False) -> pd.DataFrame:
    """Rows of `read_track` as the track table: sorted by path, twins of an earlier row flagged `duplicate`."""
    rows = [dict(row) for row in sorted(rows, key=lambda row: os.fsencode(row["path"]))]
    heard: set[str] = set()
    for row in rows:
        if row["audio_id"] in heard:
            row["flags"] = ",".join(filter(None, [row["flags"], "duplicate"]))
        heard.add(row["audio_id"])
    # Objects, because pandas would turn None in a text column into NaN, which is true.
    columns = [*TRACK_COLUMNS, *(["further_tags"] if further else [])]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    return table.astype({**_NUMBERS, **_MAYBE_NUMBERS})


def quarantine_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows of path, reason, detail as a table sorted by path, one line of detail each."""
    rows = sorted(rows, key=lambda row: os.fsencode(row["path"]))
    lines = [{**row, "detail": " ".join(str(row["detail"]).split())} for row in rows]
    return pd.DataFrame(lines, columns=list(QUARANTINE_COLUMNS), dtype=object)
