"""Reading by FFmpeg (PyAV): m4a, aac, wma, and whatever libsndfile refuses.

It decodes forwards and counts samples. That is exact for every format, and nothing else is: a seek in raw AAC goes by
a guessed byte, times in wma and Matroska are rounded to milliseconds, and an AAC decoder draws the noise it fills bands
with from a generator whose state is the whole past (measured: a window decoded after a seek differed by 0.3 of full
scale). Only ALAC in m4a, where each packet stands alone and times count samples, is sought in. Going
forwards costs a 700th of the time skipped; reading windows in rising order costs one pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from mirclr.audio.integrity import require_finite
from mirclr.errors import AudioError

# The demuxer is named, never guessed: a guess can find a playlist script that opens other files.
DEMUXERS = {
    "m4a": "mov",
    "aac": "aac",
    "wma": "asf",
    "mp3": "mp3",
    "ogg": "ogg",
    "wav": "wav",
    "flac": "flac",
    "aiff": "aiff",
}
_SEEKABLE = ("alac",)
# Streams of frames that carry their own sync words, made to be joined and cut anywhere. As every player does, one
# damaged packet in 50 is dropped (junk between joined files, a tag in the middle).
_RAW = ("mp3", "aac")
_TOLERATED = 50
_SAMPLE_FORMATS = ("u8", "s16", "s32", "flt", "dbl")
_LARGEST_RAW_PACKET = 8191  # bytes; 13 bits of an ADTS header


class FfmpegReader:
    """An open file. `rate` in Hz, `channels`, `frames`: the length in samples it promises (None: nothing exact).

    Raises AudioError: undecodable, no_audio.
    """

    def __init__(self, path: Path, container: str) -> None:
        self._path, self._demuxer = path, DEMUXERS[container]
        self.rate = self.channels = 0
        self._rest: np.ndarray | None = None  # decoded and not yet taken; its first sample is at `_at`
        self._open()
        context = self._stream.codec_context
        self.codec: str = context.codec.canonical_name
        self.forward_only = self.codec not in _SEEKABLE
        self._hear_format(context)
        self.frames = self._promised()

    def _hear_format(self, context: Any) -> None:
        """Rate and channels of the first frame: the header of AAC may name half the rate that is decoded (HE-AAC)."""
        first = next(self._frames, None)
        self._rest = None if first is None else _samples(first)
        self.rate, self.channels = self.rate or context.sample_rate, self.channels or context.channels
        if not self.rate or not self.channels:
            self.close()
            raise AudioError(self._path, "undecodable", "the header gives no sample rate")

    def read(self, start: int, count: int) -> np.ndarray:
        """`(n, channels)` float32 from sample `start`; n < `count` only where the audio ends.

        Raises AudioError: undecodable.
        """
        if self.frames is not None:
            # An m4a says where its sound ends; behind it lies the encoder's padding.
            count = min(count, self.frames - start)
        if count > 0:
            self._stand_at(start)
        parts = list(self._take(count))
        block = np.concatenate(parts) if parts else np.zeros((0, self.channels), np.float32)
        require_finite(self._path, block)
        return block

    def _stand_at(self, start: int) -> None:
        if not self.forward_only and start > self._at + self.rate:
            self._seek(start)
        if start < self._at:
            self._reopen()
        self._skip_to(start)

    def estimated_seconds(self) -> float | None:
        """The length the container gives: exact to a millisecond in wma, a guess from the bit rate in raw AAC."""
        return self._container.duration / av.time_base if self._container.duration else None

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _open(self) -> None:
        try:
            # An absolute name cannot be read as a protocol ("http:", "concat:").
            self._container = av.open(os.path.abspath(self._path), format=self._demuxer, metadata_errors="replace")
        except (av.FFmpegError, ValueError) as error:
            raise self._undecodable(error) from error
        if not self._container.streams.audio:
            self.close()
            raise AudioError(self._path, "no_audio", "no audio stream in it")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            self.close()
            raise AudioError(self._path, "undecodable", "ffmpeg: no decoder for this codec")
        self._stream.codec_context.thread_count = 1  # processes are the parallelism here
        self._frames = self._decoded()
        self._rest = None
        self._at = 0

    def _reopen(self) -> None:
        self.close()
        self._open()

    def _undecodable(self, error: Exception) -> AudioError:
        return AudioError(self._path, "undecodable", f"ffmpeg: {getattr(error, 'strerror', None) or error}")

    def _promised(self) -> int | None:
        """The length an m4a's sample table promises; elsewhere it is a guess from bit rate or rounded time."""
        stream = self._stream
        if self._demuxer != "mov" or not stream.frames or not stream.duration:
            return None
        return round(stream.duration * self._samples_per_tick())

    def _samples_per_tick(self) -> Fraction:
        return (self._stream.time_base or Fraction(1, self.rate)) * self.rate

    def _decoded(self) -> Iterator[Any]:
        """The decoded frames from where the demuxer stands."""
        packets = damaged = 0
        try:
            for packet in self._packets():
                packets += 1
                try:
                    frames = packet.decode()
                except av.InvalidDataError:
                    damaged += 1
                    if self._demuxer not in _RAW or damaged > 1 + packets // _TOLERATED:
                        raise
                    continue
                yield from map(self._checked, frames)
        except (av.FFmpegError, ValueError) as error:
            raise self._undecodable(error) from error

    def _packets(self) -> Iterator[av.Packet]:
        """The packets from where the demuxer stands; a raw stream cut inside its last packet just ends."""
        end = 0
        try:
            for packet in self._container.demux(self._stream):
                end = packet.pos + packet.size if packet.pos else end
                yield packet
        except av.InvalidDataError:
            if self._demuxer not in _RAW or self._container.size - end > _LARGEST_RAW_PACKET:
                raise

    def _checked(self, frame: Any) -> Any:
        if not self.rate:
            self.rate, self.channels = frame.sample_rate, frame.layout.nb_channels
        if frame.sample_rate != self.rate or frame.layout.nb_channels != self.channels:
            raise AudioError(self._path, "undecodable", "rate or channels change in the middle")
        if frame.format.packed.name not in _SAMPLE_FORMATS:
            raise AudioError(self._path, "undecodable", f"samples of the format {frame.format.name}")
        return frame

    def _seek(self, start: int) -> None:
        """Stand at the packet that holds `start` or at an earlier one."""
        ticks = int(start / self._samples_per_tick()) + (self._stream.start_time or 0)
        try:
            self._container.seek(ticks, stream=self._stream, backward=True)
        except av.FFmpegError as error:
            raise self._undecodable(error) from error
        self._frames = self._decoded()
        first = next(self._frames, None)
        if first is None or first.pts is None:
            self._reopen()
            return
        self._rest = _samples(first)
        self._at = round((first.pts - (self._stream.start_time or 0)) * self._samples_per_tick())

    def _skip_to(self, start: int) -> None:
        """Stand at sample `start`, or at the end; frames that lie before it are not even converted."""
        while self._at < start:
            if self._rest is not None:
                self._cut(start - self._at)
            elif (frame := next(self._frames, None)) is None:
                return
            elif self._at + frame.samples <= start:
                self._at += frame.samples
            else:
                self._rest = _samples(frame)

    def _take(self, count: int) -> Iterator[np.ndarray]:
        """`count` samples from where we stand, in blocks; fewer where the audio ends."""
        while count > 0:
            if self._rest is None:
                if (frame := next(self._frames, None)) is None:
                    return
                self._rest = _samples(frame)
            yield (block := self._cut(count))
            count -= len(block)

    def _cut(self, count: int) -> np.ndarray:
        """At most `count` samples of the decoded block we stand in."""
        block = self._rest if self._rest is not None else np.zeros((0, self.channels), np.float32)
        self._rest = block[count:] if len(block) > count else None
        self._at += len(block[:count])
        return block[:count]


def _samples(frame: av.AudioFrame) -> np.ndarray:
    """A decoded frame of any sample format as `(n, channels)` float32 of full scale 1."""
    raw = frame.to_ndarray()
    block = raw.T if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels)
    if block.dtype.kind == "f":
        return block.astype(np.float32, copy=False)
    if block.dtype == np.uint8:
        return (block.astype(np.float32) - 128) / 128
    return block.astype(np.float32) / np.float32(2.0 ** (8 * block.dtype.itemsize - 1))
