"""A report card for music without labels: the questions that a folder answers by itself.

- *Same track*: the first half of a track asks, the second halves of all tracks are the candidates, and the other way
  round. R@1 is the share whose nearest candidate is their own other half. It needs nothing but sound.
- *Same artist*: as in `retrieval`, on the artist tags; left out where no artist has two tracks.

The rows are those of every report: chance, MFCC statistics, untrained twins, the encoder. An encoder trained on this
very folder has seen these tracks: its advantage over the untrained twins says what it learned of this music, not how
it would do on other music. The encoder's notes say so on its row.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.datasets.collection import artist_groups
from mirclr.errors import DatasetError
from mirclr.evaluation.bootstrap import DRAWS, interval, track_weights
from mirclr.evaluation.judge import Judged, Measure, mean_of
from mirclr.evaluation.neighbours import similarity_blocks, unit
from mirclr.evaluation.probes import Standardiser
from mirclr.evaluation.retrieval import Ground, Retrieval, expected_at_random, retrieve
from mirclr.evaluation.rows import CHANCE, RANDOM, Candidate, Kind, candidates, extractors_of
from mirclr.evaluation.stored import DRAWS_FILE, Stored, StoredRow, write_draws
from mirclr.evaluation.verdict import SPOKEN, Comparison, compare, spread_text, value_text
from mirclr.features.embed import embed_tracks
from mirclr.features.encoder import EncoderExtractor
from mirclr.features.random_init import random_encoder
from mirclr.features.together import Together
from mirclr.files import write_atomic
from mirclr.reports import Work

SAME_TRACK, SAME_ARTIST = "retrieval.same_track_r1", "retrieval.artist_r1"
FEWEST = 2


@dataclass(frozen=True)
class FolderRow:
    """One line of the card."""

    name: str
    kind: Kind
    judged: Judged
    notes: tuple[str, ...] = ()
    seeds: int = 1


@dataclass(frozen=True)
class FolderReport:
    """`rows`: chance, MFCC, the mean of the untrained twins, the encoder; `comparisons` of the encoder with both rivals
    on every measure; `quarantine` (path, reason, detail): what could not be read; `paths` and `groups` (N,): the tracks
    that were judged and their artists."""

    tracks: int
    artists: int
    rows: tuple[FolderRow, ...]
    comparisons: tuple[Comparison, ...]
    quarantine: pd.DataFrame
    paths: tuple[str, ...]
    groups: np.ndarray
    seed: int
    draws: int

    @property
    def sentences(self) -> tuple[str, ...]:
        """Whether pretraining helped, in words."""
        return tuple(c.sentence for c in self.comparisons if c.measure in (SAME_TRACK, SAME_ARTIST))

    def records(self) -> list[dict[str, Any]]:
        """A record a row and measure: `extractor`, `kind`, `metric`, `value`, its 95 % interval `low` to `high`."""
        return [
            {"extractor": row.name, "kind": row.kind, "metric": key.partition(".")[2], **_plain(measure)}
            for row in self.rows
            for key, measure in row.judged.measures.items()
        ]

    def card(self) -> list[dict[str, str]]:
        """One record a row for a terminal: every measure as `value (low to high)`."""
        return [
            {"row": row.name} | {SPOKEN[k.partition(".")[2]][0]: _told(k, m) for k, m in row.judged.measures.items()}
            for row in self.rows
        ]

    def to_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "tracks": self.tracks,
            "artists": self.artists,
            "rows": self.records(),
            "notes": {row.name: list(row.notes) for row in self.rows if row.notes},
            "comparisons": [asdict(c) for c in self.comparisons],
            "quarantine": self.quarantine.to_dict("records"),
        }


def _told(key: str, measure: Measure) -> str:
    return f"{value_text(key, measure.value)} ({spread_text(key, measure.low)} to {spread_text(key, measure.high)})"


def _plain(measure: Measure) -> dict[str, float]:
    return {"value": measure.value, "low": measure.low, "high": measure.high}


class Halves:
    """An extractor that answers with two vectors a track: that of its first half and that of its second."""

    def __init__(self, whole: Together) -> None:
        self.whole = whole
        self.name, self.fingerprint = f"halves of {whole.name}", f"halves+{whole.fingerprint}"
        self.dim, self.sample_rate = whole.dim, whole.sample_rate

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`(T,)` samples to `(2, D)` float32 and their starts in seconds; a single sample is both its halves."""
        middle = len(samples) // 2
        halves = (samples[:middle] if middle else samples, samples[middle:])
        vectors = np.concatenate([self.whole.segments(half)[0] for half in halves])
        return vectors, np.array([0.0, middle / self.sample_rate])


