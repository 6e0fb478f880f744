"""Second-order sections on samples `(B, T)`: the parametric equaliser of a mixing desk, and the all-pass.

The responses are those of R. Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter coefficients", evaluated
on the unit circle and multiplied into the spectrum: exactly what the recursion does up to the guard of `filters`, phase
included, and differentiable without a loop over samples. With c = cos w - cos w0 and s = sin w sin w0 / 2Q, the common
factor of numerator and denominator is gone from the formulae, and nothing overflows at 0 Hz or at half the sample rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mirclr.augment.effect import Effect, log_uniform, option, symmetric
from mirclr.augment.filters import RATE, angular_frequency, filtered

HIGHEST_CENTRE = 0.95
"""Of half the sample rate: above it a section is no filter any more, and drawn centres are held there."""

SHELF_Q = 0.5**0.5
"""The steepest shelf without overshoot."""


def _centre(hertz: Tensor, sample_rate: int) -> Tensor:
    """`(B,)` frequencies in Hz as `(B, 1)` radians per sample, below half the sample rate."""
    return (hertz * (2 * torch.pi / sample_rate)).clamp(max=HIGHEST_CENTRE * torch.pi)[:, None]


def peaking(w: Tensor, w0: Tensor, q: Tensor, db: Tensor) -> Tensor:
    """`(B, bins)` complex response of a bell of `db` decibels at `w0`, at the frequencies `w` (bins,).

    `w0`, `q`, `db` are `(B, 1)`; w0 in radians per sample. H = (c + i s A) / (c + i s / A), A = 10^(dB/40).
    """
    amplitude = 10 ** (db / 40)
    across, along = torch.cos(w) - torch.cos(w0), torch.sin(w) * torch.sin(w0) / (2 * q)
    return torch.complex(across, along * amplitude) / torch.complex(across, along / amplitude)


def low_shelf(w: Tensor, w0: Tensor, q: Tensor, db: Tensor) -> Tensor:
    """`(B, bins)` complex response of a shelf: `db` decibels far below `w0`, half of them there, none far above."""
    amplitude = 10 ** (db / 40)
    above = (1 + torch.cos(w)) * (1 - torch.cos(w0))
    below = (1 - torch.cos(w)) * (1 + torch.cos(w0))
    along = torch.sin(w) * torch.sin(w0) * amplitude.sqrt() / q
    top = torch.complex(amplitude * above - below, along)
    return amplitude * top / torch.complex(above - amplitude * below, along)


def high_shelf(w: Tensor, w0: Tensor, q: Tensor, db: Tensor) -> Tensor:
    """The mirror image: `db` decibels far above `w0`. It is a gain of `db` and the opposite shelf below."""
    return 10 ** (db / 20) * low_shelf(w, w0, q, -db)


def all_pass_phase(w: Tensor, w0: Tensor, q: Tensor) -> Tensor:
    """`(B, bins)` radians, 0 at 0 Hz, -pi at `w0`, -2 pi at half the sample rate: H = (c - i s) / (c + i s)."""
    return -2 * torch.atan2(torch.sin(w) * torch.sin(w0) / (2 * q), torch.cos(w) - torch.cos(w0))


@dataclass(frozen=True)
class ParametricEq(Effect):
    """A desk's equaliser: a low shelf, bells with a drawn Q, a high shelf; second-order sections, phase and all.

    The corners of the shelves lie in the outer quarters of `lowest_hz..highest_hz` in octaves, the bells anywhere in
    it. `random_eq` draws curves no desk can set; this one draws those that records were made with.
    """

    name: ClassVar[str] = "parametric_eq"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("timbre", "loudness", "phase")
    neutral: ClassVar[Mapping[str, float]] = {"db": 0.0}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_hz", "highest_hz"), ("min_q", "max_q"))

    max_db: float = option(9.0, "of one section; desks give 12 to 18, and few turn them up", low=0, high=40)
    bells: int = option(3, "as channel strips have: low mid, mid, high mid", low=1, high=16)
    lowest_hz: float = option(60.0, "the bass drum", low=20, high=96_000)
    highest_hz: float = option(7000.0, "cymbals", low=20, high=96_000)
    min_q: float = option(0.5, "two and a half octaves wide: a tone control", low=0.1, high=20)
    max_q: float = option(4.0, "a third of an octave: takes out a boom; narrower rings", low=0.1, high=20)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    @property
    def draws(self) -> int:
        return 3 * self.bells + 4

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        bells = self.bells
        where = np.concatenate([u[:, :1] / 4, 0.75 + u[:, 1:2] / 4, u[:, 4 : 4 + bells]], axis=1)
        return {
            "centre_hz": log_uniform(where, self.lowest_hz, self.highest_hz),
            "db": symmetric(np.concatenate([u[:, 2:4], u[:, 4 + bells : 4 + 2 * bells]], axis=1), self.max_db),
            "q": log_uniform(u[:, 4 + 2 * bells :], self.min_q, self.max_q),
        }

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        w = angular_frequency(batch.shape[1], self.sample_rate, batch)
        centres = [_centre(hertz, self.sample_rate) for hertz in drawn["centre_hz"].unbind(1)]
        gains = [db[:, None] for db in drawn["db"].unbind(1)]
        shelf_q = torch.full_like(gains[0], SHELF_Q)
        response = low_shelf(w, centres[0], shelf_q, gains[0]) * high_shelf(w, centres[1], shelf_q, gains[1])
        for w0, db, q in zip(centres[2:], gains[2:], drawn["q"].unbind(1), strict=True):
            response *= peaking(w, w0, q[:, None], db)
        return filtered(batch, response, self.sample_rate)


@dataclass(frozen=True)
class AllPass(Effect):
    """Delays some frequencies by milliseconds and keeps every magnitude: crossovers, tape heads, loudspeakers.

    A cascade of all-pass sections: the waveform is another one, the spectrum is the same, and few hear a difference.
    """

    name: ClassVar[str] = "all_pass"
    domain: ClassVar[str] = "wave"
    changes: ClassVar[tuple[str, ...]] = ("phase",)
    neutral: ClassVar[Mapping[str, float]] = {"q": 1e30}
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("lowest_hz", "highest_hz"), ("min_q", "max_q"))

    sections: int = option(4, "a three-way loudspeaker and its crossovers", low=1, high=16)
    lowest_hz: float = option(60.0, "a vented box", low=20, high=96_000)
    highest_hz: float = option(7000.0, "a tweeter", low=20, high=96_000)
    min_q: float = option(0.5, "a first-order crossover, twice", low=0.1, high=20)
    max_q: float = option(2.0, "a section delays its centre by 2Q / (pi f0): 10 ms at 120 Hz", low=0.1, high=20)
    sample_rate: int = option(16_000, RATE, low=1000, high=384_000)

    @property
    def draws(self) -> int:
        return 2 * self.sections

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        centre, q = np.split(u, 2, axis=1)
        return {
            "centre_hz": log_uniform(centre, self.lowest_hz, self.highest_hz),
            "q": log_uniform(q, self.min_q, self.max_q),
        }

    def apply(self, batch: Tensor, drawn: dict[str, Tensor], background: Tensor | None = None) -> Tensor:
        w = angular_frequency(batch.shape[1], self.sample_rate, batch)
        sections = zip(drawn["centre_hz"].unbind(1), drawn["q"].unbind(1), strict=True)
        phase = torch.stack([all_pass_phase(w, _centre(hz, self.sample_rate), q[:, None]) for hz, q in sections]).sum(0)
        return filtered(batch, torch.polar(torch.ones_like(phase), phase), self.sample_rate)
