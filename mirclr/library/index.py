"""Bringing a store up to date with folders: what is new, changed, moved, gone or back, and what could not be read.

Files whose size and time of change are known are not opened. Everything else goes through `audio.scan`, and only audio
the store has no vector for through the encoder. Work is stored every few tracks, so a killed run is continued by the
next one. See `docs/library.md` for the rules and their reasons.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.audio.scan import list_files, scan_files
from mirclr.errors import StoreError
from mirclr.features.embed import Embedded, embed_tracks
from mirclr.features.extractor import Extractor
from mirclr.features.measurer import Measurer, measure_tracks
from mirclr.features.measures import Measures
from mirclr.library.rows import Stamp, file_stamp
from mirclr.library.store import Library
from mirclr.library.track_tags import drop_stale_tags, put_tags, read_missing_tags
from mirclr.reports import Progress, Work

SCAN_BATCH = 256  # files between two starts of the scanner's processes
STORE_BATCH = 32  # tracks embedded between two transactions: what a kill can cost
KEPT_SEGMENTS = 8  # per track, evenly chosen: enough to find a moment in a song, 16 KB at 512 dimensions
OUT_OF_REACH = ("folder_unreadable", "unreadable")  # what may still be there: its tracks are not gone
HEARD_S = 120.0  # of a long file, as in training: half the decoding of an average song, and the same sections
NO_VECTOR, CHANGED = "no_vector", "changed_while_read"


@dataclass
class IndexResult:
    """How many tracks under the folders were `added` (or came back), `changed`, `moved`, `removed`, `unchanged`;
    `quarantine`: path, reason and detail of every file that could not be used."""

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    quarantine: list[dict[str, str]] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The five numbers by name."""
        return {name: getattr(self, name) for name in ("added", "changed", "moved", "removed", "unchanged")}


@dataclass
class _State:
    """What one run knows. Paths are bytes, as in the store."""

    library: Library
    extractor: Extractor
    measurer: Measurer
    workers: int | None
    known: dict[bytes, Stamp]
    embedded: set[str]
    ignored: dict[bytes, tuple[int, int]]
    gone: set[bytes] = field(default_factory=set)  # live in the store, not on disk, not yet found elsewhere
    gone_by_id: dict[str, list[bytes]] = field(default_factory=dict)
    result: IndexResult = field(default_factory=IndexResult)
    embed_done: int = 0
    total: int = 0


def index_folder(
    library: Library,
    folders: Path | Sequence[Path],
    extractor: Extractor,
    *,
    workers: int | None = None,
    prune: bool = False,
) -> Work[IndexResult]:
    """Make `library` say what lies under `folders` now; tracks elsewhere are left as they are.

    Tracks that are gone are taken out of every answer, and deleted for good with `prune`. Raises StoreError, removing
    nothing, when more than half the tracks of a folder are gone without `prune`: a disk that is not mounted looks like
    that. Raises whatever `audio.scan` raises for a folder that does not exist.
    """
    roots = [Path(os.path.abspath(folder)) for folder in ([folders] if isinstance(folders, Path) else folders)]
    files, unseen = list_files(roots)
    measurer = Measurer(extractor.sample_rate)
    state = _State(library, extractor, measurer, workers, library.stamps(), library.embedded(), library.ignored())
    fresh = _compare(state, roots, [path for path in files if path not in library.files], unseen)
    if not prune:
        _refuse_a_wipe(state, roots, spared=len(fresh))
    yield from _take_in(state, fresh)
    yield from _measure(state, roots)
    yield from _read_tags(state, roots)
    if not prune:
        _refuse_a_wipe(state, roots)
    _finish(state, roots, prune)
    return state.result


def _compare(state: _State, roots: Sequence[Path], files: Sequence[Path], unseen: pd.DataFrame) -> list[Path]:
    """The files that must be opened; notes on the way what is unchanged, back, or gone."""
    fresh, back, seen, pictures = [], [], set(), set()
    for path in files:
        name = os.fsencode(path)
        seen.add(name)
        now, stamp = file_stamp(path), state.known.get(name)
        if now is not None and now == state.ignored.get(name):
            pictures.add(name)
            continue
        if stamp is None or now != (stamp.size, stamp.mtime_ns):
            fresh.append(path)
        elif stamp.missing:
            back.append(name)
        else:
            state.result.unchanged += 1
    hidden = [os.fsencode(path) for path in unseen.loc[unseen["reason"].isin(OUT_OF_REACH), "path"]]
    here, below = _inside(roots), _inside(hidden)
    state.gone = {
        name
        for name, stamp in state.known.items()
        if not stamp.missing
        and name not in seen
        and name.startswith(here)
        and not (name in hidden or name.startswith(below))
    }
    _come_back(state, back)
    with state.library.batch():
        state.library.release(name for name in state.ignored if name not in pictures and name.startswith(here))
        _quarantine(state, _records(unseen))
    state.gone_by_id = _by_id(state)
    state.total = len(fresh)
    return fresh


