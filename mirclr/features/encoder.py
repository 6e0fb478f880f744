"""An encoder as an extractor: mono samples of any length in, one vector per clip out."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch

from mirclr.models.embedder import Embedder


def pick_device(wanted: str) -> torch.device:
    """ "auto" to the GPU where there is one, else the CPU; "gpu" and "cpu" as they say.

    Raises ValueError when a GPU is asked for and torch sees none.
    """
    if wanted == "gpu" and not torch.cuda.is_available():
        raise ValueError("device 'gpu': torch sees no GPU here; use 'auto' or 'cpu', or install a GPU build of torch")
    gpu = wanted in ("auto", "gpu") and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu") if wanted in ("auto", "gpu") else torch.device(wanted)


def fingerprint_of(embedder: Embedder) -> str:
    """32 hex digits that differ whenever the vectors would: a digest of the plan and of every weight."""
    digest = hashlib.blake2b(json.dumps(embedder.plan, sort_keys=True).encode(), digest_size=16)
    for name, tensor in sorted(embedder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class EncoderExtractor:
    """An `Embedder` behind the `Extractor` protocol (mirclr.features.extractor).

    `batch`: clips embedded at once. `notes`: what a reader of a report must know, e.g. that artist tags were used.
    """

    def __init__(
        self, embedder: Embedder, *, name: str, device: str = "auto", notes: tuple[str, ...] = (), batch: int = 64
    ) -> None:
        self.device = pick_device(device)
        # In eval mode batch norm uses its running statistics: a vector never depends on the batch it came in.
        self.embedder = embedder.eval().to(self.device)
        self.name, self.notes, self.batch = name, notes, batch
        self.dim, self.sample_rate = embedder.dim, int(embedder.plan["sample_rate"])
        self.fingerprint = fingerprint_of(embedder)

    @torch.inference_mode()
    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` float32 to `(S, D)` float32 vectors, clips covering the track evenly, and `(S,)` start seconds."""
        spectrogram = self.embedder.frontend.track(torch.from_numpy(samples))
        clips, starts = self.embedder.clips(spectrogram)
        parts = [self.embedder.from_spectrogram(part.to(self.device)) for part in clips.split(self.batch)]
        seconds = starts.numpy() * self.embedder.frontend.hop / self.sample_rate
        return torch.cat(parts).float().cpu().numpy(), seconds.astype(np.float64)
