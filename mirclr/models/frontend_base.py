"""What every frontend is: samples in, frames out; whole clips at once, or a long track block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

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


class Frontend(nn.Module):
    """Base of every frontend. An entry of the table is a subclass: `sample_rate`, and options as keyword arguments.

    Frame k lies at sample `k * hop` and reads the `before` samples ahead of it and `after` from it on; beyond the ends
    the sound is mirrored. A subclass says what frames are made of such samples, in `transform`.

    Class attributes: `domain`, "spec" for natural-log power and "wave" for samples; `least_spread`, the smallest
    standard deviation of a band that is still sound and no rounding; `block_frames`, how many frames are made at a
    time on a CPU. Attributes: `sample_rate` (Hz), `hop` (samples), `bands`, the F of the frames.

    Whatever follows from the options is kept out of the state_dict; what is trained is in it.
    """

    domain: ClassVar[Literal["spec", "wave"]] = "spec"
    least_spread: ClassVar[float] = 0.1
    block_frames: ClassVar[int] = BLOCK_FRAMES
    here: Tensor

    def __init__(self, sample_rate: int, *, hop: int, bands: int, before: int, after: int) -> None:
        super().__init__()
        if hop < 1:
            raise ValueError(f"hop must be >= 1 sample, got {hop}")
        self.sample_rate, self.hop, self.bands = sample_rate, hop, bands
        self.before, self.after = before, after
        # Empty: it moves with the module, and so knows the device and the precision of one that holds nothing else.
        self.register_buffer("here", torch.empty(0), persistent=False)

    def transform(self, padded: Tensor) -> Tensor:
        """`(B, before + (N - 1) * hop + after)` samples in the module's own precision to the frames `(B, F, N)`."""
        raise NotImplementedError

    def frames(self, samples: int) -> int:
        """How many frames `samples` samples make."""
        return 1 + samples // self.hop

    def forward(self, samples: Tensor) -> Tensor:
        """`(B, T)` samples in -1..1 to `(B, F, frames(T))`; always in the module's own precision, also under autocast.

        Rounding samples to bfloat16 adds noise some 50 dB below them, and music spans 90. Integer samples are refused:
        divide int16 by 32768. Raises ValueError unless `(B, T)` with T >= 1.
        """
        if samples.ndim != 2 or samples.shape[1] == 0:
            raise ValueError(f"samples must be (B, T) with T >= 1, got {tuple(samples.shape)}")
        padded, frames = self._padded(samples), self.frames(samples.shape[1])
        rows = max(1, self.block_frames // frames) if padded.device.type == "cpu" else max(1, len(padded))
        return torch.cat([self._made(part) for part in padded.split(rows)])

    def blocks(self, samples: Tensor | np.ndarray, block: int | None = None) -> Iterator[Tensor]:
        """The frames of one long track `(T,)` as consecutive pieces `(F, n)`, n <= `block` (None: `block_frames`).

        Side by side they equal `forward` on the whole track to rounding, since a piece is made of all the samples its
        frames read. Memory is that of one block whatever the length, and a memory-mapped array is read block by block.

        Raises ValueError unless `(T,)` with T >= 1 and `block` >= 1.
        """
        size = self.block_frames if block is None else block
        if samples.ndim != 1 or len(samples) == 0 or size < 1:
            raise ValueError(f"samples must be (T,), T >= 1, and block >= 1; got {tuple(samples.shape)}, {size}")
        total = self.frames(len(samples))
        for first in range(0, total, size):
            yield self._made(self._excerpt(samples, *self._span(first, min(first + size, total))))[0]

    def track(self, samples: Tensor | np.ndarray, block: int | None = None) -> Tensor:
        """All frames of one track `(T,)`, `(F, frames(T))`, computed in `blocks`, without gradients."""
        with torch.no_grad():
            return torch.cat(list(self.blocks(samples, block)), dim=1)

    def _span(self, first: int, end: int) -> tuple[int, int]:
        """The places that the frames `first..end` read."""
        return first * self.hop - self.before, (end - 1) * self.hop + self.after

    def _padded(self, samples: Tensor) -> Tensor:
        """The clips `(B, T)` with what their first and last frames read beyond the ends."""
        length = samples.shape[1]
        start, stop = self._span(0, self.frames(length))
        if max(-start, stop - length) >= min(length, stop):
            return samples[:, reflected(length, start, stop).to(samples.device)]
        return functional.pad(samples[:, None, :stop], (-start, max(0, stop - length)), mode="reflect")[:, 0]

    def _excerpt(self, samples: Tensor | np.ndarray, start: int, stop: int) -> Tensor:
        """Places `start..stop` of the mirrored track as `(1, stop - start)` on the module's device."""
        inside = start >= 0 and stop <= len(samples)
        places = slice(start, stop) if inside else reflected(len(samples), start, stop).numpy()
        # A copy, since a memory-mapped array is read-only and torch has no such tensors.
        chosen = samples[places] if isinstance(samples, Tensor) else torch.from_numpy(np.array(samples[places]))
        return chosen.to(self.here.device)[None]

    def _made(self, padded: Tensor) -> Tensor:
        if not padded.is_floating_point():
            raise ValueError(f"samples must be numbers in -1..1, got {padded.dtype}: divide int16 by 32768")
        with torch.autocast(padded.device.type, enabled=False):
            return self.transform(padded.to(self.here.dtype))


class LogPower(Frontend):
    """Frontends whose frames are power in bands: the natural logarithm of `spectrum` + `floor`.

    The logarithm makes gain and equalisation additive, so that the effects on spectrograms are sums. The floor keeps
    silence finite and hides what is no sound. It is an option of every subclass, which argues its default.

    Raises ValueError when `floor` is not > 0.
    """

    def __init__(self, sample_rate: int, *, hop: int, bands: int, reach: int, floor: float) -> None:
        if not floor > 0:
            raise ValueError(f"floor must be > 0 (it keeps the logarithm finite), got {floor}")
        super().__init__(sample_rate, hop=hop, bands=bands, before=reach, after=reach)
        self.floor = floor

    def spectrum(self, padded: Tensor) -> Tensor:
        """`(B, reach + (N - 1) * hop + reach)` samples to power `(B, F, N)`, >= 0."""
        raise NotImplementedError

    def transform(self, padded: Tensor) -> Tensor:
        return torch.log(self.spectrum(padded) + self.floor)
