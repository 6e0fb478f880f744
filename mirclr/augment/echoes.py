"""Rooms on samples `(B, T)`: a delay line and a reverberation, each an impulse response of its own for every item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from mirclr.augment.effect import Effect, log_uniform, option
from mirclr.augment.filters import RATE
from mirclr.augment.waveform import hashed, level_kept

DECAY = math.log(1000)
"""Sixty decibels as the exponent of an amplitude: what a reverberation time is measured by."""


def convolved(batch: Tensor, response: Tensor) -> Tensor:
    """`(B, T)` items with `(B, L)` impulse responses, linearly; what rings beyond the item's end is cut."""
    length = batch.shape[1]
    size = next_fast_len(length + response.shape[1] - 1, real=True)
    return torch.fft.irfft(torch.fft.rfft(batch, n=size) * torch.fft.rfft(response, n=size), n=size)[:, :length]


def with_direct(tail: Tensor) -> Tensor:
    """The impulse response `(B, 1 + L)` of the direct sound, an impulse of 1, and what follows it, `tail` (B, L)."""
    return functional.pad(tail, (1, 0), value=1.0)


@dataclass(frozen=True)
class Delay(Effect):
    """Echoes at equal distances, each softer than the one before by the same number of decibels; RMS is kept."""

    name: ClassVar[str] = "delay"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "content")
    neutral: ClassVar[Mapping[str, float]] = {"feedback_db": -math.inf}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("min_s", "max_s"), ("min_db", "max_db"))
    draws: ClassVar[int] = 2

    min_s: float = option(0.06, "a slap-back; sooner is heard as a comb filter", low=0.001, high=10)
    max_s: float = option(0.6, "a beat at 100 a minute", low=0.001, high=10)
    min_db: float = option(-18.0, "each echo against the one before: just audible", low=-60, high=0)
    max_db: float = option(-4.0, "each echo against the one before: dub", low=-60, high=0)
    echoes: int = option(6, "24 dB down at the loudest setting", low=1, high=64)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "delay_s": log_uniform(u[:, 0], self.min_s, self.max_s),
            "feedback_db": self.min_db + u[:, 1] * (self.max_db - self.min_db),
        }

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        step = (drawn["delay_s"] * self.sample_rate).round().clamp(min=1)[:, None]
        number = torch.arange(1, self.echoes + 1, device=batch.device, dtype=batch.dtype)
        place = (step * number).long()
        tail = batch.new_zeros(len(batch), batch.shape[1])
        heard = place < batch.shape[1]  # an echo past the end goes nowhere: weight 0 at the last place
        echo = 10 ** (drawn["feedback_db"][:, None] / 20 * number) * heard
        tail = tail.scatter(1, place.clamp(max=batch.shape[1]) - 1, echo)
        return level_kept(convolved(batch, with_direct(tail[:, : batch.shape[1] - 1])), batch)


@dataclass(frozen=True)
class Reverb(Effect):
    """A room: after the direct sound and a pause, noise that decays by 60 dB in its reverberation time; RMS is kept.

    Late reverberation is Gaussian noise under an exponential (Moorer, "About this reverberation business", CMJ 1979;
    Polack 1988). Every item hears a room of its own, noise hashed from the drawn seed. `direct_db` is the energy of the
    direct sound over that of the whole tail.
    """

    name: ClassVar[str] = "reverb"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "phase")
    neutral: ClassVar[Mapping[str, float]] = {"direct_db": math.inf}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (
        ("min_rt60_s", "max_rt60_s"),
        ("min_direct_db", "max_direct_db"),
    )
    draws: ClassVar[int] = 4

    min_rt60_s: float = option(0.2, "a furnished room", low=0.01, high=20)
    max_rt60_s: float = option(2.0, "a concert hall; a church has 5", low=0.01, high=20)
    min_direct_db: float = option(-3.0, "beyond the critical distance; deeper drowns the beats", low=-30, high=60)
    max_direct_db: float = option(15.0, "an ear near the loudspeaker", low=-30, high=60)
    max_pre_delay_s: float = option(0.04, "the nearest wall 7 m away; later is an echo", low=0, high=1)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "rt60_s": log_uniform(u[:, 0], self.min_rt60_s, self.max_rt60_s),
            "direct_db": self.min_direct_db + u[:, 1] * (self.max_direct_db - self.min_direct_db),
            "pre_delay_s": u[:, 2] * self.max_pre_delay_s,
            "seed": (u[:, 3] * 2**32).astype(np.int64),
        }

    def tail(self, drawn: dict[str, Tensor], count: int) -> Tensor:
        """`(B, count)` the response after the direct sound's sample, at most as long as the longest room rings."""
        rings = math.ceil((self.max_rt60_s + self.max_pre_delay_s) * self.sample_rate)
        count = min(count, rings)
        noise = hashed(drawn["seed"], count).to(drawn["rt60_s"].dtype) * 2**-31 - 1
        time = torch.arange(1, count + 1, device=noise.device, dtype=noise.dtype) / self.sample_rate
        since = time - drawn["pre_delay_s"][:, None]
        envelope = torch.exp(since.clamp(min=0) * (-DECAY / drawn["rt60_s"][:, None])) * (since >= 0)
        # The energy of uniform noise of variance 1/3 under the whole envelope, also where the item ends before it.
        energy = drawn["rt60_s"] * self.sample_rate / (2 * DECAY) / 3
        return noise * envelope * (10 ** (-drawn["direct_db"] / 20) / energy.sqrt())[:, None]

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return level_kept(convolved(batch, with_direct(self.tail(drawn, batch.shape[1] - 1))), batch)
