"""Filters on samples `(B, T)`, every item with its own, in one Fourier transform there and one back.

The filters of this file shape magnitudes only: the phase stays, so beats stay where they are. The batched transform
runs at hundreds of times real time a core where recursive filters run at tens, and needs no state or stability
argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from mirclr.augment.effect import Effect, log_uniform, option, symmetric

GUARD_S = 0.1
"""Silence put after each item, so that what rings at one end of the circle does not reach the other: the response of
the slowest default filter (40 Hz) has decayed by then."""

RATE = "Hz; given by the chain builder"
EIGHTH = "8 is 48 dB an octave, as steep as crossovers and codecs get; drawn from 1"


def _transform_size(samples: int, sample_rate: int) -> int:
    return int(next_fast_len(samples + round(GUARD_S * sample_rate), real=True))


def angular_frequency(samples: int, sample_rate: int, like: Tensor) -> Tensor:
    """Frequencies of the transform of items of that length in radians per sample, 0 to pi."""
    size = _transform_size(samples, sample_rate)
    return torch.arange(size // 2 + 1, device=like.device, dtype=like.dtype) * (2 * torch.pi / size)


def log_frequency(samples: int, sample_rate: int, like: Tensor) -> Tensor:
    """Natural logarithm of the frequencies (Hz) of the transform of items of that length; 0 Hz counts as half a bin."""
    size = _transform_size(samples, sample_rate)
    bins = torch.arange(size // 2 + 1, device=like.device, dtype=like.dtype).clamp_(min=0.5)
    return (bins * (sample_rate / size)).log_()


def filtered(batch: Tensor, response: Tensor, sample_rate: int) -> Tensor:
    """`batch` with its spectrum multiplied by `response` (B, bins), a magnitude or complex, at those frequencies."""
    size = _transform_size(batch.shape[1], sample_rate)
    return torch.fft.irfft(torch.fft.rfft(batch, n=size).mul_(response), n=size)[:, : batch.shape[1]]


def butterworth(log_ratio: Tensor, order: Tensor) -> Tensor:
    """Magnitude of a Butterworth high-pass at `log_ratio` = ln(frequency / cutoff): |H|^2 = 1 / (1 + (cutoff/f)^(2n)).

    That is a logistic function of log frequency, which never overflows; the low-pass has the ratio's sign turned.
    """
    return torch.sigmoid(2 * order[:, None] * log_ratio).sqrt_()


def _orders(u: np.ndarray, highest: int) -> np.ndarray:
    return 1 + np.floor(u * highest)


@dataclass(frozen=True)
class LowPass(Effect):
    """Takes the treble away: Butterworth magnitude, cutoff uniform in octaves."""

    name: ClassVar[str] = "low_pass"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness")
    neutral: ClassVar[Mapping[str, float]] = {"cutoff_hz": 1e30}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_hz", "highest_hz"),)
    draws: ClassVar[int] = 2

    lowest_hz: float = option(1500.0, "a cheap radio; melody and words survive", low=20, high=96_000)
    highest_hz: float = option(7500.0, "just audible", low=20, high=96_000)
    max_order: int = option(8, EIGHTH, low=1, high=16)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        cutoff = log_uniform(u[:, 0], self.lowest_hz, self.highest_hz)
        return {"cutoff_hz": cutoff, "order": _orders(u[:, 1], self.max_order)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        log_f = log_frequency(batch.shape[1], self.sample_rate, batch)
        magnitude = butterworth(drawn["cutoff_hz"].log()[:, None] - log_f, drawn["order"])
        return filtered(batch, magnitude, self.sample_rate)


@dataclass(frozen=True)
class HighPass(Effect):
    """Takes the bass away: Butterworth magnitude, cutoff uniform in octaves."""

    name: ClassVar[str] = "high_pass"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness")
    neutral: ClassVar[Mapping[str, float]] = {"cutoff_hz": 1e-12}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_hz", "highest_hz"),)
    draws: ClassVar[int] = 2

    lowest_hz: float = option(40.0, "a rumble filter", low=10, high=96_000)
    highest_hz: float = option(500.0, "a phone's speaker", low=10, high=96_000)
    max_order: int = option(8, EIGHTH, low=1, high=16)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        cutoff = log_uniform(u[:, 0], self.lowest_hz, self.highest_hz)
        return {"cutoff_hz": cutoff, "order": _orders(u[:, 1], self.max_order)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        log_f = log_frequency(batch.shape[1], self.sample_rate, batch)
        magnitude = butterworth(log_f - drawn["cutoff_hz"].log()[:, None], drawn["order"])
        return filtered(batch, magnitude, self.sample_rate)


@dataclass(frozen=True)
class BandPass(Effect):
    """Keeps a band around a centre, both uniform in octaves: telephones, megaphones, old records."""

    name: ClassVar[str] = "band_pass"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness")
    neutral: ClassVar[Mapping[str, float]] = {"low_hz": 1e-12, "high_hz": 1e30}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_hz", "highest_hz"), ("min_octaves", "max_octaves"))
    draws: ClassVar[int] = 3

    lowest_hz: float = option(300.0, "lowest centre: the middle of a bass voice's partials", low=20, high=96_000)
    highest_hz: float = option(3000.0, "highest centre: where the ear is keenest", low=20, high=96_000)
    min_octaves: float = option(2.0, "narrower than a telephone (3.5) but music still", low=0.1, high=10)
    max_octaves: float = option(5.0, "barely a filter", low=0.1, high=10)
    max_order: int = option(8, EIGHTH, low=1, high=16)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        centre = log_uniform(u[:, 0], self.lowest_hz, self.highest_hz)
        half = 2 ** ((self.min_octaves + u[:, 1] * (self.max_octaves - self.min_octaves)) / 2)
        return {"low_hz": centre / half, "high_hz": centre * half, "order": _orders(u[:, 2], self.max_order)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        log_f = log_frequency(batch.shape[1], self.sample_rate, batch)
        below = butterworth(log_f - drawn["low_hz"].log()[:, None], drawn["order"])
        above = butterworth(drawn["high_hz"].log()[:, None] - log_f, drawn["order"])
        return filtered(batch, below.mul_(above), self.sample_rate)


@dataclass(frozen=True)
class RandomEq(Effect):
    """A random equaliser: a few bells, in decibels Gaussian over log frequency, whose gains add."""

    name: ClassVar[str] = "random_eq"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness")
    neutral: ClassVar[Mapping[str, float]] = {"db": 0.0}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_hz", "highest_hz"), ("min_octaves", "max_octaves"))

    max_db: float = option(9.0, "of one bell; covers phone speakers to bass-heavy masters", low=0, high=40)
    bells: int = option(4, "about one per two octaves", low=1, high=16)
    lowest_hz: float = option(60.0, "lowest centre: the bass drum", low=20, high=96_000)
    highest_hz: float = option(7000.0, "highest centre: cymbals", low=20, high=96_000)
    min_octaves: float = option(0.5, "standard deviation; narrower bells ring", low=0.1, high=10)
    max_octaves: float = option(2.0, "standard deviation; as broad as a tone control", low=0.1, high=10)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    @property
    def draws(self) -> int:
        return 3 * self.bells

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        db, centre, octaves = np.split(u, 3, axis=1)
        return {
            "db": symmetric(db, self.max_db),
            "centre_hz": log_uniform(centre, self.lowest_hz, self.highest_hz),
            "octaves": log_uniform(octaves, self.min_octaves, self.max_octaves),
        }

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        log_f = log_frequency(batch.shape[1], self.sample_rate, batch)
        away = (log_f - drawn["centre_hz"].log()[..., None]) / (drawn["octaves"][..., None] * np.log(2))
        curve_db = (drawn["db"][:, None, :] @ torch.exp(-0.5 * away.square_()))[:, 0]
        return filtered(batch, 10 ** (curve_db / 20), self.sample_rate)
