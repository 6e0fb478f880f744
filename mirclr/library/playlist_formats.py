"""Playlist formats: rows in, the file's text out. Undecodable bytes of paths travel as surrogates.

A row has `artist`, `title`, `album` (on one line, or None), `duration` in seconds or None, `similarity`, `seed`,
`audio_id`, `why` (or None) and `path`, as the file is to name the track: a path, or a URL where `--map` made one.
`story` lines say how the list was made, as comments or in the format's own annotation.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PureWindowsPath
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import escape

from mirclr.library.names import label, one_line

Row = Mapping[str, Any]
JSON_FORMAT = "mirclr playlist"
XSPF = "http://xspf.org/ns/0/"
IDENTIFIER = "urn:mirclr:audio:"  # before the hash of the sound, where a format has a place for identifiers
WHY_COLUMNS = (
    *("to_seed", "to_previous", "timbre", "rhythm", "harmony", "tags"),
    *("moment", "seed", "seed_moment"),
)
CSV_COLUMNS = ("position", "artist", "title", "album", "duration", "similarity", "seed", "path", "audio_id")
STRIPPED = " \t\r\n\v\f"  # what players take off both ends of a line
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell instead of showing it
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_url(text: str) -> bool:
    """Whether `text` names something by scheme, as players decide it."""
    return "://" in text


def _shown(row: Row) -> str:
    """'Artist - Title' on one line, the file's name where there is no title."""
    name = os.path.basename(row["path"]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return label(row["artist"], row["title"], one_line(name))


def _m3u(rows: Sequence[Row], story: Sequence[str]) -> str:
    """Extended M3U in UTF-8. `#EXTINF` seconds are whole, -1 when unknown."""
    lines = ["#EXTM3U", *(f"# {line}" for line in story)]
    for row in rows:
        seconds = -1 if row["duration"] is None else round(row["duration"])
        lines += [f"#EXTINF:{seconds},{_shown(row)}", row["path"]]
    return "\n".join(lines) + "\n"


def _pls(rows: Sequence[Row], story: Sequence[str]) -> str:
    """PLS version 2, an INI file; `#` begins a comment as in the desktop's key files."""
    lines = [*(f"# {line}" for line in story)]
    for place, row in enumerate(rows, 1):
        seconds = -1 if row["duration"] is None else round(row["duration"])
        lines += [f"File{place}={row['path']}", f"Title{place}={_shown(row)}", f"Length{place}={seconds}"]
    return "\n".join(["[playlist]", *lines, f"NumberOfEntries={len(rows)}", "Version=2"]) + "\n"


def _json(rows: Sequence[Row], story: Sequence[str]) -> str:
    """One object; a path with undecodable bytes holds them as lone \\udcXX escapes, as `os.fsdecode` does."""
    kept = [{name: value for name, value in row.items() if name != "why" or value is not None} for row in rows]
    return _json_text({"format": JSON_FORMAT, "version": 1, "story": list(story), "tracks": kept})


def _json_text(data: Any) -> str:
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def _jspf(rows: Sequence[Row], story: Sequence[str]) -> str:
    """JSPF version 1, XSPF as JSON: one object `playlist`."""
    return jspf_text({"title": "mirclr", "annotation": "\n".join(story), "track": [*map(_node, rows)]})


def jspf_text(playlist: Mapping[str, Any]) -> str:
    """A playlist, as JSPF describes it, as the text of its file."""
    return _json_text({"playlist": playlist})


def _node(row: Row) -> dict[str, Any]:
    """A track with the names XSPF and JSPF share; `duration` in milliseconds."""
    node = {
        "location": [uri(row["path"])],
        "identifier": [f"{IDENTIFIER}{row['audio_id']}"] if row["audio_id"] else None,
        "title": row["title"],
        "creator": row["artist"],
        "annotation": _reason(row["why"]),
        "album": row["album"],
        "duration": None if row["duration"] is None else round(1000 * row["duration"]),
    }
    return {name: value for name, value in node.items() if value is not None}


def _reason(why: Mapping[str, Any] | None) -> str | None:
    return None if not why else ", ".join(f"{name} {value}" for name, value in why.items() if value is not None)


def _xspf(rows: Sequence[Row], story: Sequence[str]) -> str:
    """XSPF version 1. Locations are URIs, so every path fits; text that XML cannot hold becomes U+FFFD."""
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<playlist version="1" xmlns="{XSPF}">',
        "  <title>mirclr</title>",
    ]
    out += [f"  <annotation>{_xml(chr(10).join(story))}</annotation>", "  <trackList>"]
    for row in rows:
        out.append("    <track>")
        for name, value in _node(row).items():
            values = value if isinstance(value, list) else [value]
            out += [f"      <{name}>{_xml(str(each))}</{name}>" for each in values]
        out.append("    </track>")
    return "\n".join([*out, "  </trackList>", "</playlist>"]) + "\n"


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def uri(path: str) -> str:
    """A path or URL as a URI reference (RFC 3986): absolute paths with `file://`, relative ones relative; bytes that
    are not plain are percent-encoded, undecodable ones as they are on disk."""
    if is_url(path):
        return path
    if _WINDOWS.match(path):
        return PureWindowsPath(path).as_uri()
    encoded = quote(os.fsencode(path), safe="/")
    return f"file://{encoded}" if path.startswith("/") else encoded


