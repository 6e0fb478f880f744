"""Why a track is in a list: how far from the seeds and from the track before it, which moments are most alike, and what
the likeness is made of.

The shares come from the measures of timbre, rhythm and harmony in the store, each standardised over the library and
compared by cosine, and from the tags; a part on which the two are not alike has no share. They say what the measures
share, not what the encoder thought: an encoder's distance has no parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mirclr.library.names import artist_key, folded
from mirclr.library.playlist import Entry, Seed
from mirclr.library.recordings import Moments
from mirclr.library.search import Catalogue
from mirclr.units import time_text

BLOCKS = ("timbre", "rhythm", "harmony")
TAGS = ("artist", "album", "genre")


class Explainer:
    """Explains tracks by `seeds`. `notes`: what cannot be told in this library."""

    def __init__(self, catalogue: Catalogue, seeds: Sequence[Seed], moments: Moments) -> None:
        self._catalogue, self._seeds, self._moments = catalogue, seeds, moments
        measured = bool(self._blocks)
        self.notes = (
            []
            if measured
            else ["nothing is measured in this library, so shares are of tags only: mirclr index adds it"]
        )

    def explained(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """The entries, each with `why`: `to_seed` and `to_previous` (1 - cosine), `timbre`, `rhythm`, `harmony`, `tags`
        (shares of the likeness to the nearest seed, together 1), `moment` and `seed_moment` (m:ss of the most alike
        moments) and `seed`, the nearest seed's name. What is unknown is None."""
        before: list[Entry | None] = [None, *entries[:-1]]
        return tuple(replace(entry, why=self._why(entry, last)) for entry, last in zip(entries, before, strict=True))

    def _why(self, entry: Entry, before: Entry | None) -> dict[str, Any]:
        units = np.stack([seed.unit for seed in self._seeds])
        unit = np.asarray(entry.unit)
        cosines = units @ unit
        seed = self._seeds[int(np.argmax(cosines))]
        told: dict[str, Any] = {
            "to_seed": round(1.0 - float(cosines.max()), 4),
            "to_previous": None if before is None else round(1.0 - float(np.asarray(before.unit) @ unit), 4),
            "seed": seed.name,
            **dict.fromkeys((*BLOCKS, "tags", "moment", "seed_moment")),
        }
        if entry.track["audio_id"] == seed.track["audio_id"]:
            return told
        return told | self._shares(entry, seed) | self._moment(entry.row, -1 if seed.row is None else seed.row)

    def _moment(self, row: int, seed_row: int) -> dict[str, str]:
        """The most alike pair of moments; nothing for files of which only the mean is known."""
        if row < 0 or seed_row < 0:
            return {}
        (vectors, starts), (others, times) = self._moments([row, seed_row])
        one, other = np.unravel_index(int(np.argmax(np.round(vectors @ others.T, 6))), (len(vectors), len(others)))
        return {"moment": time_text(float(starts[one])), "seed_moment": time_text(float(times[other]))}

    def _shares(self, entry: Entry, seed: Seed) -> dict[str, float]:
        """Each part's share of the likeness; nothing where they are alike in no part."""
        alike = {"tags": _tags_alike(entry.track, seed.track)}
        if entry.row >= 0 and seed.row is not None:
            alike |= {name: float(np.maximum(0.0, m[entry.row] @ m[seed.row])) for name, m in self._blocks.items()}
        known = {name: value for name, value in alike.items() if np.isfinite(value)}
        whole = sum(known.values())
        return {name: round(value / whole, 3) for name, value in known.items()} if whole > 0 else {}

    @cached_property
    def _blocks(self) -> dict[str, np.ndarray]:
        """Each measure as (U, d) unit rows after standardising; measures nobody took are left out."""
        found = {name: _unit_rows(self._catalogue.descriptors[name].astype(np.float64)) for name in BLOCKS}
        return {name: rows for name, rows in found.items() if np.isfinite(rows).any()}


def _unit_rows(values: np.ndarray) -> np.ndarray:
    """(U, d) to rows of length one after the z-score of every column; NaN rows stay NaN."""
    known = np.isfinite(values).all(axis=1)
    if not known.any():
        return values
    spread = values[known].std(axis=0)
    scaled = (values - values[known].mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, length, out=np.zeros_like(scaled), where=~(length == 0))


def _tags_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The share of the tags both have that are equal (artist, album, genre); NaN when they have none in common."""
    both = [(_key(name, one.get(name)), _key(name, other.get(name))) for name in TAGS]
    equal = [a == b for a, b in both if a and b]
    return float(np.mean(equal)) if equal else float("nan")


def _key(name: str, tag: Any) -> str | None:
    if tag is None or pd.isna(tag):
        return None
    return artist_key(str(tag)) if name == "artist" else folded(str(tag))
