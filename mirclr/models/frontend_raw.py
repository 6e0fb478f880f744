"""No frontend: the samples themselves, for encoders that learn their own filters."""

from __future__ import annotations

from torch import Tensor

from mirclr.models.frontend_base import Frontend


class Raw(Frontend):
    """Samples `(B, T)` in -1..1 to `(B, 1, T)` float32: one band, a frame per sample.

    `least_spread` is 60 dB below full scale: a quieter recording is left quiet. A block is 8 s at 16 kHz.
    """

    domain = "wave"
    least_spread = 1e-3
    block_frames = 1 << 17

    def __init__(self, sample_rate: int = 16_000) -> None:
        super().__init__(sample_rate, hop=1, bands=1, before=0, after=1)

    def frames(self, samples: int) -> int:
        """How many frames `samples` samples make: as many."""
        return samples

    def transform(self, padded: Tensor) -> Tensor:
        return padded[:, None]