def _by_id(state: _State) -> dict[str, list[bytes]]:
    """Content hash to the paths it is gone from, in this run or an earlier one: where a move may have begun."""
    out: dict[str, list[bytes]] = defaultdict(list)
    for name in sorted(state.known, reverse=True):
        if name in state.gone or state.known[name].missing:
            out[state.known[name].id].append(name)
    return out


def _come_back(state: _State, names: list[bytes]) -> None:
    """Tracks an earlier run missed are on disk again, unchanged."""
    with state.library.batch():
        state.library.mark_missing(names, missing=False)
    for name in names:
        state.known[name] = state.known[name]._replace(missing=False)
    state.result.added += len(names)


def _refuse_a_wipe(state: _State, roots: Sequence[Path], spared: int = 0) -> None:
    """Raises StoreError when more than half the tracks of a root are gone; `spared` of them may turn up as moved."""
    if not state.gone:
        return
    for root in roots:
        here = _inside([root])
        live = [name for name, stamp in state.known.items() if not stamp.missing and name.startswith(here)]
        gone = sum(name in state.gone for name in live)
        if gone - spared > len(live) / 2:
            raise StoreError(
                f"{root}: {gone} of the {len(live)} tracks {state.library.path} has from here are gone. Is a disk not "
                "mounted? Nothing was removed; if they are gone for good, say --prune"
            )


def _take_in(state: _State, fresh: Sequence[Path]) -> Work[None]:
    """Scan, embed and store the files that must be opened, some at a time."""
    for start in range(0, len(fresh), SCAN_BATCH):
        part = fresh[start : start + SCAN_BATCH]
        found = yield from _counted(scan_files(part, workers=state.workers, further=True), "scan", start, len(fresh))
        with state.library.batch():
            _reject(state, _records(found.quarantine))
            _ignore(
                state, {*part} - {Path(path) for table in (found.tracks, found.quarantine) for path in table["path"]}
            )
        for tracks in _batches(found.tracks):
            yield from _store(state, tracks)
        state.embed_done = start + len(part)
        yield Progress("embed", state.embed_done, state.total)


def _store(state: _State, tracks: pd.DataFrame) -> Work[None]:
    """One transaction: vectors for the audio that has none, then the rows."""
    new = tracks[~tracks["audio_id"].isin(state.embedded)].drop_duplicates("audio_id")
    done = yield from _counted(
        embed_tracks(state.extractor, new, state.workers, HEARD_S, measurer=state.measurer),
        "embed", state.embed_done, state.total,
    )  # fmt: skip
    state.embed_done += len(tracks)
    bad = {row["path"]: row for row in [*_records(done.quarantine), *_without_vector(done)]}
    failed = {row["audio_id"]: bad[row["path"]] for row in _records(new) if row["path"] in bad}
    with state.library.batch():
        _put_vectors(state, done, failed)
        for row in _records(tracks):
            _put_track(state, row, failed)


def _put_vectors(state: _State, done: Embedded, failed: dict[str, dict[str, str]]) -> None:
    for place, audio_id in enumerate(done.tracks["audio_id"]):
        if audio_id not in failed:
            segments, starts = _thinned(done.segments[place], done.starts[place])
            state.library.put_vectors(audio_id, done.vectors[place], segments, starts)
            _put_measures(state, audio_id, done.measures[place])
            state.embedded.add(audio_id)


def _put_measures(state: _State, audio_id: str, measures: Measures | None) -> None:
    if measures is not None:
        state.library.put_measures(audio_id, measures, state.measurer.fingerprint)


def _measure(state: _State, roots: Sequence[Path]) -> Work[None]:
    """Hear again what has vectors and no measures: a store of an older mirclr, or measures defined anew since."""
    left = state.library.unmeasured(state.measurer.fingerprint)
    here = _inside(roots)
    wanted = [name.startswith(here) and name not in state.gone for name in map(os.fsencode, left["path"])]
    left, done = left[np.array(wanted, bool)], 0
    for tracks in _batches(left):
        found = yield from _counted(
            measure_tracks(state.measurer, tracks, state.workers, HEARD_S), "measure", done, len(left)
        )
        done += len(tracks)
        with state.library.batch():
            _quarantine(state, found.quarantine)
            for audio_id, measures in zip(tracks["audio_id"], found.measures, strict=True):
                _put_measures(state, audio_id, measures)


