"""What the tracks of a map can be coloured by: their tags and measures, and groups of tracks that sound alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from mirclr.plots.embeddings import shown_values

# Columns of the track table that say what a file is, not what the music is; the title is a track's name.
FILE = ("path", "id", "audio_id", "size", "mtime_ns", "container", "sample_rate", "channels")
TECHNICAL = frozenset((*FILE, "row", "flags", "title", "track"))
FIRST = ("genre", "artist", "cluster", "tempo", "year", "key", "energy", "album", "duration")
UNITS = {"tempo": "BPM", "energy": "LUFS", "duration": "s"}
CLUSTERS = 8  # as many as there are colours with the best shapes; fewer in a small library


@dataclass(frozen=True)
class Field:
    """One column: `values`, per track a word, a number or None (unknown)."""

    name: str
    kind: Literal["words", "number"]
    values: tuple[Any, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON: numbers as they are; words as `codes` into `names`, the most frequent first, -1 for unknown."""
        if self.kind == "number":
            return {"name": self.name, "kind": self.kind, "unit": UNITS.get(self.name, ""), "values": list(self.values)}
        counts = Counter(value for value in self.values if value is not None)
        names = sorted(counts, key=lambda value: (-counts[value], value))
        code = {name: place for place, name in enumerate(names)}
        return {
            "name": self.name,
            "kind": self.kind,
            "names": names,
            "codes": [-1 if value is None else code[value] for value in self.values],
        }


def table_fields(tracks: pd.DataFrame) -> list[Field]:
    """A field for every column of the track table that says something of the music and is known of some track."""
    fields = [_field(str(name), tracks) for name in tracks.columns if name not in TECHNICAL]
    return [field for field in fields if any(value is not None for value in field.values)]


def given_fields(values: Mapping[str, np.ndarray]) -> list[Field]:
    """Fields of tags as `mirclr.plots.tagged` reads them: floats (nan: unknown) or words (None: unknown)."""
    return [
        Field(name, "number" if column.dtype.kind == "f" else "words", tuple(_cell(value) for value in column.tolist()))
        for name, column in values.items()
    ]


def clusters(unit: np.ndarray, genres: Sequence[str | None], seed: int) -> Field:
    """Groups of the `(N, D)` unit rows by k-means (Lloyd, 1982), largest first.

    A group is named after a genre, too, that more than half of its tracks with a genre share.
    """
    from sklearn.cluster import KMeans

    count = min(CLUSTERS, max(2, round((len(unit) / 2) ** 0.5)))
    found = KMeans(min(count, len({row.tobytes() for row in unit})), n_init=2, random_state=seed).fit_predict(unit)
    order = [group for group, _ in Counter(found.tolist()).most_common()]
    called = {
        group: _called(rank, [genres[i] for i in np.flatnonzero(found == group).tolist()])
        for rank, group in enumerate(order, 1)
    }
    return Field("cluster", "words", tuple(called[group] for group in found.tolist()))


def in_order(fields: Sequence[Field]) -> list[Field]:
    """Those that people ask for first, then the others as they come."""
    return sorted(fields, key=lambda field: FIRST.index(field.name) if field.name in FIRST else len(FIRST))


def _called(rank: int, genres: Sequence[str | None]) -> str:
    known = [genre for genre in genres if genre is not None]
    commonest = shown_values(known)[:1]
    named = len(known) >= 3 and known.count(commonest[0]) * 2 > len(known)
    return f"{rank}, mostly {commonest[0]}" if named else str(rank)


def _field(name: str, tracks: pd.DataFrame) -> Field:
    column = tracks[name]
    number = pd.api.types.is_numeric_dtype(column)
    return Field(name, "number" if number else "words", tuple(_cell(value) for value in column.tolist()))


def _cell(value: Any) -> Any:
    """A cell for JSON: None for unknown, a rounded number, or text of valid Unicode."""
    if value is None or pd.isna(value) or value == "":
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return round(float(value), 2) if np.isfinite(value) else None
    return str(value).encode("utf-8", "replace").decode()
