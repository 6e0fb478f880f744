"""What a container says about itself before a decoder is asked: is it encrypted, and is all of it there.

Decoders are poor witnesses to both. Encrypted AAC decodes to an error or to noise; libsndfile shortens its idea of a
cut wav, aiff or Ogg file and never mentions it. The structure tells: objects that carry their size (RIFF and IFF
chunks, ISO base media boxes, ASF objects) end behind the end of a cut file; Ogg pages likewise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import numpy as np

from mirclr.audio import ogg_pages
from mirclr.errors import AudioError

# ISO/IEC 14496-12: sample entries whose code hides the real one. `drms` is Apple's FairPlay, `enca` the standard.
_ENCRYPTED_ENTRIES = (b"drms", b"enca", b"encv")
_PARENT_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
# ASF specification 3.14 to 3.16: content encryption, extended content encryption, advanced content encryption.
_ENCRYPTED_OBJECTS = tuple(
    UUID(text).bytes_le
    for text in (
        "2211b3fb-bd23-11d2-b4b7-00a0c955fc6e",
        "298ae614-2622-4c17-b935-dae07ee9289c",
        "43058533-6981-49e6-9b74-ad12cb86d58c",
    )
)
# The pieces without which there is no sound. Whatever else trails behind may be as broken as it likes.
_ASF_PIECES = (
    UUID("75b22630-668e-11cf-a6d9-00aa0062ce6c").bytes_le,
    UUID("75b22636-668e-11cf-a6d9-00aa0062ce6c").bytes_le,
)
_NEEDED = (b"data", b"SSND", b"moov", b"moof", b"mdat", *_ASF_PIECES)
_UNKNOWN_SIZE = 0xFFFFFFFF  # written by programs that stream a wav into a pipe


@dataclass(frozen=True)
class Piece:
    """One chunk, box or object: its `kind`, where its content begins and where it ends, in bytes of the file."""

    kind: bytes
    content: int
    end: int


def refuse_encrypted(path: Path, container: str) -> None:
    """Raises AudioError `drm` where the container says that its audio is encrypted. OSError passes through."""
    with path.open("rb") as file:
        if container == "m4a" and (entry := _encrypted_entry(file, 0, path.stat().st_size)):
            raise AudioError(path, "drm", f"the audio track is encrypted (sample entry {entry.decode('latin-1')!r})")
        if container == "wma" and _has_encryption_object(file):
            raise AudioError(path, "drm", "the ASF header holds a content encryption object")


def refuse_cut(path: Path, container: str) -> None:
    """Raises AudioError `truncated` where the structure promises more bytes than the file has.

    A thousandth of the promise (at least 1 KiB) may be missing: sloppy writers miscount padding, and nobody hears it.
    Formats without sizes (mp3, flac, raw AAC) pass: there the audio itself is asked. OSError passes through.
    """
    size = path.stat().st_size
    if container == "ogg":
        if ogg_pages.tail(path).cut:
            raise AudioError(path, "truncated", "the file ends inside an Ogg page")
        return
    pieces = {"wav": _riff_chunks, "aiff": _iff_chunks, "m4a": _boxes, "wma": _asf_objects}.get(container)
    if pieces is None:
        return
    with path.open("rb") as file:
        promised = max((piece.end for piece in pieces(file, 0, size) if piece.kind in _NEEDED), default=0)
    if promised - size > max(1024, promised // 1000):
        raise AudioError(path, "truncated", f"{size} bytes of the {promised} its structure promises")


def require_finite(path: Path, block: np.ndarray) -> None:
    """Raises AudioError `undecodable` where samples are NaN or infinite: one of them spoils a batch."""
    if not np.isfinite(block.sum()):
        raise AudioError(path, "undecodable", "samples that are no finite numbers")


def _encrypted_entry(file: BinaryIO, start: int, end: int) -> bytes | None:
    """The format code of an encrypted sample entry (moov/trak/mdia/minf/stbl/stsd), or None."""
    for box in _boxes(file, start, end):
        if box.kind in _PARENT_BOXES and (found := _encrypted_entry(file, box.content, min(end, box.end))):
            return found
        if box.kind == b"stsd":
            # 8 bytes of version, flags and count before the entries
            found = next((e.kind for e in _boxes(file, box.content + 8, box.end) if e.kind in _ENCRYPTED_ENTRIES), None)
            if found:
                return found
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[Piece]:
    """ISO boxes: 32-bit size and kind; size 1 means a 64-bit size follows, 0 that the box goes on to the end."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        head = 16 if size == 1 else 8
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        size = size or end - start
        if size < head:
            return
        yield Piece(kind, start + head, start + size)
        start += size


def _has_encryption_object(file: BinaryIO) -> bool:
    file.seek(16)
    header_size = int.from_bytes(file.read(8), "little")
    return any(o.kind in _ENCRYPTED_OBJECTS for o in _asf_objects(file, 30, header_size))


def _asf_objects(file: BinaryIO, start: int, end: int) -> Iterator[Piece]:
    """ASF objects: a 16-byte GUID and a 64-bit little-endian size that includes both."""
    while start + 24 <= end:
        file.seek(start)
        header = file.read(24)
        size = int.from_bytes(header[16:24], "little")
        if len(header) < 24 or size < 24:
            return
        yield Piece(header[:16], start + 24, start + size)
        start += size


def _riff_chunks(file: BinaryIO, start: int, end: int) -> Iterator[Piece]:
    """The chunks of a RIFF, RIFX or RF64 file; in RF64 (EBU Tech 3306) `ds64` carries the real size of `data`."""
    file.seek(start)
    order = "big" if file.read(4) == b"RIFX" else "little"
    large = 0
    for chunk in _chunks(file, start + 12, end, order):
        if chunk.kind == b"ds64":
            file.seek(chunk.content + 8)
            large = int.from_bytes(file.read(8), "little")
        if chunk.end - chunk.content != _UNKNOWN_SIZE:
            yield chunk
        elif large:
            yield Piece(chunk.kind, chunk.content, chunk.content + large)


def _iff_chunks(file: BinaryIO, start: int, end: int) -> Iterator[Piece]:
    yield from _chunks(file, start + 12, end, "big")


def _chunks(file: BinaryIO, start: int, end: int, order: str) -> Iterator[Piece]:
    """Chunks of a four-letter kind and a 32-bit size, padded to even length."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(8)
        size = int.from_bytes(header[4:], "big" if order == "big" else "little")
        yield Piece(header[:4], start + 8, start + 8 + size)
        start += 8 + size + (size & 1)
