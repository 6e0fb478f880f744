"""Several extractors that hear the same decoded sound."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from mirclr.features.extractor import Extractor, track_vector


class Together:
    """Several extractors of one sample rate as one: each track is decoded once for all of them.

    Its vector is theirs in a row (each the mean over its own segments); `split` takes them apart. `extractors`: the
    members by name. `speeds` says how much faster than real time each has been so far.
    """

    def __init__(self, extractors: Mapping[str, Extractor]) -> None:
        self.extractors = dict(extractors)
        members = list(self.extractors.values())
        self.name = " + ".join(self.extractors)
        self.fingerprint = "+".join(m.fingerprint for m in members)
        self.dim, self.sample_rate = sum(m.dim for m in members), members[0].sample_rate
        # (seconds of sound, seconds of work) of every track; appended to by several threads, which a list allows.
        self._clock: dict[str, list[tuple[float, float]]] = {name: [] for name in self.extractors}

    @property
    def speeds(self) -> dict[str, float]:
        """Seconds of sound embedded in a second of one thread, without decoding, for each extractor that worked.

        The median over tracks: in the first one libraries are loaded and code is compiled.
        """
        return {
            name: float(np.median([sound / max(work, 1e-9) for sound, work in spent]))
            for name, spent in self._clock.items()
            if spent
        }

    def hear(self, name: str, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the member called `name` makes of `(T,)` samples, its segments and their starts, by the clock."""
        begun = time.perf_counter()
        found = self.extractors[name].segments(samples)
        self._clock[name].append((len(samples) / self.sample_rate, time.perf_counter() - begun))
        return found

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` samples to one `(1, D1 + D2 + ...)` float32 vector starting at 0 s."""
        return self.joined([self.hear(name, samples) for name in self.extractors])

    @staticmethod
    def joined(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """What `segments` gives, from the segments of every member, in order."""
        return np.concatenate([track_vector(vectors) for vectors, _ in parts])[None, :], np.zeros(1)

    def split(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """`(N, D1 + D2 + ...)` to `(N, Di)` for each extractor by name."""
        ends = np.cumsum([member.dim for member in self.extractors.values()])
        return dict(zip(self.extractors, np.split(vectors, ends[:-1], axis=1), strict=True))
