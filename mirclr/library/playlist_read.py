"""Reading playlist files: what each line names, by path, by the hash of its sound, by its tags.

Nothing a file says is followed: XML is parsed without document types, entities or fetching (defusedxml), and a URL is
never opened.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from mirclr.errors import UsageError
from mirclr.library.playlist_file import PathMap
from mirclr.library.playlist_formats import IDENTIFIER, STRIPPED, XSPF, is_url

BOM = b"\xef\xbb\xbf"
_PLS = re.compile(r"(file|title|length)(\d+)$", re.IGNORECASE)
_NAMES = {  # of columns in tables by other programs
    "path": ("path", "location", "file", "filename", "url"),
    "artist": ("artist", "creator"),
    "title": ("title", "track", "name"),
    "album": ("album",),
    "duration": ("duration",),
    "audio_id": ("audio_id",),
}


@dataclass(frozen=True)
class Listed:
    """One track as a playlist names it. `path`: absolute, or None; `url`: what cannot be a file here, or None.

    `label`: "Artist - Title" where the format has both in one text.
    """

    path: Path | None = None
    url: str | None = None
    artist: str | None = None
    title: str | None = None
    album: str | None = None
    label: str | None = None
    duration: float | None = None
    audio_id: str | None = None

    @property
    def shown(self) -> str:
        """What to call it in a message."""
        return str(self.path or self.url or self.label or f"{self.artist or '?'} - {self.title or '?'}")


class Read(NamedTuple):
    """`tracks` in order; `story`: what the file says about itself."""

    tracks: list[Listed]
    story: list[str]


def read_playlist(path: Path, maps: Sequence[PathMap] = ()) -> Read:
    """What a playlist file lists, relative paths seen from its folder, names under another root through `maps`.

    Raises UsageError when it cannot be read, or its extension is none of a playlist.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: no playlist format {path.suffix!r}; known: {', '.join(READERS)}")
    try:
        found, story = reader(path.read_bytes().removeprefix(BOM))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise UsageError(f"{path}: not a playlist that can be read ({error!r})") from error
    folder = Path(os.path.realpath(path)).parent
    return Read([_placed(raw, folder, maps) for raw in found], story)


class _Raw(NamedTuple):
    """A track as the file has it: `place`, the text that names it, and whether that is a URI reference."""

    place: str | None
    is_uri: bool
    tags: Listed


def _placed(raw: _Raw, folder: Path, maps: Sequence[PathMap]) -> Listed:
    """With its path here, or its URL."""
    if not raw.place:
        return raw.tags
    plain = _plain(raw.place, raw.is_uri)
    for each in maps:
        # A mapped root may itself be a URL, so both readings are tried.
        spellings = (raw.place, plain, _share(raw.place))
        here = next((there for there in (each.inward(text) for text in spellings if text) if there), None)
        if here is not None:
            return replace(raw.tags, path=Path(os.path.normpath(here)))
    if plain is None or "\0" in plain:
        return replace(raw.tags, url=raw.place)
    return replace(raw.tags, path=Path(os.path.normpath(folder / plain)))


def _share(place: str) -> str | None:
    """`file://server/share/x` as the `//server/share/x` of a Windows share, or None."""
    return os.fsdecode(unquote_to_bytes(place[5:])) if place.lower().startswith("file://") else None


def _plain(place: str, is_uri: bool) -> str | None:
    """A path out of a path or URI; None for what is no file, such as a stream."""
    if is_url(place):
        parts = urlsplit(place)
        if parts.scheme.lower() != "file" or parts.netloc.lower() not in ("", "localhost"):
            return None
        path = os.fsdecode(unquote_to_bytes(place.split("://", 1)[1].removeprefix(parts.netloc)))
        return path[1:] if re.match(r"/[A-Za-z]:", path) else path
    return os.fsdecode(unquote_to_bytes(place.encode("utf-8", "surrogateescape"))) if is_uri else place


# -- readers: a file's bytes to its tracks and its story


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _m3u(data: bytes) -> tuple[list[_Raw], list[str]]:
    """M3U and extended M3U; a line in the encoding of an older player keeps its bytes."""
    found, story, tags = [], [], Listed()
    for line in (line.strip(STRIPPED) for line in _text(data).replace("\r", "\n").split("\n")):
        if line.upper().startswith("#EXTINF:"):
            seconds, _, name = line[8:].partition(",")
            tags = Listed(label=name.strip() or None, duration=_seconds(seconds.split(" ")[0]))
        elif line.startswith("# "):
            story.append(line[2:])
        elif line and not line.startswith("#"):
            found.append(_Raw(line, False, tags))
            tags = Listed()
    return found, story


