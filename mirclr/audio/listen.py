"""Hearing enough of a file to judge it: does it end where it promises, what is its sound, is it some other file's twin.

Short files are heard whole, long ones in windows. Ten windows of two seconds, evenly spaced from the first sample to
the last, cost about an eighth of decoding four minutes; they find a cut end for certain, damage inside with the
probability that it covers a window, and clipping or offset, which last for a whole recording, from 20 s of it.
Where windows save nothing (a decoder that only goes forward passes everything anyway) the file is heard whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from mirclr.audio.decode import Reader
from mirclr.audio.quality import Measurement
from mirclr.errors import AudioError

WHOLE_S = 60.0
WINDOWS, WINDOW_S = 10, 2.0
_BLOCK = 262_144


@dataclass(frozen=True)
class Heard:
    """`measured` sound, `length` of the file in samples, `audio_id`: 32 hex digits, equal for equal audio.

    The id covers rate, channels, length and the heard samples rounded to 16 bits: retagging does not change it,
    and a wav and the flac or alac made of it share it. Lossy versions of one recording do not.
    """

    measured: Measurement
    length: int
    audio_id: str


def listen(path: Path, reader: Reader) -> Heard:
    """Hear the open file `reader` (`path` is for messages).

    Raises AudioError: zero_length, truncated (the end is missing), undecodable (damaged inside).
    """
    if reader.frames == 0:
        raise AudioError(path, "zero_length", "its header promises 0 samples")
    if not reader.forward_only:
        _require_end(path, reader)
    measured, digest = Measurement(), blake2b(digest_size=16)
    for block in _blocks(path, reader):
        measured.add(block)
        digest.update(_as_int16(block))
    length = _length(path, reader, measured)
    digest.update(f"{reader.rate} {reader.channels} {length}".encode())
    return Heard(measured, length, digest.hexdigest())


def _is_heard_whole(reader: Reader, frames: int) -> bool:
    return reader.forward_only or frames <= WHOLE_S * reader.rate


def _tolerance(frames: int) -> int:
    """Samples that may be missing at the end: encoders miscount by a frame or two of 1,152, nobody by a thousandth."""
    return max(2304, frames // 1000)


def _require_end(path: Path, reader: Reader) -> None:
    """Raises AudioError `truncated` where the last samples are not there; a file with no start is `undecodable`."""
    frames = reader.frames or 0
    place = max(0, frames - 1 - _tolerance(frames))
    try:
        there = len(reader.read(place, 1)) == 1
    except AudioError:
        reader.read(0, 1)
        there = False
    if not there:
        heard, promised = place / reader.rate, frames / reader.rate
        raise AudioError(path, "truncated", f"no sound at {heard:.2f} s of the {promised:.2f} s its header promises")


def _blocks(path: Path, reader: Reader) -> Iterator[np.ndarray]:
    """What is heard: all of it in blocks, or the windows."""
    frames = reader.frames
    if frames is None or _is_heard_whole(reader, frames):
        start = 0
        while len(block := reader.read(start, _BLOCK)):
            yield block
            start += len(block)
        return
    count = round(WINDOW_S * reader.rate)
    for start in np.linspace(0, frames - count, WINDOWS, dtype=int).tolist():
        block = reader.read(start, count)
        if len(block) < count - _tolerance(frames):
            raise AudioError(path, "undecodable", f"no sound at {start / reader.rate:.1f} s")
        yield block


def _length(path: Path, reader: Reader, measured: Measurement) -> int:
    """The length in samples: the promise where only windows were heard, else what was heard."""
    frames = reader.frames
    if frames is not None and not _is_heard_whole(reader, frames):
        return frames
    if not measured.samples:
        raise AudioError(path, "zero_length", "it decodes to 0 samples")
    if frames is not None and measured.samples < frames - _tolerance(frames):
        heard, promised = measured.samples / reader.rate, frames / reader.rate
        # Where the end was found by seeking, the loss lies inside.
        reason = "truncated" if reader.forward_only else "undecodable"
        raise AudioError(path, reason, f"{heard:.2f} s of sound, its header promises {promised:.2f} s")
    return measured.samples


def _as_int16(block: np.ndarray) -> bytes:
    return np.clip(np.rint(block * 32_768), -32_768, 32_767).astype("<i2").tobytes()