def _read_tags(state: _State, roots: Sequence[Path]) -> Work[None]:
    """Read what an older mirclr did not read of the files, and no sound."""
    here = _inside(roots)
    wanted = lambda name: name.startswith(here) and name not in state.gone  # noqa: E731
    bad = yield from read_missing_tags(state.library, wanted, state.workers)
    with state.library.batch():
        _quarantine(state, bad)


def _put_track(state: _State, row: dict[str, Any], failed: dict[str, dict[str, str]]) -> None:
    """Store one row and count it, or set it aside when its audio gave no vector or the file is another by now."""
    name = os.fsencode(row["path"])
    if row["audio_id"] in failed:
        return _reject(state, [{**failed[row["audio_id"]], "path": row["path"]}])
    if file_stamp(row["path"]) != (row["size"], row["mtime_ns"]):
        return _reject(state, [{"path": row["path"], "reason": CHANGED, "detail": "it changed meanwhile; index again"}])
    before = state.gone_by_id.get(row["id"], [])
    if name in state.known and not state.known[name].missing:
        state.result.changed += 1
    elif before and before[-1] != name:
        old = before.pop()
        state.library.forget([old])
        state.gone.discard(old)
        state.result.moved += 1
    else:
        state.result.added += 1
    # Which of several copies a scan calls the duplicate depends on what it saw; the store knows copies by audio_id.
    flags = ",".join(flag for flag in row["flags"].split(",") if flag != "duplicate")
    state.library.put_track({**row, "flags": flags})
    if "further_tags" in row:
        put_tags(state.library, row["id"], row["further_tags"])
    return None


def _quarantine(state: _State, rows: list[dict[str, Any]]) -> None:
    state.library.put_quarantine(rows)
    state.result.quarantine += rows


def _reject(state: _State, rows: list[dict[str, Any]]) -> None:
    """Into the quarantine, and out of the tracks: what the store knew of these paths is no longer true."""
    _quarantine(state, rows)
    state.library.forget([os.fsencode(row["path"]) for row in rows])


def _finish(state: _State, roots: Sequence[Path], prune: bool) -> None:
    """Take out what is gone, and clear the quarantine of files that are well again or no longer there."""
    here = _inside(roots)
    still = {os.fsencode(row["path"]) for row in state.result.quarantine}
    listed = [os.fsencode(path) for path in state.library.quarantine()["path"]]
    with state.library.batch():
        state.library.release([name for name in listed if name.startswith(here) and name not in still])
        state.library.mark_missing(state.gone)
        if prune:
            state.library.prune()
        drop_stale_tags(state.library)
    state.result.removed = len(state.gone)


def _without_vector(done: Embedded) -> Iterator[dict[str, str]]:
    """Quarantine rows for audio the encoder turned into NaN or infinity."""
    for path, vector, segments in zip(done.tracks["path"], done.vectors, done.segments, strict=True):
        if not (np.isfinite(vector).all() and np.isfinite(segments).all()):
            yield {"path": path, "reason": NO_VECTOR, "detail": "the encoder gave no finite vector for it"}


def _thinned(segments: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `KEPT_SEGMENTS` of `(S, D)` segments and `(S,)` starts, evenly spread, first and last among them."""
    kept = np.unique(np.linspace(0, len(starts) - 1, KEPT_SEGMENTS).round().astype(int))
    return segments[kept], starts[kept]


def _ignore(state: _State, files: set[Path]) -> None:
    """Remember files that are no audio; one that was audio before is no track any more."""
    stamps = [(os.fsencode(path), *stamp) for path in files if (stamp := file_stamp(path))]
    state.library.put_ignored(stamps)
    state.library.forget([name for name, _, _ in stamps])


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _batches(tracks: pd.DataFrame) -> Iterator[pd.DataFrame]:
    return (tracks.iloc[start : start + STORE_BATCH] for start in range(0, len(tracks), STORE_BATCH))


def _counted(work: Work[Any], stage: str, done: int, total: int) -> Work[Any]:
    """`work` with its progress as part of a longer stage."""
    while True:
        try:
            report = next(work)
        except StopIteration as stop:
            return stop.value
        yield Progress(stage, min(done + report.done, total), total, report.note)


def _inside(folders: Sequence[Path | bytes]) -> tuple[bytes, ...]:
    """What the names of files under `folders` begin with."""
    return tuple(os.path.join(os.fsencode(folder), b"") for folder in folders)
