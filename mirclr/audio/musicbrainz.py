"""MusicBrainz's identifier of a recording in a file's tags, where taggers such as Picard and beets put it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mutagen.id3 import ID3

from mirclr.audio.sniff import sniff
from mirclr.audio.tag_fields import TagFile
from mirclr.audio.tags import BROKEN

OWNER = "http://musicbrainz.org"
_NAMES = ("musicbrainz_trackid", "----:com.apple.iTunes:MusicBrainz Track Id", "MusicBrainz/Track Id")
_MBID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def recording_id(path: str | Path) -> str | None:
    """The recording's identifier (36 letters), or None where the tags have none. Raises AudioError as `sniff`."""
    sniffed = sniff(path)
    if sniffed.container is None:
        return None
    try:
        file = TagFile(Path(path), sniffed.container, sniffed.codec).file
        found = _text(file if isinstance(file, ID3) else file.tags)
    except BROKEN:
        return None
    whole = found.strip().lower()
    return whole if _MBID.fullmatch(whole) else None


def _text(tags: Any) -> str:
    if isinstance(tags, ID3):
        frame = tags.get(f"UFID:{OWNER}")
        return "" if frame is None else bytes(frame.data).decode("ascii", "replace")
    for name in _NAMES:
        if tags and tags.get(name):
            value = tags[name][0]
            return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return ""
