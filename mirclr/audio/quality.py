"""Flags on sound that decodes and may still spoil training: silent, clipped, off centre, short.

`Measurement` takes the sound block by block and keeps sums, so that an hour costs no more memory than a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# -60 dBFS. Dither and the residue of lossy codecs stay under -80 dBFS; the softest music that people
# publish rises above -50 dBFS somewhere.
SILENT_PEAK = 1e-3
# -40 dBFS. The offsets of converters lie under -60 dBFS; at 1 % of full scale the lowest mel band holds the offset.
# Not judged under a second, where the mean of a bass note is no zero either.
DC_OFFSET = 1e-2
OFFSET_SECONDS = 1.0
# A peak is cut when at least four samples in a row stand at the block's highest value (or at 1, for lossy codecs that
# decode past it), the wave falls off by more than 16 steps of 16 bits beside them, and the value is above 0.9. Falls
# off, because the crest of a loud bass note is flat for as long, and round. 0.9, because square waves of old game chips
# are flat too, by design and at lower levels.
CLIP_RUN = 4
CLIP_EDGE = 16 / 32_768
CLIP_LEVEL = 0.9
# One sample in 1,000: at 44.1 kHz ten cut crests of four samples a second. Of 200 recordings of
# Emotify 9 % lie above it; 26 % lie above a tenth of it, and those are loud rather than broken.
CLIP_SHARE = 1e-3
_STEP = 1 / 32_768


@dataclass
class Measurement:
    """Running sums over `(n, channels)` float32 blocks of full scale 1; all zero before the first."""

    samples: int = 0
    peak: float = 0.0
    cut: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def add(self, block: np.ndarray) -> None:
        """Take a block into account; blocks need not be neighbours. An empty one changes nothing."""
        if not len(block):
            return
        channels = np.ascontiguousarray(block.T)  # sums along short rows would take most of a scan
        sums = channels.sum(axis=1, dtype=np.float64)
        means = sums / len(block)
        self.samples += len(block)
        self.total = self.total + sums
        self.cut += max(_cut_samples(channel) for channel in channels)
        highest = max((channels.max(axis=1) - means).max(), (means - channels.min(axis=1)).max())
        self.peak = max(self.peak, float(highest))

    @property
    def offset(self) -> float:
        """The largest mean of a channel, without sign."""
        return float(np.abs(self.total).max()) / max(1, self.samples)


def _cut_samples(channel: np.ndarray) -> int:
    """How many samples of `(n,)` stand in runs of at least `CLIP_RUN` at the ceiling, above and below."""
    return sum(_plateau(half) for half in (channel, -channel) if half.max() >= CLIP_LEVEL)


def _plateau(channel: np.ndarray) -> int:
    level = min(1.0, float(channel.max()))
    high = np.concatenate([[False], channel >= level - _STEP, [False]])
    edges = np.flatnonzero(high[1:] != high[:-1])
    starts, ends = edges[::2], edges[1::2]
    around = np.concatenate([[level], channel, [level]])
    falls = level - np.minimum(around[starts], around[ends + 1])
    runs = (ends - starts)[falls > CLIP_EDGE]
    return int(runs[runs >= CLIP_RUN].sum())


def flags_of(measured: Measurement, duration: float, clip_seconds: float) -> list[str]:
    """The codes of `mirclr.audio.reasons.FLAGS` that hold, in the order of that table (`duplicate` is not seen here).

    `duration` in seconds is that of the whole track, of which `measured` may know only windows.
    """
    found = {
        "silent": measured.peak < SILENT_PEAK,
        "clipped": measured.cut > CLIP_SHARE * measured.samples,
        "dc_offset": measured.offset > DC_OFFSET and duration >= OFFSET_SECONDS,
        "short": duration < clip_seconds,
    }
    return [code for code, holds in found.items() if holds]
