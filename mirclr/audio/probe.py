"""`probe`: what a file is, from its header."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mirclr.audio.decode import open_reader
from mirclr.audio.ffmpeg_reader import FfmpegReader
from mirclr.audio.sniff import sniff


@dataclass(frozen=True)
class AudioInfo:
    """`container` of `sniff.CONTAINERS`; `codec` for people; `sample_rate` in Hz; `channels`; `duration` in s."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    duration: float


def probe(path: str | Path) -> AudioInfo:
    """Container, codec, rate, channels and length of an audio file without decoding it.

    `duration` is the promise of the header: exact where the format counts samples (wav, aiff, flac, Ogg, m4a, mp3 with
    a length header or a constant bit rate), to a millisecond in wma, and an estimate that can be far off in raw AAC
    and headerless mp3 of variable bit rate. A cut file still promises its whole length. `scan` measures.

    Raises AudioError as `decode` does.
    """
    path = Path(path)
    sniffed = sniff(path)
    with closing(open_reader(path, sniffed)) as reader:
        seconds = None if reader.frames is None else reader.frames / reader.rate
        if isinstance(reader, FfmpegReader):
            seconds = seconds or reader.estimated_seconds()
        return AudioInfo(sniffed.container or "", reader.codec, reader.rate, reader.channels, seconds or 0.0)
