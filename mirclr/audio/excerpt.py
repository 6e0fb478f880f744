"""A short MP3 from the middle of a file: what a page or a telephone plays, whatever the file's own codec.

MP3, because every browser plays it; Ogg Opus would be smaller, and older iPhones play none.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from mirclr.audio.decode import decode

FADE_S = 0.05
# Constant bit rate. libsndfile spreads 0..1 over LAME's rates: at 22.05 kHz (160 to 8 kbit/s) this is 40 kbit/s, at
# 44.1 kHz (320 to 32) 96 kbit/s.
COMPRESSION = 0.78


def excerpt(path: str | Path, duration: float | None, seconds: float, rate: int = 22_050) -> bytes:
    """`seconds` of `path` from a third of its `duration` on (all of a shorter file) as MP3, mono, at `rate` Hz.

    `duration` in seconds, None when unknown (then from the start). Raises AudioError as `decode` does.
    """
    start = max(0.0, min(duration / 3, duration - seconds)) if duration else 0.0
    samples = _faded(decode(path, rate, start, seconds), rate)
    out = io.BytesIO()
    soundfile.write(
        out,
        samples,
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=COMPRESSION,
        bitrate_mode="CONSTANT",
    )
    return out.getvalue()


def _faded(samples: np.ndarray, rate: int) -> np.ndarray:
    """Ends without a click, and peaks that MP3 does not clip."""
    ramp = np.linspace(0, 1, min(round(FADE_S * rate), len(samples) // 2), dtype=np.float32)
    shape = np.ones(len(samples), np.float32)
    shape[: len(ramp)] = ramp
    shape[len(samples) - len(ramp) :] = ramp[::-1]
    peak = float(np.abs(samples).max(initial=1.0))
    return samples * shape / np.float32(peak)
