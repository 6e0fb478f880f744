"""Decode a collection once: mono int16 samples of every track in one memory-mapped store, so training meets no codec.

Rows are keyed by content (the track id) in a folder keyed by the settings. The store is therefore shared between
collections, incremental (only missing ids are decoded) and resumable: whatever was finished before a kill stays.
A second level holds what a transform makes of those samples, log-mel frames for example (`build_derived`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.audio.cache_rows import CacheSettings, Track, decode_row, to_float32
from mirclr.audio.processes import Lost, cores, in_processes
from mirclr.audio.store import RaggedStore, Span
from mirclr.audio.store_format import plain
from mirclr.audio.store_writer import StoreBusy, StoreWriter
from mirclr.errors import AudioError, CacheError
from mirclr.reports import Progress, Work
from mirclr.units import bytes_text

__all__ = ["CacheResult", "CacheSettings", "Estimate", "build", "build_derived", "default_folder", "estimate"]

_ROW_OVERHEAD = 512  # bytes of index a row, generously


@dataclass(frozen=True)
class Estimate:
    """What `build` would write: bytes needed and free on that disk, and how many ids are missing."""

    needed_bytes: int
    free_bytes: int
    missing: int


@dataclass(frozen=True)
class CacheResult:
    """`store` holds the good tracks (and those of other collections); `quarantine` has `path`, `reason`, `detail`."""

    store: RaggedStore
    quarantine: pd.DataFrame


def default_folder() -> Path:
    """Where caches live: $MIRCLR_CACHE, else $XDG_CACHE_HOME/mirclr, else ~/.cache/mirclr."""
    if own := os.environ.get("MIRCLR_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "mirclr"


def keyed_folder(folder: Path, kind: str, settings: Mapping[str, Any]) -> Path:
    """`folder/kind-xxxxxxxxxxxx`: one place per kind of rows and settings."""
    text = json.dumps(dict(settings), sort_keys=True)
    return Path(folder) / f"{kind}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


def samples_folder(folder: Path, settings: CacheSettings) -> Path:
    """Where `build` keeps the store of these settings."""
    return keyed_folder(folder, f"samples-{settings.sample_rate}", settings.described)


def estimate(tracks: pd.DataFrame, settings: CacheSettings, folder: str | Path) -> Estimate:
    """What building would cost, from the durations of the track table. Raises CacheError on a damaged store."""
    return _estimate(_missing(tracks, settings, Path(folder)), settings, Path(folder))


def _estimate(missing: list[Track], settings: CacheSettings, folder: Path) -> Estimate:
    limit = settings.max_seconds or float("inf")
    seconds = sum(min(track.duration, limit) for track in missing)
    needed = round(seconds * settings.sample_rate * 2) + _ROW_OVERHEAD * len(missing)
    return Estimate(needed, free_bytes(folder), len(missing))


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk `folder` is or will be on."""
    there = next(f for f in (folder, *folder.absolute().parents) if f.exists())
    return shutil.disk_usage(there).free


def _missing(tracks: pd.DataFrame, settings: CacheSettings, folder: Path) -> list[Track]:
    """Tracks without a row, each id once."""
    home = samples_folder(folder, settings)
    known = set(RaggedStore.open(home, settings.described).ids) if RaggedStore.exists(home) else set()
    first = tracks.drop_duplicates("id")
    columns = [c for c in ("id", "path", "duration", "size", "mtime_ns") if c in first]
    rows = zip(*(first[c] for c in columns), strict=True)
    return [Track(str(i), str(p), float(d), *map(int, stamp)) for i, p, d, *stamp in rows if i not in known]


def build(
    tracks: pd.DataFrame, folder: str | Path, settings: CacheSettings, workers: int | None = None
) -> Work[CacheResult]:
    """Decode what a track table (`id`, `path`, `duration`) misses, in `workers` processes (None: one a core).

    A file that fails is in the quarantine under every path it has, with the reason; the rest goes on. While another
    process fills the same store this one waits, and then decodes only what is still missing.

    Raises CacheError when the store is damaged or its disk is too small. Ctrl-C keeps what is done.
    """
    folder = Path(folder)
    home = samples_folder(folder, settings)
    failed: dict[str, AudioError] = {}
    if not RaggedStore.exists(home) or _missing(tracks, settings, folder):
        writer = yield from open_writer(partial(StoreWriter, home, "int16", settings.described, columns=0), "decode")
        with writer:
            missing = _missing(tracks, settings, folder)
            _check_space(_estimate(missing, settings, folder), folder)
            failed = yield from _decode_all(missing, settings, writer, workers or cores())
    return CacheResult(RaggedStore.open(home, settings.described), _quarantine(tracks, failed))


def open_writer(make: Callable[[], StoreWriter], stage: str) -> Work[StoreWriter]:
    """The writer, once no other process has it."""
    while True:
        try:
            return make()
        except StoreBusy as busy:
            yield Progress(stage, 0, None, f"waiting: {busy}")
            time.sleep(0.5)


