"""How a tag with one or several texts is kept in each kind of file: one field read, written and taken out, by mutagen.

Names are those that Picard and most players use: `genre` and `mood` have places of their own, any other field is a
free-form entry (TXXX in ID3, a comment in Vorbis and FLAC, an iTunes atom in MP4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutagen import id3
from mutagen.aiff import AIFF
from mutagen.asf import ASF
from mutagen.flac import FLAC
from mutagen.mp4 import MP4, AtomDataType, MP4FreeForm
from mutagen.wave import WAVE

from mirclr.audio.tags import OGG_READERS
from mirclr.errors import UsageError

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
# What says who made what and when is never a machine's guess.
_WHO = ("artist", "albumartist", "album", "title", "composer", "copyright", "isrc", "encoder", "encodedby")
_WHAT = ("date", "year", "track", "tracknumber", "disc", "discnumber", "lyrics", "comment", "description", "cover")
_OWNED = frozenset((*_WHO, *_WHAT))
UTF16, UTF8 = 1, 3  # ID3's numbers of encodings: version 2.3 has no UTF-8


def check_field(field: str) -> str:
    """`field`, if it may be written. Raises UsageError on one that says who made what, and on what is no plain name."""
    if not _FIELD.fullmatch(field):
        raise UsageError(f"field {field!r}: write a name of small letters, digits and _, beginning with a letter")
    if field.replace("_", "") in _OWNED or field.startswith("musicbrainz"):
        raise UsageError(f"field {field!r}: says who made what; a tagger does not write it. Take genre, mood, ...")
    return field


class TagFile:
    """The tags of one open file. `container` as `sniff` names it, `codec` for Ogg.

    Raises what mutagen raises on a file with damaged tags.
    """

    def __init__(self, path: Path, container: str, codec: str | None = None) -> None:
        self.path, self.kind = path, _kind(container)
        self.file = self.kind.open(path, codec)

    def get(self, field: str) -> list[str]:
        """The texts of `field` in order; empty where there is none."""
        return self.kind.get(self.file, field)

    def put(self, field: str, texts: Sequence[str]) -> None:
        """Replace the texts of `field`, or take it out where `texts` is empty."""
        self.kind.put(self.file, field, list(texts))

    def save(self) -> None:
        """Write the tags into the file, in place: not atomic, so open a copy."""
        self.kind.save(self.file, self.path)


@dataclass(frozen=True)
class _Kind:
    open: Callable[[Path, str | None], Any]
    get: Callable[[Any, str], list[str]]
    put: Callable[[Any, str, list[str]], None]
    save: Callable[[Any, Path], None]


# -- ID3: alone before MPEG frames, or in a chunk of WAV and AIFF


def _open_id3(path: Path, codec: str | None) -> Any:
    # Frames as they lie there: translating a 2.3 tag to 2.4 and back would change frames nobody asked about.
    try:
        tags = id3.ID3(str(path), translate=False)
    except id3.ID3NoHeaderError:
        return id3.ID3()
    return id3.ID3(str(path), v2_version=3) if tags.version < (2, 3) else tags


def _open_chunk(reader: Callable[..., Any]) -> Callable[[Path, str | None], Any]:
    def opened(path: Path, codec: str | None) -> Any:
        file = reader(str(path), translate=False)
        if file.tags is None:
            file.add_tags()
        return file

    return opened


def _frames(file: Any) -> Any:
    return file if isinstance(file, id3.ID3) else file.tags


def _version(tags: Any) -> int:
    """3 for a tag that is of version 2.3 or older, so that players which know no newer one still read it; else 4."""
    return 3 if tags.size and tags.version < (2, 4) else 4


def _key_id3(tags: Any, field: str) -> str:
    if field == "genre":
        return "TCON"
    if field == "mood" and _version(tags) == 4:
        return "TMOO"  # there is no such frame in 2.3
    return next((key for key in tags if key.upper() == f"TXXX:{field.upper()}"), f"TXXX:{field.upper()}")


def _get_id3(file: Any, field: str) -> list[str]:
    tags = _frames(file)
    frame = tags.get(_key_id3(tags, field))
    return [] if frame is None else [str(text) for text in getattr(frame, "genres", frame.text)]


def _put_id3(file: Any, field: str, texts: list[str]) -> None:
    tags = _frames(file)
    key = _key_id3(tags, field)
    tags.delall(key)
    if not texts:
        return
    encoding = UTF8 if _version(tags) == 4 else UTF16
    made = {"TCON": id3.TCON, "TMOO": id3.TMOO}.get(key)
    tags.add(made(encoding, texts) if made else id3.TXXX(encoding, key.partition(":")[2], texts))


def _save_id3(file: Any, path: Path) -> None:
    file.save(str(path), v2_version=_version(_frames(file)), v23_sep=None, padding=_keep_padding)


# -- comments of FLAC and Ogg


def _open_comments(path: Path, codec: str | None) -> Any:
    file = FLAC(str(path)) if codec == "" else OGG_READERS.get(codec or "", OGG_READERS["vorbis"])(str(path))
    if file.tags is None:
        file.add_tags()
    return file


def _put_comment(file: Any, field: str, texts: list[str]) -> None:
    if field in file.tags:
        del file.tags[field]
    if texts:
        file.tags[field.upper()] = texts


def _keep_padding(info: Any) -> int:
    """Padding as mutagen sees it: what is left of the old space, and where it is too small, a default."""
    return int(info.padding if info.padding >= 0 else info.get_default_padding())


# -- MP4 and ASF


def _key_mp4(field: str) -> str:
    return "\xa9gen" if field == "genre" else f"----:com.apple.iTunes:{field.upper()}"


def _get_mp4(file: Any, field: str) -> list[str]:
    found = (file.tags or {}).get(_key_mp4(field), [])
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in found]


def _put_mp4(file: Any, field: str, texts: list[str]) -> None:
    if file.tags is None:
        file.add_tags()
    if _key_mp4(field) in file.tags:
        del file.tags[_key_mp4(field)]
    if texts:
        free = field != "genre"
        file.tags[_key_mp4(field)] = [MP4FreeForm(t.encode(), AtomDataType.UTF8) if free else t for t in texts]


def _key_asf(field: str) -> str:
    return {"genre": "WM/Genre", "mood": "WM/Mood"}.get(field, field.upper())


def _put_asf(file: Any, field: str, texts: list[str]) -> None:
    if _key_asf(field) in file.tags:
        del file.tags[_key_asf(field)]
    if texts:
        file.tags[_key_asf(field)] = texts


_ID3 = _Kind(_open_id3, _get_id3, _put_id3, _save_id3)
_FLAC = _Kind(
    lambda path, codec: _open_comments(path, ""),
    lambda file, field: [str(text) for text in file.tags.get(field, [])],
    _put_comment,
    lambda file, path: file.save(str(path), padding=_keep_padding),
)
_KINDS = {
    "mp3": _ID3,
    "aac": _ID3,
    "wav": _Kind(_open_chunk(WAVE), _get_id3, _put_id3, _save_id3),
    "aiff": _Kind(_open_chunk(AIFF), _get_id3, _put_id3, _save_id3),
    "flac": _FLAC,
    "ogg": _Kind(_open_comments, _FLAC.get, _put_comment, _FLAC.save),
    "m4a": _Kind(
        lambda path, codec: MP4(str(path)), _get_mp4, _put_mp4, lambda f, path: f.save(str(path), padding=_keep_padding)
    ),
    "wma": _Kind(
        lambda path, codec: ASF(str(path)),
        lambda file, field: [str(text) for text in file.tags.get(_key_asf(field), [])],
        _put_asf,
        lambda file, path: file.save(str(path), padding=_keep_padding),
    ),
}


def _kind(container: str) -> _Kind:
    if container not in _KINDS:
        raise UsageError(f"tags are written into {', '.join(_KINDS)}, not into {container or 'this format'}")
    return _KINDS[container]
