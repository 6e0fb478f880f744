"""How power becomes what an encoder sees: its logarithm, or an automatic gain control in every band (PCEN)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from mirclr.models.smoothing import smoothed


class Compression(nn.Module):
    """Base of every compression: natural-log power `(..., F, N)` to the same shape, behind all effects.

    An entry of the table takes `bands`, the F, and `frame_rate`, frames a second, and options as keyword arguments.
    Class attribute: `domains`, the frontends it works on.
    """

    domains: ClassVar[tuple[str, ...]] = ("spec",)

    def __init__(self, bands: int, frame_rate: float) -> None:
        super().__init__()
        self.bands, self.frame_rate = bands, frame_rate

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to the same shape."""
        raise NotImplementedError


class Log(Compression):
    """The logarithm, which the frontend has already taken: frames stay as they are, and so do raw samples."""

    domains = ("spec", "wave")

    def forward(self, frames: Tensor) -> Tensor:
        return frames


class PCEN(Compression):
    """Per-channel energy normalisation: `(E / (eps + M)^alpha + delta)^r - delta^r` (Wang et al., arXiv 1607.05666).

    E is the power in a band and M its mean over the recent past, `M[n] = (1 - s) M[n - 1] + s E[n]` from `M[0] = E[0]`;
    s follows from `time_constant` in seconds as in librosa.pcen. What is steady, a hum or the loudness of a recording,
    is divided out; onsets stay. The defaults are the paper's (its s is 0.025 at 100 frames a second).

    Scale: with alpha near 1 the quotient hardly depends on it (20 dB more make it 1.10 times as large), so power is
    taken as the frontend gives it and needs no factor like the 2^31 of librosa's example. `eps` alone is absolute: the
    level from which down gain is no longer turned up. Its 1e-6 is the floor of log-mel, 90 dB below full scale.

    With `trainable` alpha, delta, r and s are learned, as logarithms (s as a logit) so that they stay in range: the
    first three as in the paper, s as in LEAF (Zeghidour et al., arXiv 2101.08596) where the paper mixes fixed ones.
    `per_band`: each band learns its own, as in both papers; else one set serves all.

    Raises ValueError on an option out of range.
    """

    names: ClassVar[tuple[str, ...]] = ("log_alpha", "log_delta", "log_r", "logit_s")
    log_alpha: Tensor
    log_delta: Tensor
    log_r: Tensor
    logit_s: Tensor

    def __init__(
        self,
        bands: int,
        frame_rate: float,
        *,
        alpha: float = 0.98,
        delta: float = 2.0,
        r: float = 0.5,
        time_constant: float = 0.4,
        eps: float = 1e-6,
        trainable: bool = False,
        per_band: bool = True,
    ) -> None:
        super().__init__(bands, frame_rate)
        options = {"alpha": alpha, "delta": delta, "r": r, "time_constant": time_constant, "eps": eps}
        for name, value in options.items():
            if not 0 < value < math.inf:
                raise ValueError(f"pcen {name} must be a number > 0, got {value!r}")
        self.eps = eps
        frames = time_constant * frame_rate
        s = (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
        values = (math.log(alpha), math.log(delta), math.log(r), math.log(s / (1 - s)))
        for name, value in zip(self.names, values, strict=True):
            start = torch.full((bands if trainable and per_band else 1,), value)
            if trainable:
                self.register_parameter(name, nn.Parameter(start))
            else:
                self.register_buffer(name, start, persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` natural-log power to PCEN, in the module's own precision, also under autocast."""
        with torch.autocast(frames.device.type, enabled=False):
            log_power = frames.to(self.log_r.dtype)
            mean = smoothed(log_power.exp(), self.logit_s.sigmoid())
            alpha, delta, r = (p.exp()[:, None] for p in (self.log_alpha, self.log_delta, self.log_r))
            # The quotient as a difference of logarithms: no power of a tiny number, and its gradient is finite.
            quotient = torch.exp(log_power - alpha * torch.log(mean + self.eps))
            return (quotient + delta) ** r - delta**r
