"""Normalisation of frames before the encoder: by statistics of the training data, by the clip's own, or not at all."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Normalisation(nn.Module):
    """Base of every normalisation: `(..., F, N)` to the same shape.

    An entry of the table takes `bands`, the F, and `least`, the smallest spread it divides by, and options as keyword
    arguments. A band that hardly moves (above a codec's cutoff) keeps `least`, which for log power is 0.4 dB: dividing
    by less would turn rounding into a signal.
    """

    def __init__(self, bands: int, least: float = 0.1) -> None:
        super().__init__()
        self.bands, self.least = bands, least

    def fit(self, batches: Iterable[Tensor]) -> Normalisation:
        """Learn from `batches` of `(B, F, N)` what is fixed from then on; here nothing, and none is read.

        Returns itself.
        """
        return self

    def forward(self, frames: Tensor) -> Tensor:
        """`(..., F, N)` to the same shape."""
        raise NotImplementedError


class Unnormalised(Normalisation):
    """Frames as they are, for encoders that normalise by themselves."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames


class Normalise(Normalisation):
    """`(..., F, N)` to `(x - mean) / std` with the mean and spread of the training data, saved with the model.

    Fixed rather than per clip: a clip's own statistics would erase how loud and how bright it is. With `per_band`
    each band has its own: music falls by some 40 dB from bass to treble, and the high bands would otherwise be a
    constant; else one of each serves all bands. Before `fit` it changes nothing (mean 0, std 1).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, bands: int, least: float = 0.1, *, per_band: bool = True) -> None:
        super().__init__(bands, least)
        self.register_buffer("mean", torch.zeros(bands if per_band else 1, 1))
        self.register_buffer("std", torch.ones(bands if per_band else 1, 1))

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> Normalise:
        """Measure mean and standard deviation over all frames of `batches` of `(B, F, N)`, in float64, in one pass.

        Returns itself. Raises ValueError without any frame, when a value is not finite, or on a batch of another shape.
        """
        count, mean, scatter = 0, *torch.zeros(2, len(self.mean), 1, dtype=torch.float64)
        for batch in batches:
            rows = self._rows(batch).cpu().double()
            seen = rows.shape[1]
            # Chan, Golub and LeVeque (1979): joins two means and scatters without the cancellation of E[x2] - E[x]2.
            centre = rows.mean(dim=1, keepdim=True)
            scatter += (rows - centre).square().sum(dim=1, keepdim=True)
            scatter += (centre - mean).square() * (count * seen / (count + seen))
            mean += (centre - mean) * (seen / (count + seen))
            count += seen
        if count == 0 or not (mean.isfinite().all() and scatter.isfinite().all()):
            raise ValueError("cannot normalise: " + ("a value is not finite" if count else "no frames were given"))
        self.mean.copy_(mean)
        self.std.copy_((scatter / count).sqrt().clamp(min=self.least))
        return self

    def _rows(self, batch: Tensor) -> Tensor:
        """`(B, F, N)` as `(bands or 1, count)`."""
        if batch.ndim != 3 or batch.numel() == 0 or batch.shape[1] != self.bands:
            raise ValueError(f"cannot normalise: a batch {tuple(batch.shape)} is not (B, F, N) with {self.bands} bands")
        return batch.transpose(0, 1).reshape(len(self.mean), -1)

    def forward(self, frames: Tensor) -> Tensor:
        """`(..., F, N)` to the same shape."""
        return (frames - self.mean) / self.std


class NormaliseClip(Normalisation):
    """Every clip by its own mean and spread, over all its bands or, with `per_band`, each band by its own.

    It forgets how loud a clip is, and with `per_band` its long-term spectrum too: what an equaliser, a microphone or
    a mastering engineer did to it. Over all bands is the default, since timbre tells music apart.
    """

    def __init__(self, bands: int, least: float = 0.1, *, per_band: bool = False) -> None:
        super().__init__(bands, least)
        self.axes = (-1,) if per_band else (-2, -1)

    def forward(self, frames: Tensor) -> Tensor:
        """`(..., F, N)` to the same shape."""
        # Not the standard deviation: its gradient is no number at silence.
        variance, mean = torch.var_mean(frames, self.axes, correction=0, keepdim=True)
        return (frames - mean) * variance.clamp(min=self.least**2).rsqrt()
