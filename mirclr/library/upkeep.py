"""Looking after a store: what is in it, whether it is whole, and getting rid of what is not needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.library.connection import named
from mirclr.library.hubness import hubness
from mirclr.library.rows import FLOAT
from mirclr.library.search import Catalogue
from mirclr.library.store import SIDE_FILES, Library
from mirclr.reports import Progress, Work

Finding = dict[str, str]


def stats(library: Library) -> dict[str, Any]:
    """What a store holds, as one flat table for people and programs.

    `hub_skewness` is the skewness of the k-occurrence (see `mirclr.library.hubness`), `hub_skewness_corrected` with
    CSLS; of more than 2,000 tracks those of a draw. Raises StoreError when the library is empty.
    """
    catalogue, counts = Catalogue.load(library), _counts(library)
    tracks, bound = catalogue.tracks, library.binding
    plain, corrected = catalogue.hubness, hubness(catalogue.unit, correct=True)
    return {
        "encoder": bound.name,
        "values": bound.dim,
        **counts,
        "distinct_audio": len(tracks),
        "measured": int(tracks["energy"].notna().sum()),
        "artists": int(tracks["artist"].dropna().nunique()),
        "hours": round(float(tracks["duration"].sum()) / 3600, 2),
        "hub_skewness": round(plain.skewness, 3),
        "hub_skewness_corrected": round(corrected.skewness, 3),
        "most_often_near": plain.highest,
        "never_near": round(plain.never, 4),
        "bytes": _size(library),
    }


def verify(library: Library, files: bool = False) -> Work[list[Finding]]:
    """Everything that is wrong with a store, as rows of path, reason and detail; empty when it is whole.

    Reads all of it: the database's own structure, every vector and moment, and the packed copy beside it, value by
    value. `files`: also whether the tracks' files are there and as they were indexed (by size and time of change).
    """
    findings = [_finding(library.path, "database", line) for line in _damage(library)]
    yield Progress("verify", 1, 3, "database")
    findings += [_finding(library.path, reason, detail) for reason, detail in _broken_audio(library)]
    yield Progress("verify", 2, 3, "vectors")
    if not findings:
        findings += list(_packed_findings(library))
    yield Progress("verify", 3, 3, "packed copy")
    if files:
        findings += yield from _file_findings(library)
    return findings


def vacuum(library: Library) -> tuple[int, int]:
    """Give unused pages back to the disk and drop what is kept beside the store; bytes before and after."""
    before = _size(library)
    for ending in SIDE_FILES:
        library.path.with_name(library.path.name + ending).unlink(missing_ok=True)
    library.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    library.ask("VACUUM")
    library.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    return before, _size(library)


def purge(library: Library) -> dict[str, int]:
    """Delete what the last index run did not find any more, for good; how many `tracks` and distinct `audio` went."""
    before = _counts(library)["missing"], len(library.embedded())
    with library.batch():
        library.prune()
    return {"tracks": before[0], "audio": before[1] - len(library.embedded())}


def _counts(library: Library) -> dict[str, int]:
    """Rows by kind: `tracks` and `missing` ones, `quarantined` and `ignored` files."""
    tables = {
        "tracks": "tracks WHERE missing = 0",
        "missing": "tracks WHERE missing = 1",
        "quarantined": "quarantine",
        "ignored": "ignored",
    }
    return {name: int(library.ask(f"SELECT COUNT(*) FROM {table}")[0][0]) for name, table in tables.items()}


def _damage(library: Library) -> list[str]:
    """What SQLite finds wrong with the file."""
    return [line for (line,) in library.ask("PRAGMA integrity_check") if line != "ok"]


def _broken_audio(library: Library) -> Iterator[tuple[str, str]]:
    """Audio of a live track whose vectors are not there, not of their length, or no numbers; reason and detail."""
    wanted = {audio_id for (audio_id,) in library.ask("SELECT DISTINCT audio_id FROM tracks WHERE missing = 0")}
    width, seen = library.binding.dim * FLOAT.itemsize, set()
    for audio_id, vector, moments, starts in library.ask(
        "SELECT audio_id, CAST(vector AS BLOB), segments.vectors, starts "
        "FROM vectors LEFT JOIN segments USING (audio_id)"
    ):
        seen.add(audio_id)
        if len(vector) != width or not np.isfinite(np.frombuffer(vector, FLOAT)).all():
            yield "vector", f"audio {audio_id}: not a vector of {library.binding.dim} numbers; delete and index again"
        times = len(starts or b"") // FLOAT.itemsize
        if times == 0 or len(moments) != times * width or not np.isfinite(np.frombuffer(moments, FLOAT)).all():
            yield "moments", f"audio {audio_id}: moments do not fit their times; delete and index again"
    for audio_id in sorted(wanted - seen):
        yield "no_vector", f"audio {audio_id}: a track without a vector; delete and index again"


def _size(library: Library) -> int:
    return sum(place.stat().st_size for place in library.files if place.is_file())


def _finding(path: Path | str, reason: str, detail: str) -> Finding:
    return {"path": str(path), "reason": reason, "detail": detail}


def _packed_findings(library: Library) -> Iterator[Finding]:
    """Where the packed copy says something else than the store."""
    with named(library.path):
        contents = library.contents()
    if contents.tracks.empty:
        return
    packed = Catalogue.load(library)
    fresh = Catalogue.of(contents, library.path)
    same = packed.tracks.equals(fresh.tracks) and np.allclose(packed.unit, fresh.unit, atol=1e-5)
    if not same:
        place = library.path.with_name(library.path.name + SIDE_FILES[0])
        yield _finding(place, "packed_copy", "says something else than the store; delete it, it is made anew")


def _file_findings(library: Library) -> Work[list[Finding]]:
    found, stamps = [], {name: stamp for name, stamp in library.stamps().items() if not stamp.missing}
    for place, (name, stamp) in enumerate(sorted(stamps.items()), 1):
        try:
            now = os.stat(name)
        except OSError as error:
            found.append(_finding(os.fsdecode(name), "missing_file", error.strerror or "not there"))
        else:
            if (now.st_size, now.st_mtime_ns) != (stamp.size, stamp.mtime_ns):
                found.append(_finding(os.fsdecode(name), "changed_since", "index again"))
        if place % 1000 == 0 or place == len(stamps):
            yield Progress("files", place, len(stamps))
    return found
