"""Playlist files: M3U8, JSON and CSV, chosen by extension, and reading M3U back.

Tags come from strangers. In an M3U8 a tag is only ever part of an `#EXTINF` line, with every control character turned
to a space, so it can begin no line of its own; paths come from the file system and are written byte for byte, or not
at all when a playlist line cannot hold them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.files import write_atomic
from mirclr.library.names import label, one_line
from mirclr.library.playlist import Entry

JSON_FORMAT = "mirclr playlist"
CSV_COLUMNS = ("position", "artist", "title", "album", "duration", "similarity", "seed", "path")
UNWRITABLE = "path_not_writable"  # the reason code of a path no playlist line can hold
UNWRITABLE_WHY = "its path has a line break, or a space at its end; rename the file"
STRIPPED = " \t\r\n\v\f"  # what players take off both ends of a line
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell instead of showing it


class Written(NamedTuple):
    """`tracks` are in the file; `quarantine`: rows (path, reason, detail) of those that could not be written."""

    tracks: int
    quarantine: list[dict[str, str]]


def write_playlist(
    path: Path, entries: Sequence[Entry], *, absolute: bool = False, story: Sequence[str] = ()
) -> Written:
    """Write `entries` to `path` in the format of its extension (see `FORMATS`), whole or not at all.

    Paths are relative to the playlist's folder unless `absolute`;
    `story` lines (how the list was made) become comments.
    Raises UsageError for an unknown extension, a missing folder, or a file that is there and is not a playlist.
    """
    form = check_target(path)
    target = Path(os.path.realpath(path))
    rows = [_row(entry, target.parent, absolute) for entry in entries]
    good = [row for row in rows if not form.cannot_hold(row["path"])]
    bad = [entry.track["path"] for entry, row in zip(entries, rows, strict=True) if form.cannot_hold(row["path"])]
    write_atomic(target, form.render(good, [one_line(line) for line in story]))
    return Written(len(good), [{"path": path, "reason": UNWRITABLE, "detail": UNWRITABLE_WHY} for path in bad])


def _row(entry: Entry, folder: Path, absolute: bool) -> dict[str, Any]:
    """One track as plain data, with its path as the playlist writes it."""
    track = entry.track
    place = os.path.abspath(track["path"]) if absolute else relative(track["path"], folder)
    duration = track.get("duration")
    seconds = float("nan") if duration is None else float(duration)
    return {
        "artist": _text(track.get("artist")),
        "title": _text(track.get("title")),
        "album": _text(track.get("album")),
        "duration": round(seconds, 3) if math.isfinite(seconds) else None,
        "similarity": entry.similarity,
        "seed": entry.is_seed,
        "path": place,
    }


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


# -- formats: rows in, the file's text out. Undecodable bytes of paths travel as surrogates.


def _m3u8(rows: Sequence[Mapping[str, Any]], story: Sequence[str]) -> str:
    """Extended M3U in UTF-8. `#EXTINF` seconds are whole, -1 when unknown."""
    lines = ["#EXTM3U", *(f"# {line}" for line in story)]
    for row in rows:
        seconds = -1 if row["duration"] is None else round(row["duration"])
        name = os.path.basename(row["path"]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        lines += [f"#EXTINF:{seconds},{label(row['artist'], row['title'], one_line(name))}", row["path"]]
    return "\n".join(lines) + "\n"


def _json(rows: Sequence[Mapping[str, Any]], story: Sequence[str]) -> str:
    """One object; a path with undecodable bytes holds them as lone \\udcXX escapes, as `os.fsdecode` does."""
    text = json.dumps(
        {"format": JSON_FORMAT, "version": 1, "story": list(story), "tracks": list(rows)}, indent=2, ensure_ascii=False
    )
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def _csv(rows: Sequence[Mapping[str, Any]], story: Sequence[str]) -> str:
    """RFC 4180. A tag that a spreadsheet would compute gets a leading apostrophe; JSON has the exact tags."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for position, row in enumerate(rows, 1):
        tags = {name: _harmless(row[name]) for name in ("artist", "title", "album")}
        writer.writerow({**row, **tags, "seed": int(row["seed"]), "position": position})
    return out.getvalue()


def _harmless(tag: str | None) -> str | None:
    return f"'{tag}" if tag and tag.startswith(FORMULA) else tag


def _no_line_holds(path: str) -> bool:
    """True for a path that a line of text cannot carry: line breaks, or white space at the end, which players strip."""
    return "\n" in path or "\r" in path or path != path.rstrip(STRIPPED)


def _is_m3u(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").startswith(b"#EXTM3U")


class Format(NamedTuple):
    """How a format is written, which paths it cannot hold, and how a file of it begins."""

    render: Callable[[Sequence[Mapping[str, Any]], Sequence[str]], str]
    cannot_hold: Callable[[str], bool]
    is_one: Callable[[bytes], bool]


FORMATS: dict[str, Format] = {
    ".m3u8": Format(_m3u8, _no_line_holds, _is_m3u),
    ".json": Format(_json, lambda path: False, lambda head: JSON_FORMAT.encode() in head),
    ".csv": Format(_csv, lambda path: False, lambda head: head.startswith(",".join(CSV_COLUMNS).encode())),
}


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
    if not target.parent.is_dir():
        raise UsageError(f"{target}: the folder {target.parent} does not exist")
    if not target.exists():
        return form
    if not target.is_file():
        raise UsageError(f"{target}: not a file; choose another name")
    with target.open("rb") as file:
        head = file.read(200)
    if head and not form.is_one(head):
        raise UsageError(f"{target}: exists and is not a playlist of this kind; choose another name or delete it first")
    return form


# -- reading


class Read(NamedTuple):
    """`paths` of a playlist, absolute, in order; `skipped`: its lines that name no file (streams)."""

    paths: list[Path]
    skipped: list[str]


READABLE = (".m3u8", ".m3u", ".json")


def read_playlist(path: Path) -> Read:
    """The paths of an M3U, M3U8 or mirclr JSON playlist, relative ones seen from the playlist's folder.

    Raises UsageError when it cannot be read.
    """
    try:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        lines = _json_paths(text) if path.suffix.lower() == ".json" else _m3u_paths(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a playlist that can be read ({error!r})") from error
    folder = Path(os.path.realpath(path)).parent
    paths = [Path(os.path.normpath(folder / line)) for line in lines if "://" not in line]
    return Read(paths, [line for line in lines if "://" in line])


def _m3u_paths(text: str) -> list[str]:
    lines = (line.strip(STRIPPED) for line in text.replace("\r", "\n").split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _json_paths(text: str) -> list[str]:
    return [str(track["path"]) for track in json.loads(text)["tracks"]]
