"""Tracks the loss never sees, and what every report asks of them: does one end of a track find the other?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mirclr.models.embedder import Embedder
from mirclr.seeds import generator
from mirclr.training.diagnostics import Geometry, geometry
from mirclr.training.material import Material
from mirclr.training.views import read_crop

FEWEST, MOST, BLOCK = 4, 200, 64


def hold_out(count: int, share: float, seed: int) -> np.ndarray:
    """Rows kept out of training: `share` of `count`, at most 200; none when that makes fewer than 4.

    With fewer than four questions the answer would be noise, and a small folder needs every track it has.
    """
    wanted = min(MOST, round(count * share))
    if wanted < FEWEST:
        return np.zeros(0, np.int64)
    return np.sort(generator(seed, "hold-out").permutation(count)[:wanted])


class HeldOut:
    """One crop near the beginning and one near the end of every held-out track."""

    def __init__(self, material: Material, held: np.ndarray) -> None:
        ids = [str(material.tracks["id"].iloc[row]) for row in held]
        self.level = material.level
        self._early = [self._crop(material, track, 0.1) for track in ids]
        self._late = [self._crop(material, track, 0.9) for track in ids]

    @staticmethod
    def _crop(material: Material, track: str, place: float) -> np.ndarray:
        """The crop at `place` (0..1) of the first or last contiguous piece of a track."""
        spans = material.store.spans(track)
        first, length, _ = spans[0] if place < 0.5 else spans[-1]
        start = first + round(max(0, length - material.clip) * place)
        return read_crop(material.store, track, start, material.clip)

    @torch.inference_mode()
    def _embed(self, embedder: Embedder, crops: list[np.ndarray], device: torch.device) -> Tensor:
        parts = []
        for first in range(0, len(crops), BLOCK):
            batch = torch.from_numpy(np.stack(crops[first : first + BLOCK])).to(device).float()
            samples = self.level == "samples"
            spectrogram = embedder.frontend(batch / 32768) if samples else batch.transpose(1, 2)
            parts.append(embedder.from_spectrogram(spectrogram).float().cpu())
        return torch.cat(parts)

    def judge(self, embedder: Embedder, device: torch.device) -> Geometry | None:
        """The geometry of the two views of the held-out tracks; None when nothing is held out."""
        if not self._early:
            return None
        return geometry(self._embed(embedder, self._early, device), self._embed(embedder, self._late, device))
