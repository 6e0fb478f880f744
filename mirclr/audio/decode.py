"""`decode`: a path, a start and a length become mono float32 samples at one rate.

A window is the slice of the whole file, exactly at the file's own rate and to float rounding after resampling: the
resampler (soxr HQ, a linear-phase FIR) starts on an input sample that falls on an output sample, and sees as much
sound around the window as its filter is long. Decoding, seeking and resampling run in C without the interpreter lock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from mirclr.audio import mpeg_frames, ogg_pages
from mirclr.audio.ffmpeg_reader import FfmpegReader
from mirclr.audio.integrity import refuse_encrypted
from mirclr.audio.sniff import Sniffed, sniff
from mirclr.audio.soundfile_reader import SoundFileReader
from mirclr.errors import AudioError
from mirclr.units import samples_of

_BLOCK = 262_144
_BY_FFMPEG = ("m4a", "aac", "wma")
# How far soxr HQ looks, in samples of the lower rate: with 75 on either side of a window of white noise the window
# still differs by 1e-5, from 100 on by float rounding only (2e-7), for 44.1 kHz to 8, 16, 22.05, 48 and 96 kHz.
_CONTEXT = 200


class Reader(Protocol):
    """An open file: `rate` in Hz, `channels`, `frames` promised (None: unknown), `codec`.

    `forward_only`: a later window costs the decoding of everything before it.
    """

    rate: int
    channels: int
    frames: int | None
    codec: str
    forward_only: bool

    def read(self, start: int, count: int) -> np.ndarray:
        """`(n, channels)` float32 from sample `start`; n < `count` only where the audio ends."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def decode(path: str | Path, sample_rate: int, start_s: float = 0.0, duration_s: float | None = None) -> np.ndarray:
    """Mono samples of an audio file: `(T,)` float32, full scale 1 (lossy codecs can exceed it a little).

    `sample_rate` in Hz. `start_s` and `duration_s` in seconds; None goes to the end. T is `round(duration_s *
    sample_rate)` inside the file, less where the file ends sooner, 0 past its end. Mono is the mean of the channels.
    Equal to the slice `[round(start_s * sample_rate):][:T]` of the whole file decoded at that rate.

    Raises AudioError (`reason` a code of `mirclr.audio.reasons`) and ValueError on a negative start or length.
    """
    if start_s < 0 or (duration_s is not None and duration_s < 0) or sample_rate < 1:
        raise ValueError(
            f"need start_s, duration_s >= 0 and sample_rate > 0, got {start_s}, {duration_s}, {sample_rate}"
        )
    with closing(open_reader(path)) as reader:
        count = None if duration_s is None else samples_of(duration_s, sample_rate)
        return read_mono(reader, sample_rate, samples_of(start_s, sample_rate), count)


def open_reader(path: str | Path, sniffed: Sniffed | None = None) -> Reader:
    """The reader for `path` by its content. Raises AudioError: not_audio, unsupported, drm, undecodable and sniff's."""
    path = Path(path)
    sniffed = sniffed or sniff(path)
    if sniffed.unread is not None:
        raise AudioError(path, "unsupported", f"{sniffed.unread} is not read; convert it, to FLAC for example")
    if sniffed.container is None:
        raise AudioError(path, "not_audio", "no audio format begins like this file")
    if sniffed.container in _BY_FFMPEG:
        refuse_encrypted(path, sniffed.container)
        return FfmpegReader(path, sniffed.container)
    try:
        return _usual_reader(path, sniffed)
    except AudioError as refusal:
        return _second_opinion(path, sniffed.container, refusal)


def _usual_reader(path: Path, sniffed: Sniffed) -> Reader:
    if sniffed.container == "mp3":
        return _mp3_reader(path, sniffed.start)
    # libsndfile reads the first of several Ogg streams in a row and says nothing of the others.
    if sniffed.container == "ogg" and ogg_pages.tail(path).chained:
        return FfmpegReader(path, "ogg")
    return SoundFileReader(path)


def _mp3_reader(path: Path, start: int) -> Reader:
    """libsndfile where the length is known: told by a header, or counted at a constant bit rate."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        told = mpeg_frames.promise(data, start)
        if told is not None:
            return SoundFileReader(path) if mpeg_frames.covers(told, data, start) else FfmpegReader(path, "mp3")
        length = mpeg_frames.constant_length(data, start)
    return SoundFileReader(path, length) if length is not None else FfmpegReader(path, "mp3")


def _second_opinion(path: Path, container: str, refusal: AudioError) -> Reader:
    try:
        return FfmpegReader(path, container)
    except AudioError as error:
        raise AudioError(path, "undecodable", f"{refusal.detail}; {error.detail}") from error


def read_mono(reader: Reader, sample_rate: int, start: int, count: int | None) -> np.ndarray:
    """`(T,)` float32 at `sample_rate` from an open reader; `start` and `count` in samples of that rate."""
    if sample_rate == reader.rate:
        return _joined(_mono_blocks(reader, start, count))
    common = math.gcd(sample_rate, reader.rate)
    step_out, step_in = sample_rate // common, reader.rate // common
    context = _CONTEXT * max(1.0, sample_rate / reader.rate)  # in output samples
    grid = max(0, math.floor((start - context) / step_out))
    lead = start - grid * step_out
    wanted = None if count is None else math.ceil((lead + count + context) * step_in / step_out)
    blocks = _mono_blocks(reader, grid * step_in, wanted)
    out = _joined(_resampled(blocks, reader.rate, sample_rate))
    return out[lead:] if count is None else out[lead : lead + count]


def _mono_blocks(reader: Reader, start: int, count: int | None) -> Iterator[np.ndarray]:
    """Mono blocks from `start` until `count` samples or the end."""
    while count is None or count > 0:
        asked = _BLOCK if count is None else min(_BLOCK, count)
        block = reader.read(start, asked)
        if len(block):
            yield _mono(block)
        if len(block) < asked:
            return
        start += asked
        count = None if count is None else count - asked


def _mono(block: np.ndarray) -> np.ndarray:
    """The mean of the channels; column by column, because numpy's mean along rows of two takes ten times as long."""
    total = block[:, 0].copy()
    for channel in block.T[1:]:
        total += channel
    return total / np.float32(block.shape[1])


def _resampled(blocks: Iterator[np.ndarray], rate: int, sample_rate: int) -> Iterator[np.ndarray]:
    """soxr rounds its length one way or the other; here n samples always become n * sample_rate / rate, half up."""
    stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for block in blocks:
        taken += len(block)
        yield (out := stream.resample_chunk(block))
        given += len(out)
    # soxr takes what lies behind the end as zeros; a few more of them only make the output long enough to cut.
    last = stream.resample_chunk(np.zeros(2 + 2 * rate // sample_rate, np.float32), last=True)
    yield last[: (2 * taken * sample_rate + rate) // (2 * rate) - given]


def _joined(blocks: Iterator[np.ndarray]) -> np.ndarray:
    parts = list(blocks)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
