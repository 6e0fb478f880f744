"""Encoders judged on music that their training did not hear: two halves of a collection, and each half's encoder.

An encoder trained on the judged tracks is judged on what it remembers. Retrieval shows it most: an encoder that learned
Emotify's artists by their tags finds them again among its own tracks, and new artists hardly better than untrained
weights do (docs/what-helps.md has the figures). So one half is trained on, the other judged, and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Split, assign_folds, mass_of
from mirclr.errors import DatasetError
from mirclr.evaluation.crossfit import Predictions, predict_splits
from mirclr.evaluation.judge import Judge, Judged
from mirclr.evaluation.retrieval import Ground, Retrieval, retrieve
from mirclr.seeds import generator

Value = TypeVar("Value")
HALVES = 2


def halves(collection: Collection, seed: int = 0) -> list[Split]:
    """Two splits: each trains on one half of whole artists and tests on the other, labels shared as evenly as they can.

    Raises DatasetError where a half is one artist alone: no probe's penalty can be chosen there.
    """
    mass = mass_of(np.asarray(collection.targets), collection.kind, len(collection.vocabulary))
    half = assign_folds(collection.groups, mass, HALVES, generator(seed, "halves"))
    rows = [np.flatnonzero(half == which) for which in range(HALVES)]
    if min(len(np.unique(collection.groups[part])) for part in rows) < 2:
        raise DatasetError(
            f"{collection.name}: half of the tracks are of one artist, so they cannot be halved by artist; leave some "
            "of that artist's tracks out"
        )
    nothing = np.empty(0, np.int64)
    return [Split(f"half {which}", rows[which], nothing, rows[1 - which]) for which in range(HALVES)]


def judge_unheard(collection: Collection, splits: Sequence[Split], tables: Sequence[np.ndarray]) -> Judged:
    """One row from `tables`, vectors `(N, D)` of the whole collection for each split, by an encoder that heard none of
    the split's test part.

    Probes learn from the training part and answer for the test part; retrieval looks for each track of the test part
    among the others of it. Measures called `heard` in place of `retrieval` look for each track of the training part
    among that: what a listener gets whose library is what the encoder was trained on. Raises DatasetError as
    `predict_splits`.
    """
    judge = Judge.of(replace(collection, splits=list(splits)))
    pairs = list(zip(splits, tables, strict=True))
    answers = [predict_splits(replace(judge.problem, splits=[split]), table) for split, table in pairs]
    new = [_retrieved(table, split.test, judge.ground) for split, table in pairs]
    heard = [_retrieved(table, split.train, judge.ground) for split, table in pairs]
    row = judge.judged(_answered(answers), _gathered(new))
    own = judge.judged(Predictions({}, ()), _gathered(heard))
    return Judged(row.measures | _as_heard(own.measures), row.draws | _as_heard(own.draws), row.predictions)


def _as_heard(named: Mapping[str, Value]) -> dict[str, Value]:
    return {f"heard.{name.partition('.')[2]}": value for name, value in named.items()}


def _retrieved(vectors: np.ndarray, rows: np.ndarray, ground: Ground) -> Retrieval:
    """What the tracks `rows` find among themselves; queries are numbered as in the whole collection."""
    labels = None if ground.labels is None else ground.labels[rows]
    found = retrieve(vectors[rows], Ground(ground.artists[rows], labels))
    return Retrieval(found.values, {name: rows[queries] for name, queries in found.queries.items()})


def _answered(parts: Sequence[Predictions]) -> Predictions:
    scores = {probe: np.concatenate([part.scores[probe] for part in parts]) for probe in parts[0].scores}
    return Predictions(scores, tuple(choice for part in parts for choice in part.choices))


def _gathered(parts: Sequence[Retrieval]) -> Retrieval:
    """All queries of all parts; a metric that one part has no query for is that of the others."""
    names = dict.fromkeys(name for part in parts for name in part.values)
    having = {name: [part for part in parts if name in part.values] for name in names}
    return Retrieval(
        {name: np.concatenate([part.values[name] for part in having[name]]) for name in names},
        {name: np.concatenate([part.queries[name] for part in having[name]]) for name in names},
    )
