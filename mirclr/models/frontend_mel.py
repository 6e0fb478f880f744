"""The mel scale and its filters: Slaney's (Auditory Toolbox, 1998) and the HTK one, area or peak normalised.

Written out here so that the frontend loads nothing but torch; the tests hold it against librosa.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

# Slaney: 200/3 Hz a mel up to 1 kHz (15 mel), logarithmic above with 27 steps per factor of 6.4.
_HZ_PER_MEL = 200.0 / 3.0
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0

Norm = Literal["slaney"] | None


def hz_to_mel(hz: Tensor, htk: bool = False) -> Tensor:
    """Frequencies in Hz to mel, any shape. `htk`: `2595 log10(1 + f / 700)` in place of Slaney's piecewise scale."""
    if htk:
        return 2595.0 * torch.log10(1.0 + hz / 700.0)
    above = _KNEE_MEL + torch.log(hz.clamp(min=_KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return torch.where(hz < _KNEE_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: Tensor, htk: bool = False) -> Tensor:
    """The inverse of `hz_to_mel`, any shape."""
    if htk:
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _KNEE_HZ * torch.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return torch.where(mel < _KNEE_MEL, mel * _HZ_PER_MEL, above)


def mel_edges(n_mels: int, f_min: float, f_max: float, htk: bool = False) -> Tensor:
    """`(n_mels + 2,)` float64 corners in Hz, evenly spaced in mel: band m rises from m to m + 1 and falls to m + 2."""
    low, high = hz_to_mel(torch.tensor([f_min, f_max], dtype=torch.float64), htk)
    return mel_to_hz(torch.linspace(float(low), float(high), n_mels + 2, dtype=torch.float64), htk)


def mel_filters(
    sample_rate: int, n_fft: int, n_mels: int, span: tuple[float, float], *, norm: Norm = "slaney", htk: bool = False
) -> Tensor:
    """Triangular filters `(n_mels, n_fft // 2 + 1)` float32 for a power spectrum of `n_fft` points.

    `norm="slaney"` divides each triangle by half its width in Hz, so that white noise is flat across bands;
    None leaves every peak at 1. `span` is the lowest and the highest frequency in Hz.

    Raises ValueError when the span does not lie within 0 to half of `sample_rate`, and when the bands are so narrow
    that one of them holds no FFT bin: it would be silent whatever is played, and nobody would notice later.
    """
    if n_mels < 1 or not 0 <= span[0] < span[1] <= sample_rate / 2:
        raise ValueError(f"{n_mels} mel bands from {span[0]} to {span[1]} Hz do not fit 0 to {sample_rate / 2} Hz")
    if norm not in ("slaney", None):
        raise ValueError(f"norm must be 'slaney' or None, got {norm!r}")
    edges = mel_edges(n_mels, *span, htk=htk)
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rising, falling).clamp(min=0.0)
    empty = (filters.amax(dim=1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"mel bands {empty} hold no FFT bin (n_mels={n_mels}, n_fft={n_fft}): take fewer bands or a larger n_fft"
        )
    if norm == "slaney":
        filters = filters * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return filters.float()
