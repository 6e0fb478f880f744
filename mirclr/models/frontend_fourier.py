"""Short-time power spectra, by FFT or by nnAudio's Fourier kernels, and frontends that are filters on them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.frontend_base import LogPower


class FourierFft(nn.Module):
    """Power spectrum `(B, n_fft // 2 + 1, N)` of padded samples `(B, T)` by FFT with a periodic Hann window."""

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, padded: Tensor) -> Tensor:
        bins = torch.stft(padded, self.n_fft, self.hop, window=self.window, center=False, return_complex=True)
        # Not abs() ** 2: the gradient of a square root is infinite at digital silence.
        return bins.real.square() + bins.imag.square()


class FourierKernels(nn.Module):
    """The same power spectrum by nnAudio's convolution kernels (Cheuk et al., IEEE Access 8, 2020).

    On a CPU 4 to 12 times slower than the FFT; with `trainable` the kernels are parameters and are learned.
    """

    def __init__(self, n_fft: int, hop: int, trainable: bool) -> None:
        super().__init__()
        from nnAudio.features.stft import STFT  # a second of imports that the FFT path does not need

        self.stft = STFT(
            n_fft, hop_length=hop, center=False, trainable=trainable, output_format="Complex", verbose=False
        )
        for name, kernel in list(self.stft.named_buffers()):
            # They follow from n_fft: in a checkpoint they would be 4 MB of nothing.
            delattr(self.stft, name)
            self.stft.register_buffer(name, kernel, persistent=False)

    def forward(self, padded: Tensor) -> Tensor:
        return self.stft(padded).square().sum(dim=-1)


def check_frames(n_fft: int, hop: int) -> None:
    """Raises ValueError unless windows of `n_fft` samples can be laid every `hop` samples without a gap."""
    if n_fft < 2 or n_fft % 2 or not 1 <= hop <= n_fft:
        raise ValueError(f"n_fft must be even and hop within 1..n_fft, got n_fft={n_fft}, hop={hop}")


class FilterBank(LogPower):
    """Log power in bands that are weighted sums over a Fourier power spectrum.

    `filters(sample_rate, n_fft, bands, span)` makes the weights `(bands, n_fft // 2 + 1)` float32, where `span` is from
    `f_min` to `f_max` Hz (None: half the sample rate); `power` is one of the two classes above, made of `n_fft` and
    `hop`. With `trainable` the filters are parameters; they are clamped at zero where they are used, because the
    logarithm needs power.

    Raises ValueError as `check_frames` and `filters` do.
    """

    filters: Tensor

    def __init__(
        self,
        sample_rate: int,
        *,
        n_fft: int,
        hop: int,
        bands: int,
        f_min: float,
        f_max: float | None,
        filters: Callable[[int, int, int, tuple[float, float]], Tensor],
        floor: float,
        trainable: bool,
        power: Callable[[int, int], nn.Module] = FourierFft,
    ) -> None:
        check_frames(n_fft, hop)
        weights = filters(sample_rate, n_fft, bands, (f_min, sample_rate / 2 if f_max is None else f_max))
        super().__init__(sample_rate, hop=hop, bands=bands, reach=n_fft // 2, floor=floor)
        self.n_fft, self.power = n_fft, power(n_fft, hop)
        if trainable:
            self.filters = nn.Parameter(weights)
        else:
            self.register_buffer("filters", weights, persistent=False)

    def spectrum(self, padded: Tensor) -> Tensor:
        """`(B, n_fft + (N - 1) * hop)` samples to band power `(B, F, N)`."""
        return functional.linear(self.power(padded).transpose(1, 2), self.filters.clamp(min=0.0)).transpose(1, 2)
