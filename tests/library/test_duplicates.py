"""Copies, near-duplicates and versions among songs that have nothing to do with each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.features.measures import SIZES, Measures
from mirclr.library.duplicates import duplicates
from mirclr.library.playlist import Kind, Rules, Seed, Shape, make_playlist, moments_of
from mirclr.library.playlist_radio import Radio
from mirclr.library.playlist_targets import Arc
from mirclr.library.recordings import Recordings
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


@pytest.mark.parametrize("kind", ["nearest", "walk", "journey", "arc"])
def test_no_list_holds_two_files_of_one_recording_or_versions_of_a_piece(catalogue: Catalogue, kind: Kind) -> None:
    count = len(catalogue.tracks)
    shape = Shape(kind, curve=Arc.parse("energy=rise") if kind == "arc" else None)
    made = make_playlist(catalogue, seeds_of(catalogue), Rules(count, per_artist=count), shape)
    paths = {entry.track["path"] for entry in made.entries}
    for one, other in (("/03", "/near"), ("/07", "/remix")):
        assert len({one, other} & paths) == 1
    assert {"/09", "/alike", "/11", "/same key and beat"} <= paths
    assert len(made.entries) == count - 2 - (kind == "arc")  # no arc without a measured energy


def test_radio_plays_no_second_file_of_what_it_played_lately(catalogue: Catalogue) -> None:
    with moments_of(catalogue) as moments:
        radio = Radio(catalogue, [seeds_of(catalogue, "/03")[0]], moments, temperature=0)
        heard = [radio.next().track["path"] for _ in range(len(catalogue.tracks) // 2 - 1)]
    assert "/near" not in heard


def seeds_of(catalogue: Catalogue, *paths: str) -> list[Seed]:
    rows = [catalogue.row_at(Path(path)) for path in paths or ("/00", "/01")]
    return [Seed(catalogue.track(row), catalogue.unit[row], row) for row in rows if row is not None]


def test_a_few_rows_are_told_as_the_whole_library_is(catalogue: Catalogue) -> None:
    every = np.arange(len(catalogue.tracks))
    pairs = {(p.first, p.second) for p in duplicates(catalogue) if p.kind != "copy"}
    with moments_of(catalogue) as moments:
        known = Recordings(catalogue, moments)
        found = {(int(row), int(other)) for row in every for other in np.flatnonzero(known.same(every[[row]], every))}
    named = {(catalogue.track(a)["path"], catalogue.track(b)["path"]) for a, b in found}
    assert named == pairs | {(b, a) for a, b in pairs}
