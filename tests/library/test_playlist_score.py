"""The scorecard by closed forms, and explanations by tracks that are alike in one thing only."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from mirclr.errors import UsageError
from mirclr.library.playlist import Entry, Seed, moments_of
from mirclr.library.playlist_explain import Explainer
from mirclr.library.playlist_score import MEASURES, score
from mirclr.library.search import Catalogue
from mirclr.seeds import generator
from tests.support.library import catalogue_of, track_row


def at(catalogue: Catalogue, row: int) -> Seed:
    return Seed(catalogue.track(row), catalogue.unit[row], row)


def library(folder: Path, count: int = 40) -> Catalogue:
    names = ["A"] * 10 + ["B"] * 5 + ["C"] * (count - 15)
    rows = [track_row(f"/{n:02}", artist=name, title=f"t {n}", duration=60.0) for n, name in enumerate(names)]
    return catalogue_of(folder, rows, generator(0).normal(size=(count, 6)))


def test_the_measures_are_those_of_brute_force(tmp_path: Path) -> None:
    catalogue = library(tmp_path)
    rows = [0, 12, 30, 1, 20]
    units = catalogue.unit[rows].astype(float)
    found = score(catalogue, [at(catalogue, row) for row in rows])
    assert set(found) == {measure.name for measure in MEASURES}
    pairs = [1 - a @ b for a, b in itertools.combinations(units, 2)]
    steps = [a @ b for a, b in itertools.pairwise(units)]
    expected = {
        "tracks": 5,
        "minutes": 5,
        "smoothness": np.mean(steps),
        "roughest": min(steps),
        "diversity": np.mean(pairs),
        "artist_entropy": -(0.4 * math.log2(0.4) * 2 + 0.2 * math.log2(0.2)) / math.log2(5),
        "novelty": -np.mean([math.log2(n / 40) for n in (10, 5, 25, 10, 25)]),
        "coverage": np.mean([max(units @ one) for one in catalogue.unit]),
        "repeats": 0,
        "artist_runs": 0,
    }
    assert found == pytest.approx(expected, abs=1e-5)


def test_repeats_runs_and_edges(tmp_path: Path) -> None:
    catalogue = library(tmp_path)
    again = score(catalogue, [at(catalogue, row) for row in (0, 1, 0)])
    assert (again["repeats"], again["artist_runs"], again["artist_entropy"]) == (1, 2, 0)
    one = score(catalogue, [at(catalogue, 0)])
    assert math.isnan(one["smoothness"])
    assert math.isnan(one["diversity"])
    with pytest.raises(UsageError, match="no track of this library"):
        score(catalogue, [])


def test_shares_say_what_is_alike_and_moments_where(tmp_path: Path) -> None:
    catalogue = library(tmp_path, 30)
    draw = generator(1, "descriptors")
    blocks = {name: draw.normal(size=(30, 8)).astype(np.float32) for name in ("timbre", "rhythm", "harmony")}
    blocks["rhythm"][20], blocks["rhythm"][29] = blocks["rhythm"][0], np.nan
    for name in ("timbre", "harmony"):
        blocks[name][20] = -blocks[name][0]
    catalogue.__dict__["descriptors"] = blocks
    seeds = [at(catalogue, 0)]
    entries = [Entry(catalogue.track(row), 0.0, row == 0, row, catalogue.unit[row]) for row in (0, 20, 29)]
    with moments_of(catalogue) as moments:
        explainer = Explainer(catalogue, seeds, moments)
        first, alike, unknown = (entry.why for entry in explainer.explained(entries))
    assert explainer.notes == []
    assert first is not None
    assert alike is not None
    assert unknown is not None
    assert (first["to_seed"], first["to_previous"], first["moment"]) == (pytest.approx(0, abs=1e-6), None, None)
    assert alike["rhythm"] > 0.9
    assert sum(alike[name] for name in ("timbre", "rhythm", "harmony", "tags")) == pytest.approx(1, abs=0.01)
    assert (alike["moment"], alike["seed_moment"]) == ("0:00", "0:00")
    assert alike["to_seed"] == pytest.approx(1 - float(catalogue.unit[0] @ catalogue.unit[20]), abs=1e-4)
    assert unknown["rhythm"] is None
    assert unknown["timbre"] is not None


def test_a_library_without_measures_says_so(tmp_path: Path) -> None:
    catalogue = library(tmp_path)
    with moments_of(catalogue) as moments:
        explainer = Explainer(catalogue, [at(catalogue, 0)], moments)
    assert explainer.notes == ["nothing is measured in this library, so shares are of tags only: mirclr index adds it"]
