"""The last pages of an Ogg file (RFC 3533, section 6): where they begin in samples, and whether the last is whole.

libsndfile takes the length of an Ogg file from the last page that is complete, so a file cut in the middle looks like
a shorter one; and its seek into the last page is off by the samples that page trims. Both show here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_LARGEST_PAGE = 27 + 255 + 255 * 255
_UNFINISHED = 0xFFFFFFFFFFFFFFFF  # granule position of a page on which no packet ends


@dataclass(frozen=True)
class Tail:
    """`before_last`: granule position (samples; 48 kHz ones for Opus) at which the last page begins, 0 if unknown.
    `cut`: the file ends inside a page. `chained`: the last page is of another stream than the first."""

    before_last: int
    cut: bool
    chained: bool


def tail(path: Path) -> Tail:
    """The `Tail` of the Ogg file at `path`. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        serial = file.read(18)[14:]
        file.seek(max(0, size - 4 * _LARGEST_PAGE))
        data = file.read()
    granules, end, at = [], 0, data.find(b"OggS")
    last_serial = serial
    while at >= 0:
        last_serial = data[at + 14 : at + 18]
        end = at + _page_size(data, at)
        granule = int.from_bytes(data[at + 6 : at + 14], "little")
        if end <= len(data) and granule != _UNFINISHED:
            granules.append(granule)
        at = data.find(b"OggS", max(end, at + 4))
    return Tail(granules[-2] if len(granules) > 1 else 0, end > len(data), last_serial != serial)


def _page_size(data: bytes, at: int) -> int:
    """Header, segment table and segments of the page at `at`; more than the file where it was cut."""
    if len(data) < at + 27:
        return len(data) - at + 1
    segments = data[at + 26]
    table = data[at + 27 : at + 27 + segments]
    return 27 + segments + sum(table) if len(table) == segments else len(data) - at + 1
