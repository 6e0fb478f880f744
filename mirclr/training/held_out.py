"""Tracks the loss never sees, and the question asked of them at every report: does one end of a track find the other?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mirclr.models.embedder import Embedder
from mirclr.models.frontend import LogMel
from mirclr.seeds import generator
from mirclr.training.diagnostics import effective_rank, same_track_retrieval
from mirclr.training.material import Material
from mirclr.training.views import read_crop

FEWEST, MOST, DISTRACTORS = 4, 200, 100


def hold_out(count: int, share: float, seed: int) -> np.ndarray:
    """Rows kept out of training: `share` of `count`, at most 200; none when that makes fewer than 4.

    With fewer than four questions the answer would be noise, and a small folder needs every track it has.
    """
    wanted = min(MOST, round(count * share))
    if wanted < FEWEST:
        return np.zeros(0, np.int64)
    return np.sort(generator(seed, "hold-out").permutation(count)[:wanted])


class HeldOut:
    """One crop early and one late in every held-out track; crops of up to 100 training tracks as distractors."""

    def __init__(self, material: Material, held: np.ndarray) -> None:
        ids = list(material.tracks["id"])
        others = [i for i in range(len(ids)) if i not in set(held.tolist())][:DISTRACTORS]
        self.held = held
        self._queries = [self._crop(material, ids[i], 0.1) for i in held]
        self._keys = [self._crop(material, ids[i], 0.9) for i in [*held, *others]]
        self.level = material.level

    @staticmethod
    def _crop(material: Material, track: str, place: float) -> np.ndarray:
        """The crop at `place` (0..1) of a track, kept within one contiguous piece."""
        spans = material.store.spans(track)
        span = spans[0] if place < 0.5 else spans[-1]
        start = span.start + round(max(0, span.length - material.clip) * place)
        return read_crop(material.store, track, start, material.clip)

    @torch.inference_mode()
    def _embed(self, embedder: Embedder, frontend: LogMel, crops: list[np.ndarray], device: torch.device) -> Tensor:
        parts = []
        for first in range(0, len(crops), 64):
            batch = torch.from_numpy(np.stack(crops[first : first + 64])).to(device).float()
            spectrogram = frontend(batch / 32768) if self.level == "samples" else batch.transpose(1, 2)
            parts.append(embedder.from_spectrogram(spectrogram).float().cpu())
        return torch.cat(parts)

    def judge(self, embedder: Embedder, device: torch.device) -> dict[str, float]:
        """Recall@1 and mean reciprocal rank of the late crop given the early one, and the effective rank of all.

        An empty dictionary when nothing is held out.
        """
        if not len(self.held):
            return {}
        queries = self._embed(embedder, embedder.frontend, self._queries, device)
        keys = self._embed(embedder, embedder.frontend, self._keys, device)
        found = same_track_retrieval(queries.numpy(), keys.numpy())
        return {
            "held_out_recall_at_1": float(found.recall_at_1),
            "held_out_mrr": float(found.mrr),
            "embedding_effective_rank": float(effective_rank(keys.numpy())),
        }
