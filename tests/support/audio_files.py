"""Small audio files of every format the project reads, from known samples."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 44_100
_BLOCK = 65_536


def music_like(seconds: float, rate: int = RATE, channels: int = 2, seed: int = 0) -> np.ndarray:
    """`(T, channels)` float32: a gliding tone, its octave and a little noise; no two moments alike, peak under 0.9."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal((len(t), channels))
    tone = 0.4 * np.sin(2 * np.pi * (220 + 40 * seed + 30 * np.sin(t)) * t)
    octave = 0.2 * np.sin(2 * np.pi * 440 * t * (1 + 0.01 * t))
    return (tone[:, None] + octave[:, None] * np.linspace(1, 0.5, channels) + 0.02 * noise).astype(np.float32)


def _sound(container: str, subtype: str) -> Callable[[Path, np.ndarray, int], None]:
    def write(path: Path, samples: np.ndarray, rate: int) -> None:
        with soundfile.SoundFile(path, "w", rate, samples.shape[1], subtype=subtype, format=container) as file:
            for start in range(0, len(samples), _BLOCK):  # libsndfile's Vorbis encoder overruns its stack on minutes
                file.write(samples[start : start + _BLOCK])

    return write


def _ffmpeg(muxer: str, codec: str, **mux: str) -> Callable[[Path, np.ndarray, int], None]:
    def write(path: Path, samples: np.ndarray, rate: int) -> None:
        encode(path, samples, rate, muxer, codec, mux=mux)

    return write


def encode(
    path: Path,
    samples: np.ndarray,
    rate: int,
    muxer: str,
    codec: str,
    *,
    bit_rate: int = 128_000,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
) -> None:
    """`(T, channels)` float32 to a file by FFmpeg: `muxer` and `codec` by their names there."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w", format=muxer, options=mux or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout, options=options or {})
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


# name of a file: how it is written. The suffix is the usual one; `sniff` never looks at it.
FORMATS: dict[str, Callable[[Path, np.ndarray, int], None]] = {
    "pcm.wav": _sound("WAV", "PCM_16"),
    "float.wav": _sound("WAV", "FLOAT"),
    "rf64.wav": _sound("RF64", "PCM_24"),
    "pcm.aiff": _sound("AIFF", "PCM_16"),
    "float.aifc": _sound("AIFF", "FLOAT"),
    "lossless.flac": _sound("FLAC", "PCM_16"),
    "vorbis.ogg": _sound("OGG", "VORBIS"),
    "opus.opus": _sound("OGG", "OPUS"),
    "cbr.mp3": _ffmpeg("mp3", "libmp3lame"),
    "bare.mp3": _ffmpeg("mp3", "libmp3lame", write_xing="0", id3v2_version="0"),
    "aac.m4a": _ffmpeg("ipod", "aac"),
    "alac.m4a": _ffmpeg("ipod", "alac"),
    "raw.aac": _ffmpeg("adts", "aac"),
    "windows.wma": _ffmpeg("asf", "wmav2"),
}


def write_format(path: Path, name: str, seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> Path:
    """Write `music_like` sound to `path` as the format `name` of FORMATS; Opus at 48 kHz, its only rate."""
    rate = 48_000 if name.endswith(".opus") else rate
    FORMATS[name](path, music_like(seconds, rate, seed=seed), rate)
    return path
