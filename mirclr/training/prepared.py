"""What one batch is when it reaches the learner: tensors on the device, nothing to be drawn or read any more."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Prepared:
    """`frames`: whole views `(V, B, F, N)`; `local`: shorter ones `(L, B, F, N')`, or None; `groups` `(B,)` or None.

    `labels` `(V + L, B, C)` and `affinity` `(B, B)` as in mirclr.losses.objective, where the objective wants them.
    With H heads the last H of the whole views are theirs, and `kinds` `(H, V, B)` says which views are alike in each
    attribute (mirclr.losses.leave_one_out).
    """

    frames: Tensor
    groups: Tensor | None
    local: Tensor | None = None
    labels: Tensor | None = None
    affinity: Tensor | None = None
    kinds: Tensor | None = None

    @property
    def clips(self) -> int:
        """How many clips go through the encoder."""
        return sum(part.shape[0] * part.shape[1] for part in self.parts)

    @property
    def parts(self) -> list[Tensor]:
        """Views of one length each: `(V, B, F, N)` and, where there are local ones, `(L, B, F, N')`."""
        return [self.frames] if self.local is None else [self.frames, self.local]
