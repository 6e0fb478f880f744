"""MPEG audio frame headers (ISO/IEC 11172-3 section 2.4.1.3, 13818-3) and the length headers encoders put in front.

Needed for two things a decoder does not say: whether bytes are MPEG audio at all, and whether the length a decoder
reports can be believed. An mp3 has no length of its own. Without a Xing, Info or VBRI header, libsndfile estimates one
from the first frames and stops there, which loses the end of a variable bit-rate file (44 % of one measured here).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from mmap import mmap

Data = bytes | mmap
_V1_L2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_V1_L3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44_100, 48_000, 32_000)
_DIVISOR = {3: 1, 2: 2, 0: 4}  # version bits: MPEG-1, MPEG-2, MPEG-2.5


@dataclass(frozen=True)
class Frame:
    """One frame header: `layer` 2 or 3, `bitrate` in kbit/s, `rate` in Hz, `size` in bytes, `samples` per channel."""

    version: int
    layer: int
    bitrate: int
    rate: int
    channels: int
    size: int
    samples: int

    def same_stream(self, other: Frame) -> bool:
        """Whether two frames can follow each other: version, layer and rate never change within a stream."""
        return (self.version, self.layer, self.rate) == (other.version, other.layer, other.rate)


@lru_cache(maxsize=4096)
def parse(header: bytes) -> Frame | None:
    """The frame whose first four bytes are `header`, or None where they are no layer II or III header.

    Layer I is not accepted: nobody keeps music in it, and its sync word is the byte order mark of UTF-16 text.
    Free-format bit rates (index 0) are not accepted: libsndfile does not play them.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = (header[1] >> 3) & 3, 4 - ((header[1] >> 1) & 3)
    bitrate_index, rate_index = header[2] >> 4, (header[2] >> 2) & 3
    if version == 1 or layer not in (2, 3) or rate_index == 3 or bitrate_index in (0, 15):
        return None
    table = _V2 if version != 3 else (_V1_L2 if layer == 2 else _V1_L3)
    bitrate, rate = table[bitrate_index], _RATES[rate_index] // _DIVISOR[version]
    samples = 576 if layer == 3 and version != 3 else 1152
    size = samples // 8 * bitrate * 1000 // rate + ((header[2] >> 1) & 1)
    return Frame(version, layer, bitrate, rate, 1 if header[3] >> 6 == 3 else 2, size, samples)


def run_length(data: Data, start: int, most: int = 4) -> int:
    """How many consecutive frames of one stream begin at `start`, at most `most`."""
    first = here = parse(bytes(data[start : start + 4]))
    count = 0
    while first is not None and here is not None and first.same_stream(here) and count < most:
        count += 1
        start += here.size
        here = parse(bytes(data[start : start + 4]))
    return count


def find_stream(data: Data, start: int = 0, within: int = 65_536) -> int | None:
    """Where MPEG audio begins in `data`, looking `within` bytes from `start`; None where it does not.

    One header is four bytes that noise produces by chance; four headers in a row at the distances they announce are
    not. At `start` itself a shorter run is believed when the data ends with it, as it does in a very short file.
    """
    first = parse(bytes(data[start : start + 4]))
    if first is not None and (run_length(data, start, 2) == 2 or start + first.size >= len(data)):
        return start
    end = min(len(data), start + within)
    while (start := data.find(b"\xff", start, end)) >= 0:
        if run_length(data, start) == 4:
            return start
        start += 1
    return None


@dataclass(frozen=True)
class Promise:
    """What a length header (`kind` Xing, Info or VBRI) says: `frames` and `size` in bytes of the stream, if given."""

    kind: str
    frames: int | None
    size: int | None


def promise(data: Data, start: int) -> Promise | None:
    """The length header in the frame at `start`, or None where the encoder wrote none."""
    frame = parse(bytes(data[start : start + 4]))
    if frame is None or frame.layer != 3:
        return None
    body = bytes(data[start + 4 : start + frame.size])
    if body[32:36] == b"VBRI":
        return Promise("VBRI", int.from_bytes(body[46:50], "big"), int.from_bytes(body[42:46], "big"))
    side = {(3, 2): 32, (3, 1): 17}.get((frame.version, frame.channels), 17 if frame.channels == 2 else 9)
    kind = body[side : side + 4]
    if kind not in (b"Xing", b"Info"):
        return None
    flags, words = body[side + 7], [int.from_bytes(body[side + 8 + 4 * i : side + 12 + 4 * i], "big") for i in (0, 1)]
    given = iter(words)
    return Promise(kind.decode(), next(given) if flags & 1 else None, next(given) if flags & 2 else None)


def constant_length(data: Data, start: int) -> int | None:
    """Samples from `start` to the end (or to a trailing tag) where every frame has one bit rate; None where not."""
    first = here = parse(bytes(data[start : start + 4]))
    count = 0
    while first is not None and here is not None and start + here.size <= len(data):
        if here.bitrate != first.bitrate or not here.same_stream(first):
            return None
        count += 1
        start += here.size
        here = parse(bytes(data[start : start + 4]))
    rest = bytes(data[start : start + 8])
    whole = here is not None or not rest or rest.startswith((b"TAG", b"APETAGEX"))
    return count * first.samples if first is not None and whole else None


def covers(told: Promise, data: Data, start: int) -> bool:
    """Whether a length header speaks of the whole file: of joined files it speaks of the first one.

    mpg123 does not read the count of a VBRI header, and doubts one that is off by more than a hundredth.
    """
    if told.kind == "VBRI" or not told.frames:
        return False
    return told.size is None or len(data) - start <= 1.01 * told.size + 1024
