"""Fixed normalisation of log-mel frames: mean and spread measured once on the training data, then part of the model."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """`(..., F, N)` to `(x - mean) / std`, with `(bands, 1)` buffers that are saved with the model.

    `bands` is F for a mean and spread of each band, or 1 for one of all.

    Fixed rather than per clip: a clip's own statistics would erase how loud and how bright it is. Per band rather
    than one number: music falls by some 40 dB from bass to treble, and the high bands would otherwise be a constant.
    Before `fit` it changes nothing (mean 0, std 1).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands, 1))
        self.register_buffer("std", torch.ones(bands, 1))

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> Normalise:
        """Measure mean and standard deviation over all frames of `batches` of `(B, F, N)`, in float64, in one pass.

        A band that hardly moves (above a codec's cutoff) keeps a spread of 0.1, which is 0.4 dB: dividing by less would
        turn rounding into a signal. Returns itself.

        Raises ValueError without any frame, when a value is not finite, or on a batch of another shape.
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
        self.std.copy_((scatter / count).sqrt().clamp(min=0.1))
        return self

    def _rows(self, batch: Tensor) -> Tensor:
        """`(B, F, N)` as `(bands, count)`."""
        bands = len(self.mean)
        if batch.ndim != 3 or batch.numel() == 0 or bands not in (1, batch.shape[1]):
            raise ValueError(f"cannot normalise: a batch {tuple(batch.shape)} is not (B, F, N) with {bands} bands")
        return batch.transpose(0, 1).reshape(bands, -1)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """`(..., F, N)` to the same shape."""
        return (spectrogram - self.mean) / self.std
