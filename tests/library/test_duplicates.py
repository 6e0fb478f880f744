"""Copies, near-duplicates and versions among songs that have nothing to do with each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.features.measures import SIZES, Measures
from mirclr.library.duplicates import duplicates
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.seeds import generator
from tests.support.library import Bands, track_row

SONGS = 60


def near(vector: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return (vector + noise * generator(seed, "near").normal(size=vector.shape)).astype(np.float32)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Unrelated songs 0..59; `near` is 3 remastered, `remix` is 7 with another beat, `alike` only sounds like 9."""
    draw = generator(0, "duplicates")
    songs = {
        f"/{song:02}": (draw.normal(size=(4, 8)), *(draw.normal(size=SIZES[name]) for name in ("rhythm", "harmony")))
        for song in range(SONGS)
    }
    moments, rhythm, harmony = songs["/03"]
    songs["/near"] = (near(moments, 0.2, 1), near(rhythm, 0.05, 2), near(harmony, 0.05, 3))
    moments, rhythm, harmony = songs["/07"]
    songs["/remix"] = (near(moments, 0.2, 4), near(rhythm, 0.45, 5), near(harmony, 0.1, 6))
    songs["/alike"] = (near(songs["/09"][0], 0.01, 7), draw.normal(size=SIZES["rhythm"]), songs["/09"][2])
    songs["/same key and beat"] = (draw.normal(size=(4, 8)), songs["/11"][1], songs["/11"][2])
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library, library.batch():
        for path, (parts, beat, tones) in songs.items():
            row, vectors = track_row(path), parts.astype(np.float32)
            library.put_track(row)
            library.put_vectors(row["audio_id"], vectors.mean(axis=0), vectors, np.arange(4.0))
            blocks = np.zeros(SIZES["timbre"], np.float32), beat.astype(np.float32), tones.astype(np.float32)
            library.put_measures(row["audio_id"], Measures(120.0, None, -9.0, *blocks), "mine")
        library.put_track(track_row("/copy of 20", "/20"))
        library.put_track(track_row("/unmeasured"))
        library.put_vectors(track_row("/unmeasured")["audio_id"], np.ones(8), np.ones((1, 8)), np.zeros(1))
    with Library.open(tmp_path / "a.db") as library:
        return Catalogue.load(library)


def test_each_pair_is_found_once_and_called_what_it_is(catalogue: Catalogue) -> None:
    found = [(pair.kind, pair.first, pair.second) for pair in duplicates(catalogue)]
    assert found == [
        ("copy", "/20", "/copy of 20"),
        ("near_duplicate", "/03", "/near"),
        ("version", "/07", "/remix"),
    ]


def test_blocks_find_what_the_whole_finds(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = duplicates(catalogue)
    monkeypatch.setattr("mirclr.library.duplicates.BLOCK", 7)
    assert [(pair.first, pair.second) for pair in duplicates(catalogue)] == [(p.first, p.second) for p in whole]


def test_a_store_that_was_never_measured_has_only_copies(catalogue: Catalogue) -> None:
    for matrix in catalogue.descriptors.values():
        matrix[:] = np.nan
    assert [pair.kind for pair in duplicates(catalogue)] == ["copy"]