def evaluate_folder(
    tracks: pd.DataFrame,
    encoder: EncoderExtractor,
    *,
    random_seeds: int = 3,
    seed: int = 0,
    draws: int = DRAWS,
    workers: int | None = None,
) -> Work[FolderReport]:
    """Judge `encoder` on a track table (columns `path` and `artist`) that has no labels. Deterministic from `seed`.

    Raises DatasetError when fewer than two tracks can be read.
    """
    asked = candidates({encoder.name: encoder}, {}, random_encoder, random_seeds=random_seeds, seed=seed)
    team = Together(extractors_of(asked))
    done = yield from embed_tracks(Halves(team), tracks, workers)
    if len(done.tracks) < FEWEST:
        raise DatasetError(f"{len(done.tracks)} of {len(tracks)} tracks could be read; a report needs {FEWEST}")
    groups, _ = artist_groups(done.tracks["artist"])
    halves = np.stack(done.segments)
    first, second = team.split(halves[:, 0]), team.split(halves[:, 1])
    judge = _Judge(groups, draws, seed)
    judged = {c.name: judge.row(first[c.name], second[c.name]) for c in asked}
    rows = (FolderRow(CHANCE, "chance", judge.chance()), *_rows(asked, judged))
    paths = tuple(map(str, done.tracks["path"]))
    compared = tuple(_comparisons(rows))
    return FolderReport(
        len(groups), len(np.unique(groups)), rows, compared, done.quarantine, paths, groups, seed, draws
    )  # fmt: skip


def same_track(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`(N,)` in {0, 0.5, 1}: does each half of a track find the other among the N? A tie with another is a miss.

    `first`, `second`: `(N, D)` vectors of the halves. All are standardised together and compared by cosine.
    """
    standardise = Standardiser.fitted(np.concatenate([first, second]))
    one, two = unit(standardise(first)), unit(standardise(second))
    return (_finds(one, two) + _finds(two, one)) / 2


def _finds(queries: np.ndarray, others: np.ndarray) -> np.ndarray:
    out = np.zeros(len(queries))
    for start, cosine in similarity_blocks(queries, others):
        rows = np.arange(len(cosine))
        own = cosine[rows, start + rows].copy()
        cosine[rows, start + rows] = -np.inf
        out[start : start + len(cosine)] = own > cosine.max(axis=1)
    return out


class _Judge:
    """Judges every row on the same tracks and the same draws of artists, so that differences are paired."""

    def __init__(self, groups: np.ndarray, draws: int, seed: int) -> None:
        self.groups, self.draws, self.seed = groups, draws, seed
        self.ground = Ground(groups)

    def row(self, first: np.ndarray, second: np.ndarray) -> Judged:
        vectors = (first.astype(np.float64) + second) / 2
        return self._judged(same_track(first, second), retrieve(vectors, self.ground))

    def chance(self) -> Judged:
        count = len(self.groups)
        return self._judged(np.full(count, 1 / count), expected_at_random(self.ground))

    def _judged(self, halves: np.ndarray, artists: Retrieval) -> Judged:
        values = {"same_track_r1": halves, **artists.values}
        queries = {"same_track_r1": np.arange(len(halves)), **artists.queries}
        measures, draws = {}, {}
        for name, each in values.items():
            weights = track_weights(self.groups[queries[name]], self.draws, self.seed)
            drawn = np.asarray(weights @ each / weights.sum(axis=1))
            measures[f"retrieval.{name}"] = Measure(float(each.mean()), *interval(drawn))
            draws[f"retrieval.{name}"] = drawn
        return Judged(measures, draws)


def _rows(asked: list[Candidate], judged: Mapping[str, Judged]) -> list[FolderRow]:
    """MFCC statistics, the mean of the untrained twins, the encoder."""
    twins = {c.name: judged[c.name] for c in asked if c.kind == RANDOM}
    out = [FolderRow(c.name, c.kind, judged[c.name], c.notes) for c in asked if c.kind != RANDOM]
    out.insert(1, FolderRow(f"{RANDOM} (mean of {len(twins)} seeds)", RANDOM, mean_of(twins), seeds=len(twins)))
    return out


def _comparisons(rows: tuple[FolderRow, ...]) -> list[Comparison]:
    *rivals, ours = rows[1:]
    return [
        compare(measure, (ours.name, ours.judged), (rival.name, rival.judged))
        for measure in ours.judged.measures
        for rival in reversed(rivals)
    ]


def write_folder_report(report: FolderReport, folder: Path) -> list[Path]:
    """Write report.csv (a record a row and measure), draws.npz, then report.json, to `folder`, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "report.csv", pd.DataFrame(report.records()).to_csv(index=False))
    write_draws(_stored(report), folder / DRAWS_FILE)
    write_atomic(folder / "report.json", json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n")
    return [folder / "report.csv", folder / DRAWS_FILE, folder / "report.json"]


def _stored(report: FolderReport) -> Stored:
    """What `mirclr compare` needs of a report; tracks are called as they lie in their common folder."""
    root = os.path.commonpath([os.path.dirname(path) for path in report.paths])
    ids = [os.path.relpath(path, root) for path in report.paths]
    terms = {"collection": "a folder without labels", "seed": str(report.seed), "draws": str(report.draws)}
    rows = {row.name: StoredRow(row.kind, row.seeds, row.judged) for row in report.rows}
    return Stored(terms, SAME_TRACK, ids, report.groups, np.zeros(len(ids), np.int64), rows)
