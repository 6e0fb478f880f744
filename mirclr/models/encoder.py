"""What every encoder is: normalised frames in, one embedding out, or a sequence of frame features."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn


class Encoder(nn.Module):
    """Base of every encoder. An entry of the table is a subclass with options as keyword arguments.

    Class attributes: `source`, where the architecture is published; `domain`, "spec" for `(B, F, N)` normalised log
    power of F bands, "wave" for `(B, 1, T)` samples. Attributes: `dim`, the size D of an embedding; `channels`, the
    size C of a frame feature; `frame_stride`, input frames (samples for "wave") per frame feature; `min_frames`, the
    shortest input that works; `bands`, the F it works for, None for any.

    Every encoder raises ValueError on input that is not `(B, bands, N)` with N >= `min_frames`.

    An option `bands` is supplied by the builder where the class takes it: F.
    """

    source: ClassVar[str]
    domain: ClassVar[Literal["spec", "wave"]] = "spec"
    dim: int
    channels: int
    frame_stride: int
    min_frames: int = 1
    bands: int | None = None

    @property
    def grid(self) -> int:
        """Input frames by which the input may be shifted so that `sequence` is shifted too, away from its ends: a deep
        stage that looks at every eighth frame looks at others when the input begins between them."""
        return self.frame_stride

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

    def checked(self, frames: Tensor) -> Tensor:
        """`frames` as they came, for a subclass to begin with. Raises ValueError as the class says."""
        if frames.ndim != 3 or self.bands not in (None, frames.shape[1]):
            raise ValueError(f"{type(self).__name__} takes (B, {self.bands or 'F'}, N), got {tuple(frames.shape)}")
        if frames.shape[2] < self.min_frames:
            unit = "samples" if self.domain == "wave" else "frames"
            raise ValueError(f"input of {frames.shape[2]} {unit}: {type(self).__name__} needs {self.min_frames}")
        return frames
