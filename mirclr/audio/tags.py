"""Tags by mutagen, the same six fields whatever the format. Broken tags are no tags; they never cost the audio."""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen
from mutagen.aiff import AIFF
from mutagen.asf import ASF
from mutagen.flac import FLAC
from mutagen.id3 import ID3
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

# mutagen means to raise only MutagenError; the others are what damaged sizes and counts have made of its parsers.
BROKEN = (
    mutagen.MutagenError,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    EOFError,
    MemoryError,
    struct.error,
)

FIELDS = ("artist", "album", "title", "genre", "year", "track")
_ID3 = (("TPE1", "TPE2"), ("TALB",), ("TIT2",), ("TCON",), ("TDRC", "TYER", "TDOR"), ("TRCK",))
_VORBIS = (("artist", "albumartist"), ("album",), ("title",), ("genre",), ("date", "year"), ("tracknumber",))
_MP4 = (("\xa9ART", "aART"), ("\xa9alb",), ("\xa9nam",), ("\xa9gen", "gnre"), ("\xa9day",), ("trkn",))
_ASF = (("Author", "WM/AlbumArtist"), ("WM/AlbumTitle",), ("Title",), ("WM/Genre",), ("WM/Year",), ("WM/TrackNumber",))
OGG_READERS = {"vorbis": OggVorbis, "opus": OggOpus, "flac": OggFLAC, "speex": OggSpeex}
_READERS: dict[str, tuple[Callable[[str], Any], tuple[tuple[str, ...], ...]]] = {
    "mp3": (ID3, _ID3),
    "aac": (ID3, _ID3),
    "wav": (WAVE, _ID3),
    "aiff": (AIFF, _ID3),
    "flac": (FLAC, _VORBIS),
    "m4a": (MP4, _MP4),
    "wma": (ASF, _ASF),
}


@dataclass(frozen=True)
class Tags:
    """One line of text each, or None; `year` 1000..2999 and `track` from 1, or None."""

    artist: str | None = None
    album: str | None = None
    title: str | None = None
    genre: str | None = None
    year: int | None = None
    track: int | None = None


def read_tags(path: Path, container: str, codec: str | None = None) -> Tags:
    """The tags of an audio file; every field None where there are none or they are broken.

    `container` as `sniff` names it, `codec` for Ogg. Reads no audio.
    """
    try:
        tags = open_tags(path, container, codec)
    except BROKEN:
        return Tags()
    values = [_first(tags, names) for names in (_VORBIS if container == "ogg" else _READERS[container][1])]
    artist, album, title, genre = (line_of(value) for value in values[:4])
    return Tags(artist, album, title, genre, _year(values[4]), _number(values[5]))


def open_tags(path: Path, container: str, codec: str | None = None) -> Any:
    """A file's tags as mutagen has them: an ID3, or a file whose `tags` they are. Raises one of `BROKEN`."""
    reader = OGG_READERS.get(codec or "", OggVorbis) if container == "ogg" else _READERS[container][0]
    return reader(str(path))


def _first(tags: Any, names: Iterable[str]) -> Any:
    """The first value under the first name that has one; a damaged frame counts as absent."""
    for name in names:
        try:
            value = tags[name]
            value = getattr(value, "genres", None) or getattr(value, "text", value)
            value = value[0] if isinstance(value, (list, tuple)) else value
        except BROKEN:
            continue
        if value is not None and str(value).strip():
            return value
    return None


def line_of(value: Any) -> str | None:
    """A tag on one line: control characters and runs of white space become one space; NFC, so that names compare."""
    if value is None:
        return None
    text = unicodedata.normalize("NFC", str(value).split("\x00")[0])
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(text.split()) or None


def _year(value: Any) -> int | None:
    """The first four-digit year from 1000 to 2999 in a date of any form."""
    found = re.search(r"(?<!\d)[12]\d{3}(?!\d)", str(value or "")) or re.match(r"[12]\d{3}", str(value or ""))
    return int(found.group()) if found else None


def _number(value: Any) -> int | None:
    """3 of '3/12', of `(3, 12)` and of '03'."""
    value = value[0] if isinstance(value, (list, tuple)) and value else value
    found = re.match(r"\s*(\d{1,4})\b", str(value if value is not None else ""))
    return int(found.group(1)) or None if found else None
