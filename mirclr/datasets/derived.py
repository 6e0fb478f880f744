"""A collection made from another: its declaration with other splits or a manifest, as a datasets.yaml of its own.

What `mirclr data split` and `mirclr data clean` write is read with `--datasets FOLDER/datasets.yaml`; the entry there
has the collection's name, so every later command finds it in place of the first.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mirclr.audio.manifest import Verdict, write_manifest
from mirclr.datasets.collection import Collection
from mirclr.datasets.registry import FILE_NAME, VERSION
from mirclr.datasets.sources import Source
from mirclr.datasets.splits import Split
from mirclr.errors import UsageError
from mirclr.files import write_atomic

SPLIT_FILE, MANIFEST_FILE = "split.csv", "manifest.csv"
TWIN = "near_duplicate"
MISSING = "missing_file"
FLAGGED = ("silent", "clipped", "dc_offset", "short", "duplicate", TWIN)
"""What a file may be dropped for besides being missing or no sound: the flags of a scan, and sounding like another."""
DROPPED = ("silent", "short", "duplicate", TWIN)
"""What it is dropped for unless told otherwise: loud and off-centre recordings are music, if not well made."""


def write_split(source: Source, collection: Collection, splits: Sequence[Split], name: str, folder: Path) -> list[Path]:
    """split.csv, a row a track and a column a split with the words train, valid and test, and the entry whose first
    split rule, `name`, reads it; the files written. Raises UsageError where they cannot be."""
    cells = pd.DataFrame({"path": collection.tracks["id"]}, dtype=object)
    for split in splits:
        part = pd.Series("", index=cells.index, dtype=object)
        for word, rows in split.parts.items():
            part.iloc[rows] = word
        cells[split.name.replace("/", "-")] = part
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(cells.columns)
    writer.writerows(cells.to_numpy().tolist())
    table = _place(folder, SPLIT_FILE)
    _write(table, text.getvalue())
    old = {rule: how.model_dump(mode="json", exclude_defaults=True) for rule, how in source.entry.splits.items()}
    rules = {name: {"table": str(table)}, **{rule: how for rule, how in old.items() if rule != name}}
    return [table, _write_entry(source, folder, {"splits": rules})]


def write_clean(source: Source, verdicts: Sequence[Verdict], folder: Path) -> list[Path]:
    """manifest.csv and the entry that honours it; the files written. Raises UsageError where they cannot be."""
    manifest = clean_manifest(verdicts, folder)
    return [manifest, _write_entry(source, folder, {"manifest": str(manifest)})]


def clean_manifest(verdicts: Sequence[Verdict], folder: Path) -> Path:
    """manifest.csv in `folder`. Raises UsageError where it cannot be written."""
    path = _place(folder, MANIFEST_FILE)
    try:
        write_manifest(path, verdicts)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    return path


def verdicts_on(
    paths: Sequence[str],
    scanned: pd.DataFrame,
    quarantine: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    drop: Sequence[str] = DROPPED,
) -> list[Verdict]:
    """A verdict on every path of a collection, in order.

    `scanned` and `quarantine`: what a scan of them found. `pairs`: paths that sound alike, of which the later in
    `paths` is the twin unless the earlier is dropped itself. `drop`: which of `FLAGGED` are reasons to drop a file; the
    others are told in the detail of a file that is kept. Missing and invalid files are always dropped.
    """
    from mirclr.audio.reasons import FLAGS, REASONS

    bad = {row["path"]: (row["reason"], row["detail"]) for row in quarantine.to_dict("records")}
    flags = dict(zip(scanned["path"], scanned["flags"], strict=True))
    place = {path: index for index, path in enumerate(paths)}
    twins: dict[str, list[str]] = {}
    for pair in pairs:
        first, second = sorted(pair, key=place.__getitem__)
        twins.setdefault(second, []).append(first)
    out: dict[str, Verdict] = {}
    for path in paths:
        if path not in flags:
            reason, detail = bad.get(path, (MISSING, "") if not os.path.exists(path) else ("not_audio", ""))
            out[path] = Verdict(path, False, reason, detail or REASONS[reason])
            continue
        found = {flag: FLAGS[flag] for flag in flags[path].split(",") if flag}
        kept = [other for other in twins.get(path, []) if other in out and out[other].keep]
        found |= {TWIN: f"sounds like {kept[0]}"} if kept else {}
        why = next((flag for flag in FLAGGED if flag in found and flag in drop), "")
        told = found[why] if why else "; ".join(f"{flag}: {text}" for flag, text in found.items())
        out[path] = Verdict(path, not why, why, told)
    return list(out.values())


def _place(folder: Path, name: str) -> Path:
    """The absolute name of a file in `folder`, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"-o {folder}: {error.strerror or error}") from error
    return Path(os.path.abspath(folder / name))


def _write(path: Path, text: str) -> None:
    try:
        write_atomic(path, text)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def _plain(source: Source) -> dict[str, Any]:
    """The entry as it would be written: what it states, without defaults."""
    return source.entry.model_dump(mode="json", exclude_defaults=True) | {"root": str(source.root)}


def _write_entry(source: Source, folder: Path, changes: dict[str, Any]) -> Path:
    """A datasets.yaml with the one entry, its root and manifest absolute."""
    name = re.sub(r"[^\w.+-]+", "-", source.name)
    kept = {"manifest": str(source.manifest)} if source.manifest else {}
    data = {"version": VERSION, "collections": {name: _plain(source) | kept | changes}}
    path = _place(folder, FILE_NAME)
    _write(path, yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110))
    return path
