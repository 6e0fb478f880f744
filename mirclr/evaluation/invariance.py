"""The invariance card: how far do tempo, key, loudness, equalisers and codecs move a track among its neighbours?

An excerpt of every track is changed by the lines of `mirclr.evaluation.changes` and asks for itself among the unchanged
excerpts of all tracks. Vectors are standardised over the unchanged ones (no label is used) and scaled to length 1. Per
change and row:

- *rank* of its own original, the median over tracks; with equals it takes the last place, so that vectors that say
  nothing find nothing;
- *first*: the share of tracks whose original has rank 1;
- *cosine* to the original, the mean;
- *shift*: the distance to the original, the median over tracks, in units of the distance from a track to its nearest
  other track (the median over tracks). 0: it did not move; 1: it moved as far as to the next track.

Small is not good in itself: a space for cover versions should ignore keys, one for a disc jockey should not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.datasets.collection import artist_groups
from mirclr.errors import DatasetError
from mirclr.evaluation.bootstrap import DRAWS, interval, track_weights
from mirclr.evaluation.changes import TEMPO, Change, changes_for
from mirclr.evaluation.judge import Measure
from mirclr.evaluation.neighbours import similarity_blocks, unit
from mirclr.evaluation.probes import Standardiser
from mirclr.evaluation.rows import Kind, candidates, extractors_of
from mirclr.features.embed import embed_tracks
from mirclr.features.encoder import EncoderExtractor
from mirclr.features.random_init import random_encoder
from mirclr.features.together import Together
from mirclr.files import write_atomic
from mirclr.reports import Work
from mirclr.seeds import generator
from mirclr.units import samples_of

TRACKS, SECONDS = 200, 20.0
FEWEST = 3  # of two, standardised vectors are opposite whatever they are
METRICS = ("rank", "first", "cosine", "shift")


@dataclass(frozen=True)
class Moved:
    """How far one change moves the tracks in one row's space: `measures` by the names in `METRICS`."""

    row: str
    kind: Kind
    change: Change
    measures: dict[str, Measure]


@dataclass(frozen=True)
class InvarianceReport:
    """`moved`: every change of MFCC statistics, of the untrained twin and of the encoder, row by row. `notes`: what a
    reader must know of the encoder; `quarantine` (path, reason, detail): what could not be read."""

    tracks: int
    artists: int
    seconds: float
    moved: tuple[Moved, ...]
    notes: tuple[str, ...]
    quarantine: pd.DataFrame

    def records(self) -> list[dict[str, Any]]:
        """A record a row, change and metric, with its 95 % interval `low` to `high`."""
        return [
            {
                "extractor": m.row,
                "kind": m.kind,
                "attribute": m.change.attribute,
                "amount": m.change.amount,
                "metric": name,
                "value": measure.value,
                "low": measure.low,
                "high": measure.high,
            }
            for m in self.moved
            for name, measure in m.measures.items()
        ]

    def card(self) -> list[dict[str, str]]:
        """One record a change for a terminal: of every row its shift with interval, and the share at rank 1."""
        out: dict[str, dict[str, str]] = {}
        for m in self.moved:
            shift, first = m.measures["shift"], m.measures["first"]
            cells = out.setdefault(m.change.name, {"change": m.change.name})
            cells[f"{m.row}: shift"] = f"{shift.value:.2f} ({shift.low:.2f} to {shift.high:.2f})"
            cells[f"{m.row}: first"] = f"{100 * first.value:.0f} %"
        return list(out.values())

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        head = {"tracks": self.tracks, "artists": self.artists, "seconds": self.seconds}
        listed = self.quarantine.to_dict("records")
        return {**head, "rows": self.records(), "notes": list(self.notes), "quarantine": listed}


