"""Frontend, normalisation and encoder in one module: what is exported, and what everything after training uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mirclr.models.frontend_normalise import Normalise
from mirclr.models.table import build_encoder, build_frontend


class Embedder(nn.Module):
    """Samples or log-mel frames to embeddings.

    `plan` is plain data that rebuilds it: `{"sample_rate": Hz, "clip_seconds": s, "frontend": {"name": ..., ...},
    "encoder": {"name": ..., ...}}`. Attributes: `plan`, `dim`, `clip_frames`, the frames of one clip.

    Raises ValueError on a plan that cannot be built.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        super().__init__()
        self.plan = dict(plan)
        self.frontend = build_frontend(sample_rate=plan["sample_rate"], **plan["frontend"])
        self.normalise = Normalise(self.frontend.n_mels)
        self.encoder = build_encoder(bands=self.frontend.n_mels, **plan["encoder"])
        self.dim = self.encoder.dim
        self.clip_frames = max(1, round(plan["clip_seconds"] * plan["sample_rate"] / self.frontend.hop))

    def from_spectrogram(self, spectrogram: Tensor) -> Tensor:
        """`(B, F, N)` log-mel to `(B, D)`."""
        embedding: Tensor = self.encoder(self.normalise(spectrogram))
        return embedding

    def forward(self, samples: Tensor) -> Tensor:
        """`(B, T)` samples in -1..1 to `(B, D)`."""
        return self.from_spectrogram(self.frontend(samples))

    def clips(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """A track `(F, N)` as clips `(S, F, clip_frames)` that cover it evenly, and their first frames `(S,)`.

        As few clips as there can be without leaving out more than an eighth of a clip in all: another whole clip for
        the last few frames would count them double. A track shorter than one clip is repeated until it fills one.
        """
        frames, clip = spectrogram.shape[1], self.clip_frames
        if frames < clip:
            spectrogram = spectrogram.repeat(1, -(-clip // frames))[:, :clip]
            frames = clip
        starts = torch.linspace(0, frames - clip, -(-(frames - clip // 8) // clip)).round().long()
        places = starts[:, None] + torch.arange(clip)
        return spectrogram[:, places].permute(1, 0, 2), starts
