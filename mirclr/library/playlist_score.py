"""A scorecard for any list of tracks of a library: what the field measures in playlists, each with its source.

Sound is compared in the library's own space, so two lists are comparable within one store and not between stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mirclr.errors import UsageError
from mirclr.library.names import artist_key, version_key
from mirclr.library.playlist import Seed, smoothness
from mirclr.library.search import BLOCK, Catalogue


@dataclass(frozen=True)
class Measure:
    """One row of a card: `name`, what it is `of`, and where it is `from`."""

    name: str
    of: str
    source: str


MEASURES = (
    Measure("tracks", "how many", ""),
    Measure("minutes", "their length together, of those whose length is known", ""),
    Measure(
        "smoothness", "mean cosine of neighbours, -1 to 1",
        "coherence of transitions: Pohle, Pampalk and Widmer, Generating similarity-based playlists, DAFx 2005",
    ),
    Measure("roughest", "the lowest cosine of two neighbours", "as smoothness"),
    Measure(
        "diversity", "mean distance (1 - cosine) of all pairs, 0 to 2",
        "one minus intra-list similarity: Ziegler et al., Improving recommendation lists, WWW 2005",
    ),
    Measure(
        "artist_entropy", "bits of the distribution of artists over the highest possible, 0 to 1",
        "Shannon 1948, on artists as in Slaney and White, Measuring playlist diversity, AMCMM 2006",
    ),
    Measure(
        "novelty", "mean -log2 of the share of the library that is by the track's artist, bits",
        "self-information: Zhou et al., PNAS 2010, with tracks in the library for popularity",
    ),
    Measure(
        "coverage", "mean over the library of the cosine to the nearest track of the list",
        "facility location: Lin and Bilmes, A class of submodular functions, ACL 2011",
    ),
    Measure("repeats", "tracks that repeat a sound, or a song in another version", ""),
    Measure("artist_runs", "neighbours by one artist", ""),
)  # fmt: skip


def score(catalogue: Catalogue, tracks: Sequence[Seed]) -> dict[str, float]:
    """The measures of a list by name. NaN where a list is too short for one, or has no tags for it.

    Raises UsageError for an empty list.
    """
    if not tracks:
        raise UsageError("there is no track of this library to score")
    units = np.stack([track.unit for track in tracks]).astype(np.float64)
    artists = [artist_key(track.track["artist"]) for track in tracks]
    seconds = np.array([track.track["duration"] for track in tracks], float)
    steps = np.einsum("nd,nd->n", units[1:], units[:-1])
    count = len(tracks)
    return {
        "tracks": count,
        "minutes": float(np.nansum(seconds)) / 60,
        "smoothness": smoothness(units),
        "roughest": float(steps.min()) if count > 1 else float("nan"),
        "diversity": _diversity(units),
        "artist_entropy": _entropy(artists),
        "novelty": _novelty(catalogue, artists),
        "coverage": _coverage(catalogue, units.astype(np.float32)),
        "repeats": _repeats(tracks),
        "artist_runs": sum(bool(a) and a == b for a, b in pairwise(artists)),
    }


def _diversity(units: np.ndarray) -> float:
    """Mean of 1 - cosine over pairs, from the length of the sum of all."""
    count = len(units)
    if count < 2:
        return float("nan")
    whole = units.sum(axis=0)
    return float(1 - (whole @ whole - np.einsum("nd,nd->", units, units)) / (count * (count - 1)))


def _entropy(artists: Sequence[str | None]) -> float:
    """Of the artists that are named; 1 when all differ, 0 when all are one."""
    _, counts = np.unique([artist for artist in artists if artist], return_counts=True)
    if counts.sum() < 2:
        return float("nan")
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum() / np.log2(counts.sum())) + 0.0


def _novelty(catalogue: Catalogue, artists: Sequence[str | None]) -> float:
    """Artists the library does not have count as one track."""
    tags = catalogue.tracks["artist"].value_counts()
    known: dict[str, int] = {}
    for tag, count in tags.items():
        key = artist_key(tag if isinstance(tag, str) else None)
        if key:
            known[key] = known.get(key, 0) + int(count)
    shares = [max(1, known.get(artist, 1)) / len(catalogue.tracks) for artist in artists if artist]
    return float(-np.log2(shares).mean()) + 0.0 if shares else float("nan")


def _coverage(catalogue: Catalogue, units: np.ndarray) -> float:
    nearest = [
        (catalogue.unit[start : start + BLOCK] @ units.T).max(axis=1) for start in range(0, len(catalogue.unit), BLOCK)
    ]
    return float(np.concatenate(nearest).mean())


def _repeats(tracks: Sequence[Seed]) -> int:
    heard: set[object] = set()
    repeats = 0
    for track in tracks:
        marks = {track.track["audio_id"], version_key(track.track["artist"], track.track["title"])} - {None}
        repeats += bool(heard & marks)
        heard |= marks
    return repeats
