"""What the cache keeps of one file: mono int16 samples, all of it or evenly spaced excerpts.

int16 at full scale 32,768: a 16-bit file at the cache's rate comes back bit for bit, and the rounding noise of
anything else lies 98 dB below full scale, under the noise of 16-bit music itself. Lossy codecs can decode to peaks
above full scale; these are clipped to the range, never wrapped.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from mirclr.audio.decode import open_reader, read_mono
from mirclr.audio.store import Span
from mirclr.audio.track import content_id
from mirclr.errors import AudioError
from mirclr.units import samples_of


@dataclass(frozen=True)
class CacheSettings:
    """What is kept of each file: mono at `sample_rate` Hz, at most `max_seconds` (None: everything).

    A longer file keeps evenly spaced excerpts of about `excerpt_seconds` each, from its beginning, middle and end
    alike. The default, 4 excerpts of 30 s, is argued so: two crops of a track should differ as verse and chorus do,
    and sections last 15 to 40 s, so four excerpts spread over a song meet most of its sections; an excerpt must be
    longer than any crop, and in 30 s a crop of 4 s still has 26 s of places to start, so that few draws repeat; a
    seek costs 10 to 20 ms against 100 ms for decoding 30 s; and a track takes 3.8 MB at 16 kHz, so 10,000 tracks fit
    in 38 GB where the whole files would need three times as much for material that is mostly repetition.
    Ask for longer `excerpt_seconds` when crops come near 30 s.
    """

    sample_rate: int = 16_000
    max_seconds: float | None = 120.0
    excerpt_seconds: float = 30.0

    @property
    def described(self) -> dict[str, Any]:
        """The settings a store is bound to."""
        return {"rows": "mono samples, full scale 32768", **asdict(self)}


class Track(NamedTuple):
    """A file to decode, and its size and time of change when it was scanned, where known."""

    id: str
    path: str
    duration: float
    size: int | None = None
    mtime_ns: int | None = None


def to_int16(samples: np.ndarray) -> np.ndarray:
    """float32 samples at full scale 1 to int16, rounded, clipped to the range."""
    return np.clip(np.rint(samples * 32_768.0), -32_768, 32_767).astype(np.int16)


def to_float32(row: np.ndarray) -> np.ndarray:
    """int16 samples of a store to float32 in [-1, 1)."""
    return row.astype(np.float32) * np.float32(1 / 32_768)


def excerpts(duration: float, settings: CacheSettings) -> list[tuple[float, float | None]]:
    """`(start, length)` in seconds of what is kept of a file of `duration` seconds; length None: to the end.

    The file is cut into as many equal parts as there are excerpts and each excerpt is the middle of its part, so that
    fades and applause at both ends weigh least.
    """
    limit = settings.max_seconds
    if limit is None or duration <= limit:
        return [(0.0, None)]
    count = max(1, round(limit / settings.excerpt_seconds))
    part, length = duration / count, limit / count
    return [(k * part + (part - length) / 2, length) for k in range(count)]


def _refuse_changed(track: Track) -> None:
    """Raise AudioError when the file is no longer the content its id names: a cache shared by content must not lie.

    Size and time of change settle it for nearly every file; the others are hashed again.
    """
    try:
        found = os.stat(track.path)
        touched = track.size is not None and (track.size, track.mtime_ns) != (found.st_size, found.st_mtime_ns)
        changed = touched and content_id(track.path) != track.id
    except OSError:
        return  # the reader says why
    if changed:
        raise AudioError(track.path, "changed", "not the file that was scanned; scan the folder again")


def decode_row(track: Track, settings: CacheSettings) -> tuple[np.ndarray, list[Span]]:
    """The int16 row of a file and the spans of its excerpts, for a worker process. Raises AudioError."""
    pieces: list[np.ndarray] = []
    spans: list[Span] = []
    end = 0
    _refuse_changed(track)
    with closing(open_reader(track.path)) as reader:
        for start_s, length_s in excerpts(track.duration, settings):
            count = None if length_s is None else samples_of(length_s, settings.sample_rate)
            first = samples_of(start_s, settings.sample_rate)
            piece = to_int16(read_mono(reader, settings.sample_rate, first, count))
            if len(piece):
                spans.append(Span(end, len(piece), start_s))
                pieces.append(piece)
                end += len(piece)
    if not pieces:
        raise AudioError(track.path, "zero_length", f"no audio in the {track.duration:.1f} s the table promises")
    return np.concatenate(pieces), spans
