"""The container of a file by its content, never by its name.

`sniff` names the format a decoder is then told to expect, so a text file called `.mp3`, or a playlist script that
would make a demuxer open other files, never reaches a codec.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mirclr.audio import mpeg_frames
from mirclr.errors import AudioError

CONTAINERS = ("wav", "flac", "mp3", "ogg", "m4a", "aac", "aiff", "wma")

_NAMES = (
    "wav wave bwf rf64 w64 flac fla mp3 mp2 mpga ogg oga opus spx m4a m4b m4p aac adts alac aif aiff aifc "
    "wma asf ape wv mpc tta dsf dff au snd caf ac3 dts amr mka weba"
)
# Names that promise audio: a file with one of them and other content is quarantined, not ignored.
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())

# Recognised so that they can be named in the quarantine list rather than vanish among "other files".
_UNREAD = {
    b"MAC ": "Monkey's Audio",
    b"wvpk": "WavPack",
    b"MPCK": "Musepack",
    b"MP+": "Musepack",
    b"TTA1": "True Audio",
    b"DSD ": "DSD (dsf)",
    b"FRM8": "DSD (dff)",
    b"caff": "Core Audio Format",
    b".snd": "Sun/NeXT audio",
    b"#!AMR": "AMR speech",
    b"riff\x2e\x91\xcf\x11": "Wave64",
}
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_PICTURE_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"crx ")  # photographs in the same boxes
_HEAD = 65_536  # covers the junk in front of the first frame that players accept
_OGG_CODECS = {b"\x01vorbis": "vorbis", b"OpusHead": "opus", b"\x7fFLAC": "flac", b"Speex   ": "speex"}


@dataclass(frozen=True)
class Sniffed:
    """`container` of `CONTAINERS`, or None; `unread` names a known format that is not read; `start` is the byte
    where the container begins, behind any ID3 tags; `codec` where the magic tells it (Ogg only)."""

    container: str | None
    start: int = 0
    unread: str | None = None
    codec: str | None = None


def sniff(path: str | Path) -> Sniffed:
    """What `path` holds, from its first bytes.

    Raises AudioError: missing_file, permission, unreadable, empty_file, zero_length.
    """
    try:
        with Path(path).open("rb") as file:
            start = _behind_id3(file.read(10), file)
            file.seek(start)
            head = file.read(_HEAD)
            if not head:
                code = ("zero_length", "an ID3 tag and nothing behind it") if start else ("empty_file", "0 bytes")
                raise AudioError(path, *code)
    except FileNotFoundError as error:
        raise AudioError(path, "missing_file", "no such file") from error
    except PermissionError as error:
        raise AudioError(path, "permission", "no permission to read it") from error
    except OSError as error:
        raise AudioError(path, "unreadable", error.strerror or str(error)) from error
    return _by_magic(head, start)


def _behind_id3(header: bytes, file: BinaryIO) -> int:
    """The offset behind all ID3v2 tags at the front (id3.org: four 7-bit bytes of size, 10 more with a footer)."""
    at = 0
    while header[:3] == b"ID3" and len(header) == 10 and max(header[6:10]) < 0x80:
        size = (header[6] << 21) | (header[7] << 14) | (header[8] << 7) | header[9]
        at += 10 + size + (10 if header[5] & 0x10 else 0)
        file.seek(at)
        header = file.read(10)
    return at


def _by_magic(head: bytes, start: int) -> Sniffed:
    container = _fixed_magic(head)
    if container == "ogg":
        codec = next((name for magic, name in _OGG_CODECS.items() if magic in head[:512]), None)
        return Sniffed("ogg", start, codec=codec)
    if container is not None:
        return Sniffed(container, start)
    unread = next((name for magic, name in _UNREAD.items() if head.startswith(magic)), None)
    if unread is not None:
        return Sniffed(None, start, unread=unread)
    if _is_adts(head):
        return Sniffed("aac", start)
    mpeg = None if _is_other(head) else mpeg_frames.find_stream(head)
    return Sniffed(None, start) if mpeg is None else Sniffed("mp3", start + mpeg)


def _fixed_magic(head: bytes) -> str | None:
    """The containers that begin with letters of their own."""
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] == b"ftyp" and head[8:12] not in _PICTURE_BRANDS:
        return "m4a"
    known = {b"fLaC": "flac", b"OggS": "ogg", _ASF[:4]: "wma"}
    return known.get(head[:4])


def _is_adts(head: bytes) -> bool:
    """Two ADTS headers in a row (ISO/IEC 13818-7, 6.2), or one that reaches the end of the file."""
    size = _adts_size(head)
    return size > 0 and (size >= len(head) or _adts_size(head[size : size + 7]) > 0)


def _adts_size(header: bytes) -> int:
    """The frame length in an ADTS header, 0 where it is none (layer bits must be 0, rate index at most 12)."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or (header[2] >> 2) & 15 > 12:
        return 0
    size = ((header[3] & 3) << 11) | (header[4] << 3) | (header[5] >> 5)
    return size if size > 7 else 0


def _is_other(head: bytes) -> bool:
    """Containers in which MPEG frames can appear without the file being an mp3: pictures, archives, videos."""
    others = (
        b"RIFF",
        b"\x00\x00\x01\xba",
        b"\x1a\x45\xdf\xa3",
        b"PK\x03\x04",
        b"\xff\xd8\xff",
        b"\x89PNG",
        b"%PDF",
        b"GIF8",
    )
    return head.startswith(others)


def looks_like_audio(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name promises audio, whatever it holds."""
    return os.path.splitext(os.fspath(name))[1].lower() in AUDIO_SUFFIXES