class Altered:
    """An extractor that answers for an excerpt with a vector for it as it is and one for each of `changes`.

    The excerpt is the middle `seconds` of the track. It is changed with what surrounds it and cut out afterwards: a
    faster excerpt then holds what really follows, and no filter or codec has an edge in it.
    """

    def __init__(self, whole: Together, changes: Sequence[Change], seconds: float, seed: int) -> None:
        self.whole, self.changes, self.seconds, self.seed = whole, tuple(changes), seconds, seed
        self.name = f"changes of {whole.name}"
        self.fingerprint = f"changes+{whole.fingerprint}"
        self.dim, self.sample_rate = whole.dim, whole.sample_rate

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` samples to `(1 + changes, D)` float32; all start where the excerpt does. Any T >= 1."""
        around, kept = excerpt(samples, self.sample_rate, self.seconds)
        heard = [around, *(change(around, self.seed) for change in self.changes)]
        vectors = np.concatenate([self.whole.segments(version[kept])[0] for version in heard])
        start = (len(samples) - (kept.stop - kept.start)) // 2 / self.sample_rate
        return vectors, np.full(len(heard), start)


def excerpt(samples: np.ndarray, sample_rate: int, seconds: float) -> tuple[np.ndarray, slice]:
    """The middle `seconds` of `(T,)` samples with room for the fastest change, as far as the track has it; and where
    the excerpt is in that."""
    length = min(len(samples), samples_of(seconds, sample_rate))
    room = samples_of(seconds * max(TEMPO) / 200, sample_rate)
    first = (len(samples) - length) // 2
    begin = max(0, first - room)
    return samples[begin : first + length + room], slice(first - begin, first - begin + length)


def invariance(
    tracks: pd.DataFrame,
    encoder: EncoderExtractor,
    *,
    count: int = TRACKS,
    seconds: float = SECONDS,
    seed: int = 0,
    draws: int = DRAWS,
    workers: int | None = None,
) -> Work[InvarianceReport]:
    """The card of `encoder` on `count` tracks chosen by `seed` of a track table (columns `path` and `artist`).

    Deterministic from `seed`. Raises ValueError on a `count` below 3 or no `seconds`; DatasetError when fewer than
    three tracks can be read, or when half the tracks of a row cannot be told from another track.
    """
    if count < FEWEST or not seconds > 0:
        raise ValueError(f"count must be at least {FEWEST} and seconds positive, got {count} and {seconds:g}")
    asked = candidates({encoder.name: encoder}, {}, random_encoder, random_seeds=1, seed=seed)
    team, changes = Together(extractors_of(asked)), changes_for(encoder.sample_rate)
    chosen = chosen_tracks(tracks, count, seed)
    done = yield from embed_tracks(Altered(team, changes, seconds, seed), chosen, workers)
    if len(done.tracks) < FEWEST:
        raise DatasetError(f"{len(done.tracks)} of {len(chosen)} tracks could be read; a card needs {FEWEST}")
    groups, _ = artist_groups(done.tracks["artist"])
    weights, heard = track_weights(groups, draws, seed), np.stack(done.segments)
    versions = [team.split(heard[:, place]) for place in range(1 + len(changes))]
    moved = tuple(
        Moved(c.name, c.kind, change, measures)
        for c in asked
        for change, measures in zip(changes, _row(c.name, [v[c.name] for v in versions], weights), strict=True)
    )
    return InvarianceReport(len(groups), len(np.unique(groups)), seconds, moved, asked[-1].notes, done.quarantine)


def chosen_tracks(tracks: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """At most `count` tracks in table order, each as likely as any other."""
    if len(tracks) <= count:
        return tracks
    rows = generator(seed, "invariance").choice(len(tracks), count, replace=False)
    return tracks.iloc[np.sort(rows)].reset_index(drop=True)


def _row(name: str, versions: Sequence[np.ndarray], weights: np.ndarray) -> Iterator[dict[str, Measure]]:
    """The measures of every change in one space. `versions`: `(N, D)` as it is, then under each change."""
    known, nearest, others = _placed(name, versions[0], versions[1:])
    for asked in others:
        rank = own_rank(asked, known)
        yield {
            "rank": _median(rank, weights),
            "first": _mean(rank == 1, weights),
            "cosine": _mean((asked * known).sum(axis=1), weights),
            "shift": _median(np.linalg.norm(asked - known, axis=1) / nearest, weights),
        }


def shift_of(name: str, vectors: np.ndarray, changed: Iterable[np.ndarray]) -> list[float]:
    """The *shift* of each of the `changed` versions `(N, D)` of `vectors`.

    Raises DatasetError when half the tracks cannot be told from another track in the space called `name`.
    """
    known, nearest, others = _placed(name, vectors, changed)
    return [float(np.median(np.linalg.norm(asked - known, axis=1) / nearest)) for asked in others]


def _placed(
    name: str, vectors: np.ndarray, changed: Iterable[np.ndarray]
) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Unit vectors as they are, the distance to the nearest other (the median), unit vectors under each change."""
    standardise = Standardiser.fitted(vectors)
    known = unit(standardise(vectors))
    nearest = float(np.median(nearest_other(known)))
    if not nearest > 0:
        raise DatasetError(f"{name}: half of the {len(known)} tracks have the vector of another track; nothing to tell")
    return known, nearest, [unit(standardise(version)) for version in changed]


def own_rank(asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`(N,)` the place of `known[i]` in the ranking of all `known` by cosine with `asked[i]`, the last among equals.

    Both `(N, D)`, unit vectors.
    """
    out = np.empty(len(asked))
    for start, cosine in similarity_blocks(asked, known):
        rows = np.arange(len(cosine))
        out[start : start + len(cosine)] = (cosine >= cosine[rows, start + rows][:, None]).sum(axis=1)
    return out


def nearest_other(known: np.ndarray) -> np.ndarray:
    """`(N,)` distances of `(N, D)` unit vectors to the nearest of the others."""
    out = np.empty(len(known))
    for start, cosine in similarity_blocks(known, known):
        rows = np.arange(len(cosine))
        cosine[rows, start + rows] = -np.inf
        neighbour = known[cosine.argmax(axis=1)]
        out[start : start + len(cosine)] = np.linalg.norm(known[start : start + len(cosine)] - neighbour, axis=1)
    return out


def _mean(values: np.ndarray, weights: np.ndarray) -> Measure:
    return Measure(float(values.mean()), *interval(weights @ values / weights.sum(axis=1)))


def _median(values: np.ndarray, weights: np.ndarray) -> Measure:
    return Measure(float(np.median(values)), *interval(weighted_medians(values, weights)))


def weighted_medians(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`(B,)` medians of `(N,)` values, each counted as often as `(B, N)` whole `weights` say."""
    order = np.argsort(values, kind="stable")
    ranked, upto = values[order], weights[:, order].cumsum(axis=1, dtype=np.float64)
    half = upto[:, -1:] / 2
    lower, upper = (upto < half).sum(axis=1), (upto <= half).sum(axis=1)
    return np.asarray((ranked[lower] + ranked[upper]) / 2)


def write_invariance(report: InvarianceReport, folder: Path) -> list[Path]:
    """Write invariance.csv (a record a row, change and metric), then invariance.json, to `folder`, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "invariance.csv", pd.DataFrame(report.records()).to_csv(index=False))
    write_atomic(folder / "invariance.json", json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n")
    return [folder / "invariance.csv", folder / "invariance.json"]
