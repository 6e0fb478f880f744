"""Frontend, compression, normalisation, encoder and projection in one module: what is exported, and what all after
training use."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr.models.table import build_compression, build_encoder, build_frontend, build_head, build_normalisation
from mirclr.tables import options_of

VECTORS = ("features", "projection")
"""What an embedder may give."""


def features_only(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of the same embedder without a projection."""
    return {key: value for key, value in plan.items() if key not in ("projection", "vector")}


class Embedder(nn.Module):
    """Samples or the frontend's frames to embeddings: compress, normalise, encode.

    `plan` is plain data that rebuilds it: `{"sample_rate": Hz, "clip_seconds": s, "frontend": {"name": ..., ...},
    "compression": ..., "normalise": ..., "encoder": ..., "projection": ..., "vector": "features" or "projection"}`.
    Without `compression` it is "log", without `normalise` "fitted"; without `projection` there is none, and the vector
    is the encoder's features. Attributes: `plan`, `dim`, the size of a vector, `clip_frames`, the frames of one clip.

    The features are all that the encoder knows, for tasks it was not trained for. The projection, of length 1, is the
    space its objective made; docs/training.md measures both.

    Effects on spectrograms come before the compression, where gain is addition.

    Raises ValueError on a plan that cannot be built, and when the parts do not fit: a frontend that gives samples and
    an encoder of spectrograms, for example.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        super().__init__()
        self.plan = dict(plan)
        self.frontend = build_frontend(sample_rate=plan["sample_rate"], **plan["frontend"])
        bands, rate = self.frontend.bands, plan["sample_rate"] / self.frontend.hop
        self.compress = build_compression(bands=bands, frame_rate=rate, **plan.get("compression", {"name": "log"}))
        least = self.frontend.least_spread
        self.normalise = build_normalisation(bands=bands, least=least, **plan.get("normalise", {"name": "fitted"}))
        self.encoder = build_encoder(bands=bands, **plan["encoder"])
        # Defaults written out: what is on disk stays what it was when a default changes.
        self.plan["encoder"] = {**options_of(type(self.encoder), ("bands",)), **plan["encoder"]}
        self._check_domains()
        projection = plan.get("projection")
        self.project = None if projection is None else build_head(inputs=self.encoder.dim, **projection)
        self.vector = plan.get("vector", "features")
        self._check_vector()
        self.dim = self.encoder.dim if self.project is None or self.vector == "features" else self.project.dim
        self.clip_frames = max(1, round(plan["clip_seconds"] * plan["sample_rate"] / self.frontend.hop))

    def _check_domains(self) -> None:
        domain, kinds = self.frontend.domain, {"spec": "spectrograms", "wave": "samples"}
        gives = f"frontend {self.plan['frontend']['name']!r} gives {kinds[domain]}"
        if self.encoder.domain != domain:
            taker = self.plan["encoder"]["name"]
            raise ValueError(f"{gives}, but encoder {taker!r} takes {kinds[self.encoder.domain]}")
        if domain not in self.compress.domains:
            raise ValueError(f"{gives}, but compression {self.plan['compression']['name']!r} takes spectrograms")

    def _check_vector(self) -> None:
        if self.vector not in VECTORS:
            raise ValueError(f"vector must be one of {', '.join(VECTORS)}, got {self.vector!r}")
        if self.vector == "projection" and self.project is None:
            raise ValueError("vector 'projection' needs a projection")

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Fit the normalisation on `batches` `(B, F, N)` as the frontend gives them, compressed as they will be.

        Raises ValueError as the normalisation does.
        """
        with torch.no_grad():
            self.normalise.fit(self.compress(batch) for batch in batches)

    def features(self, frames: Tensor) -> Tensor:
        """The frontend's frames `(B, F, N)` to the encoder's features `(B, C)`."""
        features: Tensor = self.encoder(self.normalise(self.compress(frames)))
        return features

    def sequence(self, frames: Tensor) -> Tensor:
        """The frontend's frames `(B, F, N)` to features of every moment, `(B, ceil(N / encoder.frame_stride), C)`."""
        features: Tensor = self.encoder.sequence(self.normalise(self.compress(frames)))
        return features

    def from_spectrogram(self, frames: Tensor) -> Tensor:
        """The frontend's frames `(B, F, N)` to vectors `(B, D)`: features, or projections of length 1."""
        features = self.features(frames)
        if self.vector == "features":
            return features
        assert self.project is not None
        return functional.normalize(self.project(features).float(), dim=1)

    def bare(self) -> Embedder:
        """A copy that gives the features and has no projection: what other objectives and tasks begin with."""
        twin = copy.deepcopy(self)
        twin.plan = features_only(self.plan)
        twin.project, twin.vector, twin.dim = None, "features", self.encoder.dim
        return twin

    def forward(self, samples: Tensor) -> Tensor:
        """`(B, T)` samples in -1..1 to `(B, D)`."""
        return self.from_spectrogram(self.frontend(samples))

    def clips(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """A track `(F, N)` as clips `(S, F, clip_frames)` that cover it evenly, and their first frames `(S,)`.

        As few clips as there can be without leaving out more than an eighth of a clip in all: another whole clip for
        the last few frames would count them double. A track shorter than one clip is repeated until it fills one.
        """
        count, clip = frames.shape[1], self.clip_frames
        if count < clip:
            frames = frames.repeat(1, -(-clip // count))[:, :clip]
            count = clip
        starts = torch.linspace(0, count - clip, -(-(count - clip // 8) // clip)).round().long()
        places = starts[:, None] + torch.arange(clip)
        return frames[:, places].permute(1, 0, 2), starts
