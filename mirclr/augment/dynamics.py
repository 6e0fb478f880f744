"""Loudness over time on samples `(B, T)`: a compressor and a clipper. Both give the item back at its own RMS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, log_uniform, option
from mirclr.augment.filters import RATE
from mirclr.augment.interpolate import mirrored
from mirclr.augment.waveform import SILENCE, level_kept


def one_pole(x: Tensor, keep: Tensor) -> Tensor:
    """`y[n] = keep y[n-1] + (1 - keep) x[n]` from y = 0, along the last axis of `(B, T)`; `keep` (B, 1) in 0..1."""
    return _scanned(x, keep)[1]


def peak_hold(x: Tensor, keep: Tensor) -> Tensor:
    """`y[n] = max(x[n], keep y[n-1] + (1 - keep) x[n])` from y = 0: rises at once, falls like `one_pole`."""
    return torch.maximum(*_scanned(x, keep))


def _scanned(x: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """The two parts of y[n] = max(held[n], linear[n]) after every sample.

    One sample is the map y -> max(h, l + k y), and the composition of two such maps is another one:
    max(h2, l2 + k2 max(h1, l1 + k1 y)) = max(max(h2, l2 + k2 h1), l2 + k2 l1 + k2 k1 y). So the recursion is a prefix
    scan (Hillis and Steele, CACM 1986): log2 T passes over the batch, exact to rounding, in place of T steps.
    """
    held, linear, span = x, (1 - keep) * x, 1
    while span < x.shape[1]:
        fall = keep**span  # of the maps composed so far, each of `span` samples
        late_held = torch.maximum(held[:, span:], linear[:, span:] + fall * held[:, :-span])
        late_linear = linear[:, span:] + fall * linear[:, :-span]
        held = torch.cat([held[:, :span], late_held], 1)
        linear = torch.cat([linear[:, :span], late_linear], 1)
        span *= 2
    return held, linear


def reduction(level_db: Tensor, threshold_db: Tensor, ratio: Tensor, knee_db: float) -> Tensor:
    """Decibels >= 0 that a compressor takes off a steady level: Giannoulis et al., eq. 4, input minus output.

    Nothing below the knee, (1 - 1/ratio) of what is over the threshold above it, a parabola between.
    """
    over = level_db - threshold_db
    into = (over + knee_db / 2).clamp(0, knee_db)
    bent = into.square() / (2 * knee_db) if knee_db > 0 else into
    return (1 - 1 / ratio) * (bent + (over - knee_db / 2).clamp(min=0))


@dataclass(frozen=True)
class Compressor(Effect):
    """Turns loud moments down: feed-forward, soft knee, attack and release; then makes up to the item's RMS.

    Giannoulis, Massberg and Reiss, "Digital dynamic range compressor design", JAES 60(6), 2012: peak level in decibels,
    gain computer, then their smooth decoupled detector on the reduction. Thresholds are in decibels of full scale, and
    what lies below them is untouched.
    """

    name: ClassVar[str] = "compressor"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("loudness", "timbre")
    neutral: ClassVar[Mapping[str, float]] = {"ratio": 1.0}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (
        ("min_threshold_db", "max_threshold_db"),
        ("min_ratio", "max_ratio"),
        ("min_attack_s", "max_attack_s"),
        ("min_release_s", "max_release_s"),
    )
    draws: ClassVar[int] = 4

    min_threshold_db: float = option(-40.0, "of full scale: nearly everything is compressed", low=-100, high=0)
    max_threshold_db: float = option(-12.0, "of full scale: only the peaks", low=-100, high=0)
    min_ratio: float = option(1.5, "glue on a mix", low=1, high=100)
    max_ratio: float = option(10.0, "a limiter: radio", low=1, high=100)
    min_attack_s: float = option(0.001, "takes the drums' attacks", low=0.0001, high=1)
    max_attack_s: float = option(0.03, "lets them through", low=0.0001, high=1)
    min_release_s: float = option(0.05, "shorter bends the waves of a bass", low=0.001, high=10)
    max_release_s: float = option(0.5, "a beat at 120 a minute; longer is a volume knob", low=0.001, high=10)
    knee_db: float = option(6.0, "wide enough that the onset is not heard; 0 is a hard knee", low=0, high=40)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "threshold_db": self.min_threshold_db + u[:, 0] * (self.max_threshold_db - self.min_threshold_db),
            "ratio": log_uniform(u[:, 1], self.min_ratio, self.max_ratio),
            "attack_s": log_uniform(u[:, 2], self.min_attack_s, self.max_attack_s),
            "release_s": log_uniform(u[:, 3], self.min_release_s, self.max_release_s),
        }

    def gain_db(self, batch: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """`(B, T)` decibels <= 0 at every sample, before make-up.

        An item is cut from the middle of music, so the detector has heard its beginning, mirrored, for two release
        times before it: from rest, the first attack of every item would pass uncompressed.
        """
        lead = math.ceil(2 * self.max_release_s * self.sample_rate)
        heard = batch[:, mirrored(torch.arange(-lead, batch.shape[1], device=batch.device), batch.shape[1])]
        attack, release = (
            torch.exp(-1 / (drawn[key] * self.sample_rate))[:, None] for key in ("attack_s", "release_s")
        )
        level_db = 20 * heard.abs().clamp(min=SILENCE).log10()
        excess = reduction(level_db, drawn["threshold_db"][:, None], drawn["ratio"][:, None], self.knee_db)
        return -one_pole(peak_hold(excess, release), attack)[:, lead:]

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        return level_kept(batch * 10 ** (self.gain_db(batch, drawn) / 20), batch)


@dataclass(frozen=True)
class Clip(Effect):
    """Cuts the peaks off, hard (a converter) or soft (a valve, tanh), at decibels below the item's own; RMS is kept."""

    name: ClassVar[str] = "clip"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre",)
    neutral: ClassVar[Mapping[str, float]] = {"below_db": 0.0, "soft": 0.0}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("min_db", "max_db"),)
    draws: ClassVar[int] = 2

    kind: str = option("any", "any draws one of the two", choices=("any", "hard", "soft"))
    min_db: float = option(3.0, "a few peaks of a mix: heard by few", low=0, high=60)
    max_db: float = option(15.0, "about the crest factor of a mix: a fuzz box", low=0, high=60)

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        below = self.min_db + u[:, 0] * (self.max_db - self.min_db)
        soft = u[:, 1] < 0.5 if self.kind == "any" else np.full(len(u), self.kind == "soft")
        return {"below_db": below, "soft": soft.astype(np.float64)}

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        peak = batch.abs().amax(1, keepdim=True).clamp(min=SILENCE)
        limit = peak * 10 ** (-drawn["below_db"][:, None] / 20)
        scaled = batch / limit
        clipped = torch.where(drawn["soft"][:, None] > 0.5, torch.tanh(scaled), scaled.clamp(-1, 1))
        return level_kept(limit * clipped, batch)
