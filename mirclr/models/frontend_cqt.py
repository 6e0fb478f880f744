"""Constant-Q and variable-Q transforms: bands a fixed musical interval apart, each with a window of its own length.

Every band is one complex kernel, applied to the samples as they are (Brown, JASA 89, 1991). librosa and nnAudio halve
the sample rate octave by octave instead, and cut the windows to whole samples at the lower rates. Here nothing is
resampled: the transform is exact, any hop will do, a long track falls into blocks, and the kernels can be trained.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.frontend_base import LogPower

C1 = 440.0 * 2.0 ** (-45 / 12)
"""The lowest C of a piano, 32.7 Hz."""

HANN_BANDWIDTH = 1.5
"""Equivalent noise bandwidth of a Hann window, in bins."""


def relative_bandwidth(bins_per_octave: int) -> float:
    """The alpha of the bandwidth `alpha * f + gamma`, as librosa has it: bands next but one to each other touch."""
    ratio = 2.0 ** (2 / bins_per_octave)
    return (ratio - 1) / (ratio + 1)


def erb_gamma(bins_per_octave: int) -> float:
    """The gamma in Hz that makes every bandwidth the same share of the ear's, 24.7 Hz + 0.108 f."""
    return 24.7 * relative_bandwidth(bins_per_octave) / 0.108


def window_kernels(frequencies: Tensor, lengths: Tensor, sample_rate: int) -> Tensor:
    """Kernels `(2 K, 2 h)` float32, cosines then sines, of K bands; sample h is the centre of them all.

    `frequencies` in Hz and `lengths` in samples, fractions included, are `(K,)` float64. A kernel is a Hann window of
    sum 1 times a complex tone times the square root of the length: white noise of variance v has the power 1.5 v in
    every band, a tone of amplitude a in the middle of a band the power `a^2 * length / 4`.
    """
    half = math.ceil(float(lengths.max()) / 2)
    place = torch.arange(-half, half, dtype=torch.float64)
    inside = place.abs() < lengths[:, None] / 2
    window = (1 + torch.cos(2 * torch.pi * place / lengths[:, None])) * inside
    weight = window * (lengths.sqrt() / window.sum(dim=1))[:, None]
    phase = 2 * torch.pi * frequencies[:, None] / sample_rate * place
    return torch.cat([weight * phase.cos(), weight * phase.sin()]).float()


class VariableQ(LogPower):
    """Samples `(B, T)` in -1..1 to the natural logarithm of variable-Q power, `(B, n_bins, frames(T))` float32.

    The bandwidth of a band at f is `alpha f + gamma` (Schoerkhuber et al., AES 53, 2014): `gamma` shortens the windows
    of the bass, 0.53 s at 32.7 Hz in a constant-Q transform, and so keeps the beat. The magnitude is librosa's (window
    of sum 1, times the square root of its length). Frames are centred at multiples of `hop`, the ends mirrored.

    The rounding of 16-bit samples has a power of 1.2e-10 in every band, a full-scale tone 17 in the highest and 260 in
    the lowest; the `floor` 1e-7 is 29 dB above the first and 82 dB or more below the second.

    The default bands are the 84 semitones from C1 to B7, 3951 Hz.

    Args:
        f_min: Hz, the centre of the lowest band.
        gamma: Hz; None for the one that makes every bandwidth the same share of the ear's.
        trainable: learn the kernels.

    Raises ValueError on options that make no transform, with the number of bands that fit when they are too many.
    """

    def __init__(
        self,
        sample_rate: int = 16_000,
        *,
        hop: int = 256,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        f_min: float = C1,
        gamma: float | None = None,
        floor: float = 1e-7,
        trainable: bool = False,
    ) -> None:
        _check(sample_rate, n_bins, bins_per_octave, f_min, gamma)
        alpha = relative_bandwidth(bins_per_octave)
        wider = erb_gamma(bins_per_octave) if gamma is None else gamma
        frequencies = f_min * 2.0 ** (torch.arange(n_bins, dtype=torch.float64) / bins_per_octave)
        lengths = sample_rate / (alpha * frequencies + wider)
        # An octave at a time: padded to the longest of all, the kernels would cost three times as much.
        octaves = zip(frequencies.split(bins_per_octave), lengths.split(bins_per_octave), strict=True)
        kernels = [window_kernels(*octave, sample_rate) for octave in octaves]
        super().__init__(sample_rate, hop=hop, bands=n_bins, reach=kernels[0].shape[1] // 2, floor=floor)
        self.octaves = nn.ModuleList(Octave(k, hop, trainable) for k in kernels)

    def spectrum(self, padded: Tensor) -> Tensor:
        """`(B, reach + (N - 1) * hop + reach)` samples to band power `(B, F, N)`."""
        return torch.cat([octave(padded, self.before) for octave in self.octaves], dim=1)


class ConstantQ(VariableQ):
    """`VariableQ` with gamma 0: every band has the same number of periods in its window, 17.3 for semitones.

    Equal to librosa.cqt within 5 % off the edges.
    """

    def __init__(
        self,
        sample_rate: int = 16_000,
        *,
        hop: int = 256,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        f_min: float = C1,
        floor: float = 1e-7,
        trainable: bool = False,
    ) -> None:
        super().__init__(
            sample_rate,
            hop=hop,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            f_min=f_min,
            gamma=0.0,
            floor=floor,
            trainable=trainable,
        )


class Octave(nn.Module):
    """The bands of one octave: `(B, T)` samples to power `(B, K, N)`, frame n centred at sample `centre + n * hop`."""

    kernels: Tensor

    def __init__(self, kernels: Tensor, hop: int, trainable: bool) -> None:
        super().__init__()
        self.hop = hop
        if trainable:
            self.kernels = nn.Parameter(kernels[:, None])
        else:
            self.register_buffer("kernels", kernels[:, None], persistent=False)

    def forward(self, padded: Tensor, centre: int) -> Tensor:
        """`padded` ends `centre` samples behind the last frame, as it begins before the first."""
        spare = centre - self.kernels.shape[2] // 2
        read = padded[:, None, spare : padded.shape[1] - spare]
        cosines, sines = functional.conv1d(read, self.kernels, stride=self.hop).chunk(2, dim=1)
        return cosines.square() + sines.square()


def _check(sample_rate: int, n_bins: int, bins_per_octave: int, f_min: float, gamma: float | None) -> None:
    if n_bins < 1 or bins_per_octave < 1 or not f_min > 0 or (gamma is not None and not gamma >= 0):
        raise ValueError(
            "n_bins and bins_per_octave must be >= 1, f_min > 0 Hz and gamma >= 0 Hz (or null), "
            f"got n_bins={n_bins}, bins_per_octave={bins_per_octave}, f_min={f_min}, gamma={gamma}"
        )
    wider = erb_gamma(bins_per_octave) if gamma is None else gamma
    skirt = 1 + HANN_BANDWIDTH / 2 * relative_bandwidth(bins_per_octave)
    highest = (sample_rate / 2 - wider / 2) / skirt
    fit = math.floor(bins_per_octave * math.log2(highest / f_min)) + 1 if highest >= f_min else 0
    if n_bins > fit:
        raise ValueError(
            f"n_bins={n_bins} of {bins_per_octave} an octave from f_min={f_min:g} Hz pass half the sample rate, "
            f"{sample_rate / 2:g} Hz: at most {fit} fit"
        )
