"""From samples to log-mel frames, on the device: by FFT, or by nnAudio's Fourier kernels, which can be trained."""

from __future__ import annotations

from functools import partial
from typing import Literal

from mirclr.models.frontend_fourier import FilterBank, FourierFft, FourierKernels
from mirclr.models.frontend_mel import Norm, mel_filters


class LogMel(FilterBank):
    """Samples `(B, T)` in -1..1 to the natural logarithm of mel power, `(B, n_mels, frames(T))` float32.

    Frames are centred at multiples of `hop`, the ends mirrored, as librosa does; sound shorter than half a window is
    mirrored more than once. The defaults at 16 kHz: a 64 ms window every 16 ms, 64 bands from 30 Hz (below is rumble)
    to half the sample rate.

    `floor` is added to the power. With the defaults a full-scale tone has a mel power of about 1e3 and the rounding of
    16-bit samples about 2e-9; the floor 1e-6 is 90 dB below the first and 27 dB above the second: what a file keeps
    below it is the codec and the dither, which the encoder must not learn, and silence is a plain -13.8.

    Args:
        backend: "fft", or "nnaudio" for convolution kernels; equal to about 1e-6.
        norm: "slaney" for filters of equal area, None for filters of equal height.
        htk: the HTK mel scale in place of Slaney's.
        trainable: learn the Fourier kernels and the mel filters (nnaudio only).

    Raises ValueError on options that make no spectrogram.
    """

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
        if backend not in ("fft", "nnaudio") or (trainable and backend == "fft"):
            raise ValueError(f"backend must be 'fft' or 'nnaudio', 'nnaudio' when trainable; got {backend!r}")
        super().__init__(
            sample_rate,
            n_fft=n_fft,
            hop=hop,
            bands=n_mels,
            f_min=f_min,
            f_max=f_max,
            filters=partial(mel_filters, norm=norm, htk=htk),
            floor=floor,
            trainable=trainable,
            power=FourierFft if backend == "fft" else partial(FourierKernels, trainable=trainable),
        )
