"""The map of a library as data: a place for every track, what it can be coloured by, and its nearest neighbours.

Places and neighbours are those of the space in which `similar` compares (`mirclr.library.search.Space`).
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.errors import UsageError
from mirclr.evaluation.projection import FEWEST, MOST, PCA, chosen_methods, methods, place
from mirclr.library.hubness import corrected
from mirclr.library.search import DIGITS, Catalogue, best
from mirclr.plots.map_fields import Field, clusters, in_order, table_fields
from mirclr.reports import Progress, Work
from mirclr.units import printable

NEIGHBOURS = 10
GRID = 65_535  # places are whole numbers of a square of this side
BLOCK = 512  # rows compared with all others at a time


@dataclass(frozen=True)
class Map:
    """A laid-out library of N tracks, rows as in the catalogue.

    `tracks`: `path`, `audio_id`, `title` and `duration` of each; `layouts`: name of a method to `(N, 2)` uint16 places;
    `neighbours`: (N, K) rows, nearest first, `likeness`: (N, K) cosines; `fields`: what to colour by; `playlist`: rows
    in playing order; `previews`: data URIs, "" for none.
    """

    name: str
    tracks: tuple[dict[Any, Any], ...]
    layouts: Mapping[str, np.ndarray]
    neighbours: np.ndarray
    likeness: np.ndarray
    fields: tuple[Field, ...]
    playlist: tuple[int, ...] = ()
    previews: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Everything as lists, words and numbers, for JSON. Files are `root` + `files[row]`, percent-encoded URIs."""
        uris = [Path(track["path"]).absolute().as_uri() for track in self.tracks]
        folders = [uri.removeprefix("file://").rpartition("/")[0] or "/" for uri in uris]
        root = "file://" + posixpath.commonpath(folders).rstrip("/") + "/"
        return {
            "name": self.name,
            "root": root,
            "files": [uri[len(root) :] for uri in uris],
            "ids": [track["audio_id"] for track in self.tracks],
            "titles": [_text(track["title"]) for track in self.tracks],
            "fields": [each.plain() for each in self.fields],
            "layouts": [{"name": name, "xy": xy.ravel().tolist()} for name, xy in self.layouts.items()],
            "neighbours": self.neighbours.tolist(),
            "likeness": np.round(self.likeness * 100).astype(int).tolist(),
            "playlist": list(self.playlist),
            "previews": list(self.previews),
            "notes": list(self.notes),
        }

    def as_json(self) -> str:
        """`plain` as JSON of valid Unicode, without NaN."""
        return json.dumps(self.plain(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def methods_for(count: int, wanted: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The methods called `wanted`, else those that take no long time for `count` tracks, and what to say of it.

    The page opens on the first: of its own choice the finest for neighbourhoods.
    """
    if wanted:
        return chosen_methods(wanted), []
    if count <= MOST:
        return methods()[::-1], []
    said = f"{count} tracks are placed by {PCA} alone; t-SNE of so many takes minutes: ask for it with --method t-SNE"
    return (PCA,), [said]


def lay_out(
    catalogue: Catalogue, name: str, wanted: Sequence[str] = (), seed: int = 0, given: Sequence[Field] = ()
) -> Work[Map]:
    """The map of a library called `name`; `given` fields come first, in place of its own so called. Reports progress.

    Raises UsageError on an unknown method, UMAP where it is not installed, or fewer than `FEWEST` tracks.
    """
    unit = catalogue.unit
    if len(unit) < FEWEST:
        raise UsageError(f"{name}: {len(unit)} track(s); a map needs at least {FEWEST}")
    chosen, notes = methods_for(len(unit), wanted)
    layouts: dict[str, np.ndarray] = {}
    for done, method in enumerate(chosen):
        yield Progress("placing", done, len(chosen), method)
        layouts[method] = _on_grid(place(unit, method, seed))
    yield Progress("placing", len(chosen), len(chosen))
    near, likeness = yield from _neighbours(catalogue)
    own = [each for each in table_fields(catalogue.tracks) if each.name not in {one.name for one in given}]
    genres = next((each.values for each in (*given, *own) if each.name == "genre"), (None,) * len(unit))
    fields = (*given, *in_order([*own, clusters(unit, genres, seed)]))
    tracks = tuple(_identities(catalogue))
    if set(chosen) != {PCA}:
        notes.append("Near means alike; far apart, the size of groups and gaps say nothing in t-SNE and UMAP.")
    return Map(printable(name), tracks, layouts, near, likeness, fields, notes=tuple(notes))


def _identities(catalogue: Catalogue) -> list[dict[Any, Any]]:
    """What names each track and finds its file; None for what is not known."""
    named = catalogue.tracks[["path", "audio_id", "title", "duration"]].astype(object)
    return named.where(named.notna(), None).to_dict("records")


def _on_grid(places: np.ndarray) -> np.ndarray:
    """Places in a square, both axes by one scale, as whole numbers 0..GRID."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = float((high - low).max()) or 1.0
    return np.rint(((places - (low + high) / 2) / span + 0.5) * GRID).clip(0, GRID).astype(np.uint16)


def _neighbours(catalogue: Catalogue) -> Work[tuple[np.ndarray, np.ndarray]]:
    """(N, K) rows most like each row, best first, ties in path order, and their cosines; compared exactly, hubs
    corrected where there are hubs."""
    unit, hubs = catalogue.unit, catalogue.correction()
    count = min(NEIGHBOURS, len(unit) - 1)
    near = np.empty((len(unit), count), np.int64)
    likeness = np.empty((len(unit), count), np.float32)
    for start in range(0, len(unit), BLOCK):
        scores = np.round(unit[start : start + BLOCK] @ unit.T, DIGITS)
        for row, line in enumerate(scores, start):
            order = line.copy() if hubs is None else corrected(line, hubs)
            order[row] = -np.inf
            near[row] = best(order, count)
            likeness[row] = line[near[row]]
        yield Progress("neighbours", min(start + BLOCK, len(unit)), len(unit))
    return near, likeness


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
