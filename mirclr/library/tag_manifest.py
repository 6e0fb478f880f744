"""The manifest of changed files: one line of JSON for each, written before the file is, and what restores them.

A line says what the file was (its digest), what it became, which fields said what, and, where little changed, the bytes
that lead back. It is on the disk before the file changes: a run killed at any moment leaves each file old or new, and a
line for every new one. A line may be there whose file never changed; restoring it does nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mirclr import __version__
from mirclr.audio.byte_patch import Edit
from mirclr.audio.tag_writer import Change, prepare, read_fields
from mirclr.audio.tag_writer import restore as bytes_back
from mirclr.audio.track import content_id
from mirclr.errors import AudioError, StoreError, UsageError
from mirclr.files import check_folder, sync_folder
from mirclr.reports import Progress, Work

FORMAT, VERSION = "mirclr tag manifest", 1


@dataclass(frozen=True)
class Entry:
    """A changed file: digests `before` and `after`, `old` and `new` texts by field, the way back or None."""

    path: str
    before: str
    after: str
    old: dict[str, list[str]]
    new: dict[str, list[str]]
    edits: list[Edit] | None

    @classmethod
    def of(cls, path: str, change: Change, new: dict[str, list[str]]) -> Entry:
        """The entry of a change that waits."""
        return cls(path, change.before, change.after, change.old, new, change.edits)

    def line(self) -> bytes:
        """As a line of the manifest; undecodable bytes of the path as lone \\udcXX escapes."""
        edits = None if self.edits is None else [[s, n, base64.b64encode(old).decode()] for s, n, old in self.edits]
        return json.dumps({**vars(self), "edits": edits}).encode() + b"\n"

    @classmethod
    def parsed(cls, line: bytes) -> Entry:
        """What `line` wrote. Raises ValueError, KeyError or TypeError."""
        d = json.loads(line)
        old, new = ({str(f): [str(t) for t in texts] for f, texts in d[key].items()} for key in ("old", "new"))
        edits = d["edits"] and [Edit(int(s), int(n), base64.b64decode(b, validate=True)) for s, n, b in d["edits"]]
        return cls(str(d["path"]), str(d["before"]), str(d["after"]), old, new, edits)


class Manifest:
    """A manifest open for adding lines; a context manager. `known`: by path, digests of files with the same sound: what
    its runs found and what they left."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError when `path` is another file, or its folder does not exist."""
        check_folder(path)
        entries, whole = _read(path) if path.exists() else ([], 0)
        self.path, self.known = path, defaultdict[str, set[str]](set)
        for entry in entries:
            self._know(entry)
        try:
            self._file: BinaryIO = path.open("r+b" if path.exists() else "w+b")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror or error}; name another with --manifest") from error
        self._file.truncate(whole)  # half a line is of a run that was killed before it touched the file
        self._file.seek(whole)
        if not whole:
            self._add(json.dumps({"format": FORMAT, "version": VERSION, "mirclr": __version__}).encode() + b"\n")
            sync_folder(path.absolute().parent)

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, entry: Entry) -> None:
        """Put an entry on the disk."""
        self._add(entry.line())
        self._know(entry)

    def _know(self, entry: Entry) -> None:
        self.known[entry.path] |= {entry.before, entry.after}

    def _add(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}; no further file was changed") from error


def read_manifest(path: Path) -> list[Entry]:
    """The entries of a manifest in the order they were written. Raises UsageError when it is another file."""
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Entry], int]:
    """Entries, and how many bytes hold them: half a line at the end is left out."""
    try:
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        head, *lines = content[:whole].splitlines() or [b""]
        if not content:
            return [], 0
        if json.loads(head)["format"] != FORMAT or json.loads(head)["version"] != VERSION:
            raise UsageError(f"{path}: not a manifest of this version of mirclr tag")
        return [Entry.parsed(line) for line in lines], whole
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise UsageError(f"{path}: not a manifest of `mirclr tag --write` ({error!r})") from error


@dataclass(frozen=True)
class Restored:
    """How many files are again as they were byte for byte (`whole`), have their old texts again (`fields`), or had them
    already (`same`); `quarantine`: path, reason and detail of those that were left alone."""

    whole: int
    fields: int
    same: int
    quarantine: list[dict[str, str]]


def restore_files(path: Path) -> Work[Restored]:
    """Undo everything in a manifest, the last change first.

    A file that nobody touched since is again what it was, byte for byte. In one that was changed since, a field that
    still says what was written says again what it said; one that says something else is left and listed.
    """
    entries = read_manifest(path)
    of_path: dict[str, list[Entry]] = {}
    for entry in entries:
        of_path.setdefault(entry.path, []).append(entry)
    counts = {"whole": 0, "fields": 0, "same": 0}
    bad: list[dict[str, str]] = []
    for done, entry in enumerate(reversed(entries), 1):
        try:
            counts[_restore(entry, of_path[entry.path])] += 1
        except AudioError as error:
            bad.append({"path": entry.path, "reason": error.reason, "detail": error.detail})
        of_path[entry.path].pop()
        yield Progress("restore", done, len(entries), os.path.basename(entry.path))
    return Restored(**counts, quarantine=bad)


def _restore(entry: Entry, until: Sequence[Entry]) -> str:
    """Undo one change, the last of those `until` now of its file; which of the three counts it is."""
    try:
        now = content_id(entry.path)
    except OSError as error:
        raise AudioError(entry.path, "missing_file", error.strerror or str(error)) from error
    if now in {each.before for each in until}:  # or further back than that, by an earlier restoring
        return "same"
    if now == entry.after and entry.edits is not None:
        bytes_back(entry.path, entry.before, entry.edits).commit()
        return "whole"
    said = read_fields(entry.path, list(entry.old))
    back = {field: entry.old[field] for field, texts in said.items() if texts == entry.new[field] != entry.old[field]}
    if back:
        prepare(entry.path, back).commit()
    ours = {field: [entry.new[field], *(each.old.get(field) for each in until)] for field in said}
    edited = [field for field, texts in said.items() if texts not in ours[field]]
    if edited:
        raise AudioError(
            entry.path, "edited", f"{', '.join(edited)} was changed since by another program: left as it is"
        )
    return "fields" if back else "same"
