"""What evaluation and the library need from anything that turns sound into vectors."""

from __future__ import annotations

from typing import Protocol

import numpy as np

Pieces = list[tuple[float, np.ndarray]]
"""What is heard of a file: where each piece begins, in seconds, and its mono samples."""


class Identity(Protocol):
    """Whose vectors these are. Attributes as those of `Extractor`."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def sample_rate(self) -> int: ...


class Extractor(Protocol):
    """Mono samples in, vectors out. An encoder trained by mirclr, an untrained one and MFCC statistics are all one.

    Attributes: `name` for people; `fingerprint`, a hex digest that differs whenever the vectors would; `dim` D;
    `sample_rate` in Hz, the rate `segments` expects.
    """

    name: str
    fingerprint: str
    dim: int
    sample_rate: int

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` float32 samples to `(S, D)` float32 vectors and their `(S,)` start times in seconds, S >= 1.

        Any T >= 1 works: sound shorter than one clip is padded by repetition.
        """
        ...


def track_vector(segments: np.ndarray) -> np.ndarray:
    """`(S, D)` segment vectors to the `(D,)` float32 vector of the track: their mean."""
    return segments.mean(axis=0, dtype=np.float64).astype(np.float32)
