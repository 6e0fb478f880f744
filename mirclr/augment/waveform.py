"""Effects on samples `(B, T)`: level, polarity, added noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from mirclr.augment.effect import Effect, option, symmetric

COLOURS = {"white": 0.0, "pink": -1.0, "brown": -2.0, "blue": 1.0, "violet": 2.0}
"""Exponent of frequency in the power spectrum: 3 dB an octave for each unit."""


SILENCE = 1e-8
"""Root mean square (-160 dB of full scale) below which there is rounding, not sound."""


def level(batch: Tensor) -> Tensor:
    """`(B, 1)` root mean square of each item, 0 below `SILENCE`: the gradient of a square root ends there."""
    power = batch.square().mean(1, keepdim=True)
    return torch.where(power > SILENCE**2, power.clamp(min=SILENCE**2).sqrt(), 0)


def level_kept(changed: Tensor, batch: Tensor) -> Tensor:
    """`changed` at the root mean square of `batch`, item by item; silence stays silence, with finite gradients."""
    wanted, got = (level(x).clamp(min=SILENCE) for x in (batch, changed))
    return changed * (wanted / got)


def added(batch: Tensor, other: Tensor, snr_db: Tensor) -> Tensor:
    """`batch` with `other` under it, `snr_db` (B,) decibels softer by RMS. Silence gets and gives nothing."""
    heard = level(other)
    scale = torch.where(heard > 0, level(batch) / heard.clamp(min=SILENCE), 0) * 10 ** (-snr_db[:, None] / 20)
    return batch + scale * other


@dataclass(frozen=True)
class Gain(Effect):
    """Louder or softer by a number of decibels; nothing clips, samples are floating point."""

    name: ClassVar[str] = "gain"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("loudness",)
    neutral: ClassVar[Mapping[str, float]] = {"db": 0.0}
    draws: ClassVar[int] = 1

    max_db: float = option(6.0, "what mastering differs by between releases", low=0, high=60)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"db": symmetric(u[:, 0], self.max_db)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return batch * 10 ** (drawn["db"][:, None] / 20)


@dataclass(frozen=True)
class Polarity(Effect):
    """Turns the waveform upside down: inaudible, and a difference only to models that read samples."""

    name: ClassVar[str] = "polarity"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("phase",)
    neutral: ClassVar[Mapping[str, float]] = {"sign": 1.0}
    draws: ClassVar[int] = 0

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"sign": np.full(len(u), -1.0)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return batch * drawn["sign"][:, None]


def hashed(seed: Tensor, count: int) -> Tensor:
    """`(B, count)` whole numbers in 0..2^32 - 1 from `(B,)` seeds: place k of an item is a hash of (seed, k).

    A counter-based generator: no state, no loop over items, and the same integers on every device. The mixing function
    is lowbias32 (C. Wellons, "Prospecting for hash functions", 2018).
    """
    start = _mixed(seed[:, None].long())
    return _mixed((start + torch.arange(count, device=seed.device)) & 0xFFFFFFFF)


def _mixed(x: Tensor) -> Tensor:
    # 64-bit integers hold 32-bit ones: products wrap, and their low 32 bits are the right ones.
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def coloured(seed: Tensor, exponent: Tensor, count: int) -> Tensor:
    """`(B, count)` noise whose power spectrum is frequency to the power `exponent` (B,); no constant part.

    Made in the frequency domain with exact magnitudes and hashed phases: a sum of that many independent phases is
    Gaussian to the ear, every item has exactly its colour, and half as many random numbers do as in time.
    """
    size = next_fast_len(count, real=True)
    bins = size // 2 + 1
    phase = hashed(seed, bins).to(exponent.dtype) * (2 * math.pi / 2**32)
    frequency = torch.arange(bins, device=seed.device, dtype=exponent.dtype).clamp_(min=1) / bins
    magnitude = frequency ** (exponent[:, None] / 2)
    magnitude[:, 0] = 0
    return torch.fft.irfft(torch.polar(magnitude, phase), n=size)[:, :count]


@dataclass(frozen=True)
class Noise(Effect):
    """Adds noise of one colour at a signal-to-noise ratio: tape, vinyl, rooms, microphones."""

    name: ClassVar[str] = "noise"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre",)
    neutral: ClassVar[Mapping[str, float]] = {"snr_db": math.inf}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("min_snr_db", "max_snr_db"),)
    draws: ClassVar[int] = 3

    colour: str = option("any", "any draws one of the five", choices=("any", *COLOURS))
    min_snr_db: float = option(10.0, "clearly audible; lower hides quiet instruments", low=-20, high=100)
    max_snr_db: float = option(40.0, "just audible, a good cassette", low=-20, high=100)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        exponents = np.array(list(COLOURS.values()) if self.colour == "any" else [COLOURS[self.colour]])
        return {
            "snr_db": self.min_snr_db + u[:, 0] * (self.max_snr_db - self.min_snr_db),
            "exponent": exponents[(u[:, 1] * len(exponents)).astype(np.int64)],
            "seed": (u[:, 2] * 2**32).astype(np.int64),
        }

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return added(batch, coloured(drawn["seed"], drawn["exponent"], batch.shape[1]), drawn["snr_db"])
