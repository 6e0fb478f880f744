"""Halves of whole artists, and rows judged by encoders that did not hear what they are judged on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.datasets.collection import Collection
from mirclr.datasets.table import load_collection
from mirclr.errors import DatasetError
from mirclr.evaluation.judge import Judge
from mirclr.evaluation.retrieval import Ground, retrieve
from mirclr.evaluation.unheard import halves, judge_unheard
from tests.support.tones import tone_folder

LABELS = 2


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Twelve artists of two tracks; artists of even numbers have one label, the others the other."""
    root, number = tmp_path_factory.mktemp("twelve"), np.arange(24) // 2
    tracks = tone_folder(root / "music", len(number), 0.2)
    paths = [f"music/{Path(path).name}" for path in tracks["path"]]
    rows = {"path": paths, "label": [f"label {a % LABELS}" for a in number], "artist": [f"artist {a}" for a in number]}
    pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)
    return load_collection(str(root / "labels.csv"))


def vectors(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)


def test_halves_hold_whole_artists_and_the_labels_evenly(twelve: Collection) -> None:
    one, other = halves(twelve)
    assert np.array_equal(one.train, other.test)
    assert np.array_equal(one.test, other.train)
    assert sorted([*one.train, *one.test]) == list(range(24))
    assert not set(twelve.groups[one.train]) & set(twelve.groups[one.test])
    assert np.bincount(np.asarray(twelve.targets)[one.train]).tolist() == [6, 6]
    assert all(np.array_equal(a.train, b.train) for a, b in zip(halves(twelve), (one, other), strict=True))
    drawn = {tuple(halves(twelve, seed)[0].train) for seed in range(5)}
    assert len(drawn) > 1, "another seed draws other halves"


def test_a_collection_that_is_mostly_one_artist_cannot_be_halved(twelve: Collection) -> None:
    mostly = Collection(**{**vars(twelve), "groups": np.repeat([0, 1], [20, 4])})
    with pytest.raises(DatasetError, match="labels: half of the tracks are of one artist"):
        halves(mostly)


def test_one_table_for_both_halves_is_judged_as_by_the_plain_judge(twelve: Collection) -> None:
    table, splits = vectors(24, 0), halves(twelve)
    found = judge_unheard(twelve, splits, [table, table])
    plain = Judge.of(Collection(**{**vars(twelve), "splits": splits})).row(table)
    for name in ("linear.accuracy", "knn.accuracy"):
        assert found.measures[name] == plain.measures[name]
        assert np.array_equal(found.draws[name], plain.draws[name])
    for name in ("artist_r1", "artist_map", "label_p10"):
        parts = []
        for split in splits:
            ground = Ground(twelve.groups[split.test], np.asarray(twelve.targets)[split.test])
            parts.append(retrieve(table[split.test], ground).values[name])
        assert found.measures[f"retrieval.{name}"].value == pytest.approx(np.concatenate(parts).mean())
        heard = found.measures[f"heard.{name}"].value
        assert heard == pytest.approx(np.concatenate(parts[::-1]).mean()), "one table: the halves change places"


def test_what_an_encoder_learned_by_heart_shows_only_where_it_was_heard(twelve: Collection) -> None:
    splits, tables = halves(twelve), [vectors(24, 0), vectors(24, 1)]
    before = judge_unheard(twelve, splits, tables).measures
    for table, split in zip(tables, splits, strict=True):
        table[split.train] = 9 * vectors(12, 3)[twelve.groups[split.train]]  # one place for every artist
    after = judge_unheard(twelve, splits, tables).measures
    assert after["retrieval.artist_r1"] == before["retrieval.artist_r1"]
    assert after["retrieval.label_p10"] == before["retrieval.label_p10"]
    assert before["heard.artist_r1"].value < 0.5
    assert after["heard.artist_r1"].value == 1.0


def test_a_table_that_tells_the_label_of_every_track_is_right_in_both_directions(twelve: Collection) -> None:
    table = 5.0 * np.eye(LABELS, dtype=np.float32)[np.asarray(twelve.targets)] + 0.01 * vectors(24, 2)[:, :LABELS]
    found = judge_unheard(twelve, halves(twelve), [table, -table]).measures
    assert found["linear.accuracy"].value == 1.0
    assert found["retrieval.label_p10"].value > 0.4, "five of another artist's ten at most are of the label"
