"""Writing playlist files, in the format their extension names, whole or not at all.

Tags come from strangers. In a format of lines a tag is only ever part of its own line, with every control character
turned to a space, so it can begin no line of its own; paths come from the file system and are written byte for byte, or
not at all when a playlist line cannot hold them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

import pandas as pd

from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.files import check_folder, write_atomic
from mirclr.library.names import one_line
from mirclr.library.playlist import Entry
from mirclr.library.playlist_formats import FORMATS, Format, is_url, seconds_of

UNWRITABLE = "path_not_writable"  # the reason code of a path no playlist line can hold
UNWRITABLE_WHY = "its path has a line break, or a space at its end; rename the file"


class Written(NamedTuple):
    """`tracks` are in the file; `quarantine`: rows (path, reason, detail) of those that could not be written."""

    tracks: int
    quarantine: list[dict[str, str]]


@dataclass(frozen=True)
class PathMap:
    """One root under two names: `ours` here, `theirs` where the playlist is played (a path, a Windows path, a URL)."""

    ours: str
    theirs: str

    @classmethod
    def parse(cls, text: str) -> PathMap:
        """`/mnt/music=/music`. Raises UsageError when either side is missing or ours is not absolute."""
        ours, sign, theirs = text.partition("=")
        if not (sign and ours and theirs and os.path.isabs(ours)):
            raise UsageError(f"map {text!r}: give OURS=THEIRS, the absolute path here and the one there")
        return cls(ours.rstrip("/"), theirs.rstrip("/\\") if len(theirs) > 1 else "")

    def outward(self, path: str) -> str | None:
        """An absolute path here as it is named there; None when it is not under this root."""
        rest = path.removeprefix(f"{self.ours}/")
        if rest == path:
            return None
        if is_url(self.theirs):
            return f"{self.theirs}/{quote(os.fsencode(rest), safe='/')}"
        return (
            f"{self.theirs}\\{rest.replace('/', chr(92))}"
            if "\\" in self.theirs or self.theirs[1:] == ":"
            else (f"{self.theirs}/{rest}")
        )

    def inward(self, text: str) -> str | None:
        """What `outward` gave, back to the path here; None when it is not under their root."""
        plain = text.replace("\\", "/") if "\\" in self.theirs or self.theirs[1:] == ":" else text
        root = self.theirs.replace("\\", "/")
        rest = plain.removeprefix(f"{root}/")
        if rest == plain:
            return None
        return f"{self.ours}/{os.fsdecode(unquote_to_bytes(rest)) if is_url(root) else rest}"


def write_playlist(
    path: Path,
    entries: Sequence[Entry],
    *,
    absolute: bool = False,
    story: Sequence[str] = (),
    maps: Sequence[PathMap] = (),
) -> Written:
    """Write `entries` to `path` in the format of its extension (see `FORMATS`), whole or not at all.

    Paths are relative to the playlist's folder unless `absolute`; those under the root of one of `maps` are written as
    they are named there. `story` lines (how the list was made) become comments.
    Raises UsageError for an unknown extension, a missing folder, or a file that is there and is not a playlist.
    """
    form = check_target(path)
    target = Path(os.path.realpath(path))
    rows = [_row(entry, target.parent, absolute, maps) for entry in entries]
    good = [row for row in rows if not form.cannot_hold(row["path"])]
    bad = [entry.track["path"] for entry, row in zip(entries, rows, strict=True) if form.cannot_hold(row["path"])]
    write_atomic(target, form.render(good, [one_line(line) for line in story]))
    return Written(len(good), [{"path": path, "reason": UNWRITABLE, "detail": UNWRITABLE_WHY} for path in bad])


def _row(entry: Entry, folder: Path, absolute: bool, maps: Sequence[PathMap]) -> dict[str, Any]:
    """One track as plain data, with its path as the playlist writes it."""
    track = entry.track
    return {
        "artist": _text(track.get("artist")),
        "title": _text(track.get("title")),
        "album": _text(track.get("album")),
        "duration": seconds_of(track.get("duration")),
        "similarity": entry.similarity,
        "seed": entry.is_seed,
        "audio_id": track.get("audio_id"),
        "path": _place(track["path"], folder, absolute, maps),
        "why": entry.why,
    }


def _place(path: str, folder: Path, absolute: bool, maps: Sequence[PathMap]) -> str:
    """How the playlist names `path`."""
    whole = os.path.abspath(path)
    mapped = next((there for there in (each.outward(whole) for each in maps) if there is not None), None)
    if mapped is not None:
        return mapped
    return whole if absolute else relative(path, folder)


def relative(path: str, folder: Path) -> str:
    """`path` as seen from `folder`, a real path; never mistaken for a comment, an option, a formula or a URL.

    Symbolic links on the way are resolved first: `..` behind a link leads to another place than it seems.
    """
    real = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(path))), os.path.basename(path))
    seen = os.path.relpath(real, folder)
    plain = seen.startswith(("../", "./")) or (seen[0].isalnum() and ":" not in seen.split("/")[0])
    return seen if plain else f"./{seen}"


def _text(tag: Any) -> str | None:
    """A tag on one line, or None when there is nothing to show."""
    return None if tag is None or pd.isna(tag) else one_line(str(tag)) or None


def format_of(path: Path) -> Format:
    """The format for an extension. Raises UsageError with the known ones."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: no playlist format {path.suffix!r}.{nearest(path.suffix.lower(), FORMATS)}")
    return FORMATS[path.suffix.lower()]


def check_target(path: Path) -> Format:
    """The format `path` would be written in. Raises UsageError as `write_playlist` does, before anything is done.

    A playlist may be replaced by a playlist; nothing else may: `-o metadata.csv` is a slip of the hand.
    """
    form, target = format_of(path), Path(os.path.realpath(path))
    check_folder(target)
    if not target.exists():
        return form
    if not target.is_file():
        raise UsageError(f"{target}: not a file; choose another name")
    with target.open("rb") as file:
        head = file.read(200)
    if head and not form.is_one(head):
        raise UsageError(f"{target}: exists and is not a playlist of this kind; choose another name or delete it first")
    return form
