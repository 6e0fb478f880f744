"""What every encoder is: normalised frames in, one embedding out, or a sequence of frame features."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn


class Encoder(nn.Module):
    """Base of every encoder. An entry of the table is a subclass with options as keyword arguments.

    Class attributes: `source`, where the architecture is published; `domain`, "spec" for `(B, F, N)` normalised log
    power of F bands, "wave" for `(B, 1, T)` samples. Attributes: `dim`, the size D of an embedding; `channels`, the
    size C of a frame feature; `frame_stride`, input frames (samples for "wave") per frame feature; `min_frames`, the
    shortest input that works.

    An option `bands` is supplied by the builder where the class takes it: F.
    """

    source: ClassVar[str]
    domain: ClassVar[Literal["spec", "wave"]] = "spec"
    dim: int
    channels: int
    frame_stride: int
    min_frames: int = 1

    def forward(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, D)`, for any N >= `min_frames`."""
        raise NotImplementedError

    def sequence(self, frames: Tensor) -> Tensor:
        """`(B, F, N)` to `(B, ceil(N / frame_stride), C)`: feature k describes the frames around k * frame_stride.

        For heads that say something of every moment (beats, notes).
        """
        raise NotImplementedError

    def depths(self) -> list[nn.Module]:
        """The encoder's parts from the input to the output; together they hold every parameter exactly once.

        Fine-tuning freezes the first of them, and gives deeper ones larger learning rates.
        """
        raise NotImplementedError
