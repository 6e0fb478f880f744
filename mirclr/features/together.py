"""Several extractors that hear the same decoded sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mirclr.features.extractor import Extractor, track_vector


class Together:
    """Several extractors of one sample rate as one: each track is decoded once for all of them.

    Its vector is theirs in a row (each the mean over its own segments); `split` takes them apart. `extractors`: the
    members by name.
    """

    def __init__(self, extractors: Mapping[str, Extractor]) -> None:
        self.extractors = dict(extractors)
        members = list(self.extractors.values())
        self.name = " + ".join(self.extractors)
        self.fingerprint = "+".join(m.fingerprint for m in members)
        self.dim, self.sample_rate = sum(m.dim for m in members), members[0].sample_rate

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` samples to one `(1, D1 + D2 + ...)` float32 vector starting at 0 s."""
        return self.joined([member.segments(samples) for member in self.extractors.values()])

    @staticmethod
    def joined(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """What `segments` gives, from the segments of every member, in order."""
        return np.concatenate([track_vector(vectors) for vectors, _ in parts])[None, :], np.zeros(1)

    def split(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """`(N, D1 + D2 + ...)` to `(N, Di)` for each extractor by name."""
        ends = np.cumsum([member.dim for member in self.extractors.values()])
        return dict(zip(self.extractors, np.split(vectors, ends[:-1], axis=1), strict=True))