def _check_space(cost: Estimate, folder: Path) -> None:
    """Raise CacheError when the rows would not fit."""
    if cost.needed_bytes > cost.free_bytes:
        raise CacheError(
            f"{folder}: {cost.missing} tracks need {bytes_text(cost.needed_bytes)} and {bytes_text(cost.free_bytes)} "
            "is free; keep less of each track (--max-seconds) or set MIRCLR_CACHE to a folder on another disk"
        )


def _decode_all(
    missing: list[Track], settings: CacheSettings, writer: StoreWriter, workers: int
) -> Work[dict[str, AudioError]]:
    """Decode and append; returns what failed by id."""
    failed: dict[str, AudioError] = {}
    began, seconds = time.monotonic(), 0.0
    work = in_processes(partial(decode_row, settings=settings), missing, workers)
    yield Progress("decode", 0, len(missing), "starting")
    with closing(work):
        for done, (track, result) in enumerate(work, 1):
            if isinstance(result, AudioError):
                failed[track.id] = result
            elif isinstance(result, Lost):
                failed[track.id] = AudioError(track.path, "undecodable", result.why)
            else:
                writer.add(track.id, *result)
                writer.commit_due()
                seconds += len(result[0]) / settings.sample_rate
            speed = seconds / (time.monotonic() - began)
            left_out = f", {len(failed)} left out" if failed else ""
            yield Progress("decode", done, len(missing), f"{speed:.0f}x real time{left_out}")
    return failed


def _quarantine(tracks: pd.DataFrame, failed: Mapping[str, AudioError]) -> pd.DataFrame:
    """One row for every path whose content failed."""
    rows = [
        {"path": str(path), "reason": failed[row_id].reason, "detail": failed[row_id].detail}
        for row_id, path in zip(tracks["id"], tracks["path"], strict=True)
        if row_id in failed
    ]
    return pd.DataFrame(rows, columns=["path", "reason", "detail"])


def build_derived(
    store: RaggedStore,
    ids: Iterable[str],
    folder: str | Path,
    settings: Mapping[str, Any],
    transform: Callable[[np.ndarray], np.ndarray],
    *,
    hop: int,
) -> Work[RaggedStore]:
    """A store of float16 rows `(N, F)`, made from the samples of `ids` by `transform`, span by span.

    `transform` takes `(T,)` float32 samples of one excerpt to `(N, F)` frames, frame k at sample `k * hop`; `settings`
    say all that shapes its result and, with the settings of `store`, name the folder. Like `build` it makes only what
    is missing, shares the store with other collections, and keeps what is done when it is stopped.

    Raises KeyError on an id that `store` lacks, ValueError on frames that float16 cannot hold (beyond 65,504),
    CacheError when a store is damaged or the disk too small.
    """
    described = plain({"rows": "frames", "of": store.settings, "hop": hop, **settings})
    home = keyed_folder(Path(folder), "frames", described)
    wanted = list(dict.fromkeys(ids))
    if not RaggedStore.exists(home) or RaggedStore.open(home, described).missing(wanted):
        writer = yield from open_writer(partial(StoreWriter, home, "float16", described), "frames")
        with writer:
            missing = writer.missing(wanted)
            left = sum(store.length(row_id) for row_id in missing)
            for done, row_id in enumerate(missing, 1):
                row, spans = _derived_row(store, row_id, transform, hop)
                if done == 1:  # the first row says how many bytes a sample becomes
                    needed = round(row.nbytes * left / store.length(row_id)) + _ROW_OVERHEAD * len(missing)
                    _check_space(Estimate(needed, free_bytes(Path(folder)), len(missing)), Path(folder))
                writer.add(row_id, row, spans)
                writer.commit_due()
                yield Progress("frames", done, len(missing))
    return RaggedStore.open(home, described)


def _derived_row(
    store: RaggedStore, row_id: str, transform: Callable[[np.ndarray], np.ndarray], hop: int
) -> tuple[np.ndarray, list[Span]]:
    """The frames of all spans of a row, end to end."""
    pieces: list[np.ndarray] = []
    spans: list[Span] = []
    end = 0
    for span in store.spans(row_id):
        frames = transform(to_float32(store.read(row_id, span.start, span.length)))
        if frames.ndim != 2 or not 0 <= (len(frames) - 1) * hop <= span.length:
            raise ValueError(f"row {row_id}: {span.length} samples became {frames.shape}, not frames {hop} apart")
        if not np.abs(frames).max() <= np.finfo(np.float16).max:
            raise ValueError(f"row {row_id}: the transform gave values that float16 cannot hold")
        pieces.append(frames.astype(np.float16))
        spans.append(Span(end, len(frames), span.source_start_s))
        end += len(frames)
    return np.concatenate(pieces), spans
