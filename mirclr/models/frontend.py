"""From samples to log-mel frames, on the device: by FFT, or by nnAudio's Fourier kernels, which can be trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.frontend_mel import Norm, mel_filters

BLOCK_FRAMES = 512
"""How many frames are transformed at a time on a CPU: their spectra (4 MB) stay in its cache, which makes the whole
three times faster than 4096 at a time. A GPU takes everything at once."""


def reflected(length: int, start: int, stop: int) -> Tensor:
    """Positions in 0..length-1 that places `start..stop` read when the sound is mirrored at both ends, again and again.

    The mirror does not repeat the end sample (numpy's and librosa's "reflect"), and unlike torch's padding it takes
    sound of any length: one sample is repeated.
    """
    period = max(1, 2 * (length - 1))
    place = torch.arange(start, stop).remainder(period)
    return torch.minimum(place, (period - place).remainder(period)) if length > 1 else torch.zeros_like(place)


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


class LogMel(nn.Module):
    """Samples `(B, T)` in -1..1 to the natural logarithm of mel power, `(B, n_mels, frames(T))` float32.

    Frames are centred at multiples of `hop`, the ends mirrored, as librosa does; sound shorter than half a window is
    mirrored more than once. The defaults at 16 kHz: a 64 ms window every 16 ms, 64 bands from 30 Hz (below is rumble)
    to half the sample rate.

    The logarithm makes gain and equalisation additive, so that the effects on spectrograms are sums. `floor` is added
    to the power. With the defaults a full-scale tone has a mel power of about 1e3 and the rounding of 16-bit samples
    about 2e-9; the floor 1e-6 is 90 dB below the first and 27 dB above the second: what a file keeps below it is the
    codec and the dither, which the encoder must not learn, and silence is a plain -13.8 rather than minus infinity.

    Attributes: `sample_rate` (Hz), `n_fft`, `hop` (samples), `n_mels`, `floor`.

    Args:
        backend: "fft", or "nnaudio" for convolution kernels; equal to about 1e-6.
        norm: "slaney" for filters of equal area, None for filters of equal height.
        htk: the HTK mel scale in place of Slaney's.
        trainable: learn the Fourier kernels and the mel filters (nnaudio only). Filters are clamped at zero where they
            are used, because the logarithm needs power. Untrained constants are never part of the state_dict.

    Raises ValueError on options that make no spectrogram.
    """

    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16_000,
        *,
        n_fft: int = 1024,
        hop: int = 256,
        n_mels: int = 64,
        f_min: float = 30.0,
        f_max: float | None = None,
        floor: float = 1e-6,
        backend: Literal["fft", "nnaudio"] = "fft",
        norm: Norm = "slaney",
        htk: bool = False,
        trainable: bool = False,
    ) -> None:
        super().__init__()
        top = sample_rate / 2 if f_max is None else f_max
        if n_fft < 2 or n_fft % 2 or not 1 <= hop <= n_fft:
            raise ValueError(f"n_fft must be even and hop within 1..n_fft, got n_fft={n_fft}, hop={hop}")
        if floor <= 0:
            raise ValueError(f"floor must be > 0 (it keeps the logarithm finite), got {floor}")
        if backend not in ("fft", "nnaudio") or (trainable and backend == "fft"):
            raise ValueError(f"backend must be 'fft' or 'nnaudio', 'nnaudio' when trainable; got {backend!r}")
        self.sample_rate, self.n_fft, self.hop, self.n_mels, self.floor = sample_rate, n_fft, hop, n_mels, floor
        self.power = FourierFft(n_fft, hop) if backend == "fft" else FourierKernels(n_fft, hop, trainable)
        filters = mel_filters(sample_rate, n_fft, n_mels, (f_min, top), norm=norm, htk=htk)
        if trainable:
            self.filters = nn.Parameter(filters)
        else:
            self.register_buffer("filters", filters, persistent=False)

    def frames(self, samples: int) -> int:
        """How many frames `samples` samples make."""
        return 1 + samples // self.hop

    def forward(self, samples: Tensor) -> Tensor:
        """`(B, T)` samples to `(B, n_mels, frames(T))`; always in the module's own precision, also under autocast.

        Rounding samples to bfloat16 adds noise some 50 dB below them, and music spans 90. Integer samples are refused:
        divide int16 by 32768. Raises ValueError unless `(B, T)` with T >= 1.
        """
        if samples.ndim != 2 or samples.shape[1] == 0:
            raise ValueError(f"samples must be (B, T) with T >= 1, got {tuple(samples.shape)}")
        length, half = samples.shape[1], self.n_fft // 2
        if length > half:
            padded = functional.pad(samples[:, None], (half, half), mode="reflect")[:, 0]
        else:
            padded = samples[:, reflected(length, -half, length + half).to(samples.device)]
        rows = max(1, BLOCK_FRAMES // self.frames(length)) if padded.device.type == "cpu" else len(padded)
        return torch.cat([self._log_mel(part) for part in padded.split(rows)])

    def blocks(self, samples: Tensor | np.ndarray, block: int = BLOCK_FRAMES) -> Iterator[Tensor]:
        """The frames of one long track `(T,)` as consecutive pieces `(n_mels, n)`, n <= `block` frames.

        Side by side they equal `forward` on the whole track to rounding; memory is that of one block (8 s by default)
        whatever the length, and a memory-mapped array is read block by block. Samples are numbers in -1..1.

        Raises ValueError unless `(T,)` with T >= 1 and `block` >= 1.
        """
        if samples.ndim != 1 or len(samples) == 0 or block < 1:
            raise ValueError(f"samples must be (T,), T >= 1, and block >= 1; got {tuple(samples.shape)}, {block}")
        length, half, total = len(samples), self.n_fft // 2, self.frames(len(samples))
        for first in range(0, total, block):
            last = min(first + block, total) - 1
            yield self._log_mel(self._excerpt(samples, length, first * self.hop - half, last * self.hop + half))[0]

    def track(self, samples: Tensor | np.ndarray, block: int = BLOCK_FRAMES) -> Tensor:
        """All frames of one track `(T,)`, `(n_mels, frames(T))`, computed in `blocks`, without gradients."""
        with torch.no_grad():
            return torch.cat(list(self.blocks(samples, block)), dim=1)

    def _excerpt(self, samples: Tensor | np.ndarray, length: int, start: int, stop: int) -> Tensor:
        """Places `start..stop` of the mirrored track as `(1, stop - start)` on the module's device."""
        inside = start >= 0 and stop <= length
        places = slice(start, stop) if inside else reflected(length, start, stop).numpy()
        # A copy, since a memory-mapped array is read-only and torch has no such tensors.
        chosen = samples[places] if isinstance(samples, Tensor) else torch.from_numpy(np.array(samples[places]))
        return chosen.to(self.filters.device)[None]

    def _log_mel(self, padded: Tensor) -> Tensor:
        if not padded.is_floating_point():
            raise ValueError(f"samples must be numbers in -1..1, got {padded.dtype}: divide int16 by 32768")
        with torch.autocast(padded.device.type, enabled=False):
            power = self.power(padded.to(self.filters.dtype))
            mel = functional.linear(power.transpose(1, 2), self.filters.clamp(min=0.0)).transpose(1, 2)
            return torch.log(mel + self.floor)