def _csv(rows: Sequence[Row], story: Sequence[str]) -> str:
    """RFC 4180. A tag that a spreadsheet would compute gets a leading apostrophe; JSON has the exact tags. CSV has no
    comments: the first row's `how` tells how the list was made."""
    out = io.StringIO()
    why = WHY_COLUMNS if any(row["why"] for row in rows) else ()
    columns = [*CSV_COLUMNS, *(f"why_{name}" for name in why), *(["how"] if story else [])]
    writer = csv.DictWriter(out, columns, lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    for position, row in enumerate(rows, 1):
        tags = {name: _harmless(row[name]) for name in ("artist", "title", "album")}
        told = {f"why_{name}": _harmless_cell(value) for name, value in (row["why"] or {}).items()}
        how = _harmless("; ".join(story)) if position == 1 else None
        writer.writerow({**row, **tags, **told, "seed": int(row["seed"]), "position": position, "how": how})
    return out.getvalue()


def _harmless(tag: str | None) -> str | None:
    return f"'{tag}" if tag and tag.startswith(FORMULA) else tag


def _harmless_cell(value: Any) -> Any:
    return _harmless(value) if isinstance(value, str) else value


def no_line_holds(path: str) -> bool:
    """True for a path that a line of text cannot carry: line breaks, or white space at the end, which players strip."""
    return "\n" in path or "\r" in path or path != path.rstrip(STRIPPED)


def _holds(path: str) -> bool:
    """False: the format holds every path."""
    return False


def _head(*beginnings: bytes) -> Callable[[bytes], bool]:
    """Whether a file begins like this, behind a byte order mark, in any case."""
    return lambda head: head.removeprefix(b"\xef\xbb\xbf").lower().startswith(tuple(b.lower() for b in beginnings))


class Format(NamedTuple):
    """How a format is written, which paths it cannot hold, and how a file of it begins."""

    render: Callable[[Sequence[Row], Sequence[str]], str]
    cannot_hold: Callable[[str], bool]
    is_one: Callable[[bytes], bool]


FORMATS: dict[str, Format] = {
    ".m3u8": Format(_m3u, no_line_holds, _head(b"#EXTM3U")),
    ".m3u": Format(_m3u, no_line_holds, _head(b"#EXTM3U")),
    ".pls": Format(_pls, no_line_holds, _head(b"[playlist]")),
    ".xspf": Format(_xspf, _holds, lambda head: XSPF.encode() in head),
    ".jspf": Format(_jspf, _holds, lambda head: b'"playlist"' in head),
    ".json": Format(_json, _holds, lambda head: JSON_FORMAT.encode() in head),
    ".csv": Format(_csv, _holds, lambda head: head.startswith(",".join(CSV_COLUMNS[:8]).encode())),
}


def seconds_of(value: Any) -> float | None:
    """A duration rounded to milliseconds, or None when it is unknown or not finite."""
    seconds = float("nan") if value is None else float(value)
    return round(seconds, 3) if math.isfinite(seconds) else None
