"""The report card as data: rows, comparisons, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mirclr.evaluation.about import About
from mirclr.evaluation.crossfit import Problem
from mirclr.evaluation.judge import Judged
from mirclr.evaluation.published import published
from mirclr.evaluation.rows import Kind
from mirclr.evaluation.sections import Section
from mirclr.evaluation.verdict import Comparison

# What is compared beside the main measure, where the collection allows it.
ALSO_COMPARED = ("retrieval.artist_r1", "retrieval.artist_map", "retrieval.label_p10")


@dataclass(frozen=True)
class Row:
    """One line of the report. `seeds` > 1: the mean over a family; then `spread` is the deviation over seeds by
    measure, and there are no predictions of its own. `vectors`: `(N, D)` of a trained row, to be drawn."""

    name: str
    kind: Kind
    judged: Judged
    dim: int | None = None
    fingerprint: str | None = None
    notes: tuple[str, ...] = ()
    seeds: int = 1
    spread: Mapping[str, float] = field(default_factory=dict)
    parameters: int | None = None
    vectors: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Report:
    """Everything `evaluate` found. `task`: what was learned (problem.task: what was asked for). `rows`: chance, then
    every extractor, the fusions, then the means over seeds. `comparisons` hold the verdicts, the main measure's first;
    `quarantine` (path, reason, detail) what no row was judged on; `near_duplicates` pairs of track numbers that sound
    almost the same; `sections` further tables."""

    collection: str
    task: str
    vocabulary: tuple[str, ...]
    tracks: pd.DataFrame
    problem: Problem
    main: str
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    quarantine: pd.DataFrame
    near_duplicates: tuple[tuple[int, int], ...]
    seed: int
    draws: int
    about: About
    sections: tuple[Section, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of all measures, in order; the chance row lacks those of kNN."""
        return tuple(self.rows[1].judged.measures)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the main measure and same-artist R@1 say about every trained family."""
        told = (self.main, ALSO_COMPARED[0])
        return tuple(c.sentence for c in self.comparisons if c.measure in told)

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, without predictions (they are in predictions.csv). Undefined numbers are None."""
        problem = self.problem
        parts = [{p: len(getattr(s, p)) for p in ("train", "valid", "test")} for s in problem.splits]
        return _plain(
            {
                "collection": self.collection,
                "task": problem.task,
                "vocabulary": self.vocabulary,
                "tracks": len(self.tracks),
                "artists": len(np.unique(problem.groups)),
                "cautions": self.about.cautions,
                "split": {
                    "name": self.about.split,
                    "digest": self.about.digest,
                    "artists_in_train_and_test": self.about.overlap,
                },
                "licence": self.about.licence,
                "citation": self.about.citation,
                "splits": [{"name": s.name, **p} for s, p in zip(problem.splits, parts, strict=True)],
                "seed": self.seed,
                "draws": self.draws,
                "main": self.main,
                "rows": [_row_json(row) for row in self.rows],
                "comparisons": [asdict(c) for c in self.comparisons],
                "notes": self.notes,
                "missing": self.missing,
                "near_duplicates": [[self.tracks["path"].iloc[i] for i in pair] for pair in self.near_duplicates],
                "quarantine": self.quarantine.to_dict("records"),
                "sections": [asdict(section) for section in self.sections],
                "published": [asdict(known) for known in published(self.collection)],
                "cost": {
                    "seconds": self.about.seconds,
                    "times_real_time": self.about.speeds,
                    "versions": self.about.versions,
                },
            }
        )


def _row_json(row: Row) -> dict[str, Any]:
    choices = row.judged.predictions.choices if row.judged.predictions else ()
    measures = {
        key: {**asdict(m), **({"seeds_std": row.spread[key]} if key in row.spread else {})}
        for key, m in row.judged.measures.items()
    }
    return {
        "name": row.name,
        "kind": row.kind,
        "dim": row.dim,
        "parameters": row.parameters,
        "fingerprint": row.fingerprint,
        "seeds": row.seeds,
        "notes": row.notes,
        "penalties": [choice.penalty for choice in choices],
        "measures": measures,
    }


def _plain(value: Any) -> Any:
    """`value` with tuples as lists and numbers that JSON does not know (nan, infinity) as None."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
