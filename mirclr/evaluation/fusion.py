"""Encoder and handcrafted vectors side by side: does the encoder know anything that chroma and tempogram do not say?

Every dimension is standardised on its own before a probe or a cosine sees it, so neither part counts for more than its
number of dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mirclr.evaluation.rows import Candidate
from mirclr.features.descriptors import Descriptors

WITH = "handcrafted"


def fused(name: str) -> str:
    """What the fusion of a row, or of a family of rows, is called."""
    return f"{name} + {WITH}"


def fusions(asked: Sequence[Candidate]) -> list[Candidate]:
    """For every trained row of `asked` its fusion with the row of `Descriptors`; its rival is that row."""
    handcrafted = next(c for c in asked if c.name == Descriptors.name)
    return [
        Candidate(
            fused(c.name),
            "fusion",
            fused(c.family),
            rivals=(Descriptors.name, c.family),
            members=(c, handcrafted),
        )
        for c in asked
        if c.kind == "trained"
    ]


def fused_vectors(candidate: Candidate, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """`(N, D1 + D2)`: the members' vectors side by side; `vectors[name]` `(N, Di)` are those of a subject."""
    return np.concatenate([vectors[member.name] for member in candidate.members], axis=1)
