"""Emotify as it is: 200 recordings by 68 artists, five published folds, near-duplicates inside artists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mirclr.datasets.leakage import audit
from mirclr.datasets.table import load_collection, read_collection

pytestmark = pytest.mark.music
NEAR_DUPLICATES = (("rock/70.mp3", "rock/76.mp3"), ("rock/63.mp3", "rock/66.mp3"))


@pytest.fixture
def emotify(music: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = music / "emotify_a"
    monkeypatch.setenv("MIRCLR_EMOTIFY", str(root))
    return root


def test_the_published_folds_are_clean_and_complete(emotify: Path) -> None:
    made = load_collection("emotify")
    assert made.vocabulary == ("classical", "electronic", "pop", "rock")
    assert made.listed == (50, 50, 50, 50)
    assert len(set(made.groups.tolist())) == 68
    assert (made.missing, made.notes) == ((), ())
    assert [split.name for split in made.splits] == [f"fold5/{fold}" for fold in range(5)]
    assert [len(split.test) for split in made.splits] == [43, 44, 38, 37, 38]
    assert np.concatenate([split.test for split in made.splits]).size == 200


def test_near_duplicates_never_stand_on_both_sides(emotify: Path) -> None:
    for rule in ("fold5", "seeded"):
        made = load_collection("emotify", split=rule)
        row = {name: index for index, name in enumerate(made.tracks["id"])}
        for left, right in NEAR_DUPLICATES:
            for split in made.splits:
                inside = [name for name, rows in split.parts.items() for id_ in (left, right) if row[id_] in rows]
                assert inside[0] == inside[1]


def test_a_split_by_track_would_leak_most_artists(emotify: Path) -> None:
    made = read_collection("emotify", split="seeded")
    every_other = made.splits[0].__class__("naive", *(np.arange(start, 200, 3) for start in range(3)))
    leaks = audit(type(made)(**{**vars(made), "splits": [every_other]}))
    assert {leak.kind for leak in leaks} == {"artist_overlap"}
    assert min(leak.count for leak in leaks) > 10


def test_nine_emotions_are_shares_of_listeners(emotify: Path) -> None:
    made = load_collection("emotify-emotions")
    assert made.targets.shape == (200, 9)
    assert made.targets.dtype == np.float32
    assert made.targets.min() >= 0
    assert made.targets.max() <= 1
    sad = made.vocabulary.index("sadness")
    assert made.targets[made.tracks["id"].tolist().index("classical/1.mp3"), sad] == np.float32(0.3125)


def test_the_archive_by_folders_and_tags_agrees_with_the_table(emotify: Path) -> None:
    table, archive = load_collection("emotify", split="seeded"), load_collection("emotify-archive")
    by_table = dict(zip(table.tracks["id"], zip(table.tracks["artist"], table.targets, strict=True), strict=True))
    by_tags = dict(zip(archive.tracks["id"], zip(archive.tracks["artist"], archive.targets, strict=True), strict=True))
    assert by_table == by_tags
    assert Counter(archive.targets.tolist()) == dict.fromkeys(range(4), 50)
