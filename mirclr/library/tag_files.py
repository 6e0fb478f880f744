"""Tags of a library into its files: what would change, and changing it, one file after another, each whole or not.

What a field says already is kept unless `overwrite`. Nothing is written twice: a run that was interrupted is simply
started again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirclr.audio.tag_writer import clear, prepare, read_fields
from mirclr.audio.track import content_id
from mirclr.errors import AudioError
from mirclr.library.names import folded
from mirclr.library.tag_manifest import Entry, Manifest
from mirclr.reports import Progress, Work

ACTIONS = ("add", "replace", "keep", "same")


@dataclass(frozen=True)
class Planned:
    """One field of one file: `action` of ACTIONS, what it says (`old`) and what it should say (`new`)."""

    path: str
    field: str
    action: str
    old: list[str]
    new: list[str]

    @property
    def writes(self) -> bool:
        """Whether the file changes."""
        return self.action in ("add", "replace")


@dataclass(frozen=True)
class Plan:
    """Everything that was looked at, in path order; `quarantine`: path, reason and detail of files that cannot be."""

    fields: list[Planned]
    quarantine: list[dict[str, str]]

    @property
    def changes(self) -> dict[str, dict[str, list[str]]]:
        """New texts by path and field."""
        out: dict[str, dict[str, list[str]]] = {}
        for planned in self.fields:
            if planned.writes:
                out.setdefault(planned.path, {})[planned.field] = planned.new
        return out

    def counts(self) -> dict[str, int]:
        """How many fields there are of each action."""
        return {action: sum(planned.action == action for planned in self.fields) for action in ACTIONS}


def plan_files(rows: Sequence[Mapping[str, Any]], overwrite: bool = False) -> Work[Plan]:
    """Look at the files of `rows` (of `TaggedLibrary.rows`) and say what writing their tags would change."""
    wanted: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row["tags"]:
            wanted.setdefault(row["path"], {})[row["field"]] = [tag["label"] for tag in row["tags"]]
    found: list[Planned] = []
    bad: list[dict[str, str]] = []
    for done, (path, fields) in enumerate(wanted.items(), 1):
        try:
            said = read_fields(path, list(fields))
        except AudioError as error:
            bad.append({"path": path, "reason": error.reason, "detail": error.detail})
        else:
            found += [
                Planned(path, field, _action(said[field], new, overwrite), said[field], new)
                for field, new in fields.items()
            ]
        yield Progress("look", done, len(wanted), os.path.basename(path))
    return Plan(found, bad)


def _action(old: list[str], new: list[str], overwrite: bool) -> str:
    if [folded(text) for text in old] == [folded(text) for text in new]:  # "Classical" is "classical"
        return "same"
    if not any(text.strip() for text in old):
        return "add"
    return "replace" if overwrite else "keep"


@dataclass(frozen=True)
class Wrote:
    """How many `files` were changed; `quarantine`: path, reason and detail of those that were left alone."""

    files: int
    quarantine: list[dict[str, str]]


def write_files(plan: Plan, ids: Mapping[str, str], manifest: Path) -> Work[Wrote]:
    """Change the files of a plan, each after its line is in the manifest.

    `ids`: the digest of every path as the store knows it; a file that is neither that nor what the manifest knows of it
    has changed since it was indexed, and what the store says of it may no longer be true: it is left alone.
    Raises UsageError on a manifest that is another file.
    """
    changes, files = plan.changes, 0
    bad: list[dict[str, str]] = []
    with Manifest(manifest) as book:
        for done, (path, fields) in enumerate(changes.items(), 1):
            try:
                _write(path, fields, {ids[path], *book.known[path]}, book)
                files += 1
            except AudioError as error:
                bad.append({"path": path, "reason": error.reason, "detail": error.detail})
            yield Progress("write", done, len(changes), os.path.basename(path))
    return Wrote(files, bad)


def _write(path: str, fields: dict[str, list[str]], known: set[str], book: Manifest) -> None:
    try:
        now = content_id(path)
    except OSError as error:
        raise AudioError(path, "unreadable", error.strerror or str(error)) from error
    if now not in known:
        raise AudioError(path, "changed", "it changed since it was indexed; run `mirclr index` again")
    clear(path)
    change = prepare(path, fields)
    try:
        book.add(Entry.of(path, change, fields))
    except BaseException:
        change.discard()
        raise
    change.commit()
