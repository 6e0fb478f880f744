"""Gammatone bands: the filters of the inner ear, evenly spaced on the ERB-rate scale (Glasberg and Moore, 1990)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mirclr.models.frontend_fourier import FilterBank

# ERB(f) = 24.7 + f / 9.26449 in Hz (Glasberg and Moore, Hearing Research 47, 1990; Slaney, Apple TR 35, 1993).
ERB_FLOOR = 24.7
EAR_Q = 9.26449
# A gammatone of order 4 whose equivalent rectangular bandwidth is ERB(f) decays with 1.019 ERB(f) (same report).
DECAY = 1.019


def erb_centres(count: int, f_min: float, f_max: float) -> Tensor:
    """`(count,)` float64 frequencies in Hz in equal steps of ERB rate, the first at `f_min`, `f_max` the next one."""
    shift = EAR_Q * ERB_FLOOR
    steps = torch.arange(count, dtype=torch.float64) / count
    return (f_min + shift) * ((f_max + shift) / (f_min + shift)) ** steps - shift


def gammatone_filters(sample_rate: int, n_fft: int, bands: int, span: tuple[float, float]) -> Tensor:
    """Power responses `(bands, n_fft // 2 + 1)` float32 of gammatones of order 4, centred from `span[0]` Hz up.

    `|H(f)|^2 = (1 + ((f - c) / b)^2)^-4` with `b = 1.019 ERB(c)`: the closed form without the image at negative
    frequencies. Equal area, as Slaney's mel filters have: white noise is flat, and levels compare with log-mel's.

    Raises ValueError when the span is empty or leaves 0 to half the sample rate, or there is no band.
    """
    if bands < 1 or not 0 <= span[0] < span[1] <= sample_rate / 2:
        raise ValueError(f"{bands} gammatone bands from {span[0]} to {span[1]} Hz do not fit 0 to {sample_rate / 2} Hz")
    centres = erb_centres(bands, *span)[:, None]
    width = DECAY * (ERB_FLOOR + centres / EAR_Q)
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    response = (1 + ((bins - centres) / width).square()) ** -4
    # The integral of (1 + x^2)^-4 over all x is 5 pi / 16.
    return (response / (width * 5 * math.pi / 16)).float()


class Gammatone(FilterBank):
    """Samples `(B, T)` in -1..1 to the natural logarithm of gammatone power, `(B, n_bins, frames(T))` float32.

    Frames, window and floor are log-mel's. The bands overlap more, are narrower in the bass, and have long skirts
    where mel's triangles end. The power of the gammatones weighs the power spectrum. (nnAudio's Gammatonegram weighs
    it with their amplitude, which makes every skirt half as steep in dB.)

    Args:
        trainable: learn the filters.

    Raises ValueError on options that make no spectrogram.
    """

    def __init__(
        self,
        sample_rate: int = 16_000,
        *,
        n_fft: int = 1024,
        hop: int = 256,
        n_bins: int = 64,
        f_min: float = 30.0,
        f_max: float | None = None,
        floor: float = 1e-6,
        trainable: bool = False,
    ) -> None:
        super().__init__(
            sample_rate,
            n_fft=n_fft,
            hop=hop,
            bands=n_bins,
            f_min=f_min,
            f_max=f_max,
            filters=gammatone_filters,
            floor=floor,
            trainable=trainable,
        )
