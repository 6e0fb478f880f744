"""Lossy codecs on samples `(B, T)`: encoded and decoded again in memory, item by item, on the CPU."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import soundfile
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, option
from mirclr.augment.filters import RATE

FORMATS = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS")}
"""libsndfile's names of a container and what is in it."""

MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sample rates that MPEG audio has, Hz."""

MP3_DELAY = 576 + 529
"""Samples by which encoder and decoder delay the sound, when the file does not tell how much is to be dropped."""


def round_trip(samples: np.ndarray, sample_rate: int, kind: str, compression: float) -> np.ndarray:
    """`(T,)` float32 samples as `kind` ("mp3" or "ogg") gives them back: same length, same place.

    `compression` 0 (best) to below 1. The peak is brought to full scale where it exceeds it, since MP3 clips there, and
    the level is given back afterwards.
    """
    container, subtype = FORMATS[kind]
    scale = np.float32(max(1.0, float(np.abs(samples).max(initial=0.0))))
    with io.BytesIO() as file:
        soundfile.write(
            file,
            samples / scale,
            sample_rate,
            format=container,
            subtype=subtype,
            compression_level=compression,
            bitrate_mode="CONSTANT" if kind == "mp3" else None,  # `compression` is then a bit rate, whatever is played
        )
        file.seek(0)
        heard, _ = soundfile.read(file, dtype="float32")
    # LAME's first frame tells length and delay, and the decoder then drops the delay; at the lowest bit rates it does
    # not fit into a frame, and the sound comes late and too long.
    late = MP3_DELAY if kind == "mp3" and len(heard) > len(samples) else 0
    out = np.zeros_like(samples)
    kept = heard[late : late + len(samples)]
    out[: len(kept)] = kept
    return out * scale


@dataclass(frozen=True)
class Codec(Effect):
    """MP3 (LAME) or Ogg Vorbis and back: pre-echoes, birdies, treble gone; length and alignment are kept.

    Computed in float32 on the CPU whatever the batch's device, about 30 ms for 4 s of MP3 at 16 kHz and 10 ms of Ogg
    Vorbis; no gradient passes. `compression` is libsndfile's: of the codec's range at this sample rate, 0 the best and
    1 the smallest. Raises ValueError on a sample rate that MP3 does not have, unless `kind` is "ogg".
    """

    name: ClassVar[str] = "codec"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre",)
    differentiable: ClassVar[bool] = False
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("min_compression", "max_compression"),)
    draws: ClassVar[int] = 2

    kind: str = option("any", "any draws one of the two", choices=("any", *FORMATS))
    min_compression: float = option(0.5, "MP3 of 80 kbit/s at 16 kHz: transparent to most", low=0, high=0.99)
    max_compression: float = option(0.95, "MP3 of 16 kbit/s at 16 kHz: under water", low=0, high=0.99)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if not problems and self.kind != "ogg" and self.sample_rate not in MP3_RATES:
            known = ", ".join(map(str, MP3_RATES))
            problems = [f"sample_rate must be one of {known} for MP3, got {self.sample_rate}; kind 'ogg' takes any"]
        return problems

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        ogg = u[:, 0] < 0.5 if self.kind == "any" else np.full(len(u), self.kind == "ogg")
        span = self.max_compression - self.min_compression
        return {"ogg": ogg.astype(np.int64), "compression": self.min_compression + u[:, 1] * span}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        samples = batch.detach().to("cpu", torch.float32).numpy()
        how = zip(samples, drawn["ogg"].tolist(), drawn["compression"].tolist(), strict=True)
        heard = [round_trip(item, self.sample_rate, "ogg" if ogg else "mp3", level) for item, ogg, level in how]
        return torch.from_numpy(np.stack(heard)).to(batch)
