"""Several modalities in one space: an encoder for each, one for all together, one projection head for every encoder.

Poklukar et al., "Geometric Multimodal Contrastive Representation Learning", ICML 2022, arXiv 2202.03390, section 4:
base encoders f_1 ... f_M and f_1:M to intermediate representations h of one size, and a shared head g to z.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mirclr.models.text import Bags, HashedText

Given = Tensor | Bags
TEXT = "text"


class VectorFeatures(nn.Module):
    """Vectors `(B, inputs)` to `(B, width)`: standardise, `(x - mean) * scale` as fitted, drop out, linear, SiLU."""

    mean: Tensor
    scale: Tensor

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, width), nn.SiLU())

    def fit(self, vectors: Tensor) -> None:
        """Take mean and deviation of `(N, inputs)`; a dimension that never moves is left out rather than blown up."""
        wide = vectors.double()
        spread = wide.std(dim=0, correction=0)
        self.mean.copy_(wide.mean(dim=0))
        self.scale.copy_(torch.where(spread > 1e-6 * spread.max(), 1 / spread, 0))

    def forward(self, vectors: Tensor) -> Tensor:
        """`(B, inputs)` to `(B, width)`."""
        features: Tensor = self.layers((vectors - self.mean) * self.scale)
        return features


class TextFeatures(nn.Module):
    """Bags of n-grams to `(B, width)`: their vectors normalised (layer norm), drop out, linear, SiLU."""

    def __init__(self, width: int, dropout: float, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.hashed = HashedText(**options)
        inputs = self.hashed.width
        # The mean of many vectors is short, that of few is long: how many words a text has must not matter.
        self.layers = nn.Sequential(nn.LayerNorm(inputs), nn.Dropout(dropout), nn.Linear(inputs, width), nn.SiLU())

    def forward(self, bags: Bags) -> Tensor:
        """Bags of B texts to `(B, width)`."""
        features: Tensor = self.layers(self.hashed(bags))
        return features


class JointSpace(nn.Module):
    """Modalities to unit-free projections `(B, dim)` that are compared by cosine.

    `plan` is plain data that rebuilds it: `{"modalities": {name: size of its vectors}, "text": options of HashedText or
    None, "width", "common", "hidden", "dim": sizes, "dropout": 0..1}`. Text, where there is any, is a modality of the
    name "text" and the last one. Attributes: `plan`, `names` of the modalities in order, `dim`.

    As the authors do, the encoder of all together has features of its own for every modality, joined and mapped to
    `common` numbers. Where a modality is missing, a learned vector stands for its features: the authors train on
    complete observations only, collections are not complete.

    Raises ValueError on a plan that cannot be built, fewer than two modalities among others.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        super().__init__()
        self.plan = dict(plan)
        vectors: dict[str, int] = dict(plan["modalities"])
        self.names = (*vectors, *([TEXT] if plan["text"] is not None else []))
        _check(plan, self.names)
        width, common, self.dim = plan["width"], plan["common"], plan["dim"]
        self.alone = nn.ModuleList(self._features(name) for name in self.names)
        self.common = nn.ModuleList(nn.Linear(width, common) for _ in self.names)
        self.together = nn.ModuleList(self._features(name) for name in self.names)
        self.absent = nn.Parameter(torch.zeros(len(self.names), width))
        self.joined = nn.Linear(len(self.names) * width, common)
        hidden = plan["hidden"]
        self.head = nn.Sequential(
            nn.Linear(common, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, self.dim)
        )  # fmt: skip

    def _features(self, name: str) -> nn.Module:
        width, dropout = self.plan["width"], self.plan["dropout"]
        if name == TEXT:
            return TextFeatures(width, dropout, self.plan["text"])
        return VectorFeatures(self.plan["modalities"][name], width, dropout)

    @property
    def text(self) -> HashedText | None:
        """What turns words into buckets; None without text."""
        found = self.alone[-1]
        return found.hashed if isinstance(found, TextFeatures) else None

    def fit(self, vectors: Mapping[str, Tensor], seen: Bags | None = None) -> None:
        """Fit what is measured rather than learned: the mean and deviation of each modality's vectors `(N, inputs)`,
        and which buckets of text are `seen`."""
        for name, alone, together in zip(self.names, self.alone, self.together, strict=True):
            for part in (alone, together):
                if isinstance(part, VectorFeatures):
                    part.fit(vectors[name])
                elif isinstance(part, TextFeatures) and seen is not None:
                    part.hashed.mark_seen(seen)

    def one(self, name: str, given: Given) -> Tensor:
        """The projections `(B, dim)` of what one modality says: vectors `(B, inputs)`, or bags of text."""
        place = self.names.index(name)
        projected: Tensor = self.head(self.common[place](self.alone[place](given)))
        return projected

    def whole(self, given: Mapping[str, Given], present: Tensor) -> Tensor:
        """The projections `(B, dim)` of what all modalities say together; `present` `(M, B)` bool in the order of
        `names`. Of an item that lacks a modality, any finite numbers may be given for it; they do not matter."""
        parts = [
            torch.where(here[:, None], features(given[name]), absent)
            for name, features, here, absent in zip(self.names, self.together, present, self.absent, strict=True)
        ]
        projected: Tensor = self.head(self.joined(torch.cat(parts, dim=1)))
        return projected

    def forward(self, given: Mapping[str, Given], present: Tensor) -> tuple[Tensor, Tensor]:
        """`(M, B, dim)` of the modalities alone and `(B, dim)` of all together."""
        return torch.stack([self.one(name, given[name]) for name in self.names]), self.whole(given, present)


def _check(plan: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if len(names) < 2 or TEXT in plan["modalities"]:
        raise ValueError(f"a joint space needs two modalities or more, text told apart from vectors, got {names}")
    sizes = {**{f"modalities.{n}": size for n, size in plan["modalities"].items()}}
    for name, value in {**sizes, **{key: plan[key] for key in ("width", "common", "hidden", "dim")}}.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
    if not 0 <= plan["dropout"] < 1:
        raise ValueError(f"dropout must be in 0 to below 1, got {plan['dropout']}")