def _pls(data: bytes) -> tuple[list[_Raw], list[str]]:
    lines = [line.strip(STRIPPED) for line in _text(data).replace("\r", "\n").split("\n")]
    entries: dict[int, dict[str, str]] = {}
    for line in lines:
        name, sign, value = line.partition("=")
        known = _PLS.fullmatch(name.strip())
        if known and sign:
            entries.setdefault(int(known[2]), {})[known[1].lower()] = value.strip(STRIPPED)
    if not entries and not any(line.lower() == "[playlist]" for line in lines):
        raise ValueError("no [playlist] and no FileN= line")
    found = [
        _Raw(entry["file"], False, Listed(label=entry.get("title"), duration=_seconds(entry.get("length"))))
        for _, entry in sorted(entries.items())
        if "file" in entry
    ]
    return found, [line[2:] for line in lines if line.startswith("# ")]


def _xspf(data: bytes) -> tuple[list[_Raw], list[str]]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(data, forbid_dtd=True)
    except (DefusedXmlException, ParseError) as error:
        raise ValueError(str(error)) from error
    space = {"x": XSPF}

    def text(node: Any, name: str) -> str | None:
        found = node.findtext(f"x:{name}", None, space)
        return None if found is None else found.strip() or None

    found = [
        _from_node({name: text(node, name) for name in _NODE}) for node in root.findall("x:trackList/x:track", space)
    ]
    return found, (text(root, "annotation") or "").splitlines()


_NODE = ("location", "identifier", "title", "creator", "album", "duration")


def _jspf(data: bytes) -> tuple[list[_Raw], list[str]]:
    return _from_jspf(json.loads(_text(data))["playlist"])


def _from_jspf(playlist: Mapping[str, Any]) -> tuple[list[_Raw], list[str]]:
    def first(value: Any) -> Any:
        return value[0] if isinstance(value, list) and value else None if isinstance(value, list) else value

    found = [_from_node({name: first(node.get(name)) for name in _NODE}) for node in playlist["track"]]
    return found, str(playlist.get("annotation") or "").splitlines()


def _from_node(node: Mapping[str, Any]) -> _Raw:
    """A track of XSPF or JSPF; durations there are milliseconds."""
    milliseconds = _seconds(node["duration"])
    identifier = _tag(node["identifier"]) or ""
    tags = Listed(
        artist=_tag(node["creator"]),
        title=_tag(node["title"]),
        album=_tag(node["album"]),
        duration=None if milliseconds is None else milliseconds / 1000,
        audio_id=identifier.removeprefix(IDENTIFIER) if identifier.startswith(IDENTIFIER) else None,
    )
    return _Raw(_tag(node["location"]), True, tags)


def _json(data: bytes) -> tuple[list[_Raw], list[str]]:
    """mirclr's own JSON, or JSPF under that name."""
    told = json.loads(_text(data))
    if "playlist" in told:
        return _from_jspf(told["playlist"])
    return [_from_table(track) for track in told["tracks"]], [str(line) for line in told.get("story", [])]


def _csv(data: bytes) -> tuple[list[_Raw], list[str]]:
    """A table with a column of paths, or of artists and titles."""
    text = _text(data)
    header = text.split("\n", 1)[0]
    rows = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if header.count(";") > header.count(",") else ","
    )
    known = {str(name).strip().casefold() for name in rows.fieldnames or ()}
    if not known & set(_NAMES["path"]) and not (known & set(_NAMES["artist"]) and known & set(_NAMES["title"])):
        raise ValueError("no column path, and none artist and title")
    listed = [{str(name).strip().casefold(): value for name, value in row.items()} for row in rows]
    how = next((row["how"] for row in listed if row.get("how")), "")
    return [_from_table(row, _computable) for row in listed], [line for line in str(how).split("; ") if line]


def _from_table(row: Mapping[str, Any], tag: Callable[[str], str] = str) -> _Raw:
    """A track by named cells; `tag`: what a cell with a tag says."""

    def cell(kind: str) -> str | None:
        return _tag(next((row[name] for name in _NAMES[kind] if row.get(name) not in (None, "")), None))

    tags = {kind: tag(cell(kind) or "") or None for kind in ("artist", "title", "album", "audio_id")}
    return _Raw(cell("path"), False, Listed(**tags, duration=_seconds(cell("duration"))))  # type: ignore[arg-type]


def _tag(value: Any) -> str | None:
    return None if value is None else str(value)


def _computable(cell: str) -> str:
    """A cell without the apostrophe that stands before what a spreadsheet would compute."""
    return cell[1:] if re.match(r"'[=+\-@]", cell) else cell


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


READERS: dict[str, Callable[[bytes], tuple[Iterable[_Raw], list[str]]]] = {
    ".m3u8": _m3u,
    ".m3u": _m3u,
    ".pls": _pls,
    ".xspf": _xspf,
    ".jspf": _jspf,
    ".json": _json,
    ".csv": _csv,
}
