"""The store keeps what was measured of a track, and a store that knows none of it is read, kept and filled."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mirclr.features.measures import SIZES, Measures
from mirclr.library import index, schema
from mirclr.library.index import index_folder
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.reports import finish
from tests.support.library import Bands, fill, track_row
from tests.support.old_store import as_version_1
from tests.support.paper_music import Scanner, write


@pytest.fixture
def music_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Scanner().install(monkeypatch)
    for name in "abc":
        write(tmp_path / "music" / f"{name}.mp3", f"sound {name}")
    return tmp_path / "music"


def run(store: Path, folder: Path, ears: Bands) -> index.IndexResult:
    with Library.open_or_create(store, ears) as library:
        return finish(index_folder(library, folder, ears))


def load(store: Path) -> Catalogue:
    with Library.open(store) as library:
        return Catalogue.load(library)


def measures(tempo: float, key: str | None, energy: float) -> Measures:
    return Measures(tempo, key, energy, *(np.full(size, tempo, np.float32) for size in SIZES.values()))


def test_measures_come_back_and_what_was_not_measured_is_nan(tmp_path: Path) -> None:
    rows = [track_row("/a"), track_row("/b"), track_row("/c")]
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library:
        fill(library, rows, np.eye(8)[:3])
        with library.batch():
            library.put_measures(rows[0]["audio_id"], measures(120.5, "F# minor", -11.25), "mine")
            library.put_measures(rows[2]["audio_id"], measures(float("nan"), None, -70.0), "mine")
    found = load(tmp_path / "a.db")
    assert found.track(0)["tempo"] == 120.5
    assert found.track(1)["tempo"] is None
    assert found.tracks["key"].tolist() == ["F# minor", None, None]
    np.testing.assert_array_equal(found.tracks["energy"], [-11.25, np.nan, -70.0])
    assert {name: matrix.shape for name, matrix in found.descriptors.items()} == {n: (3, s) for n, s in SIZES.items()}
    assert [np.isnan(matrix).all(axis=1).tolist() for matrix in found.descriptors.values()] == [[False, True, True]] * 3
    assert found.descriptors["timbre"][0].tolist() == [120.5] * SIZES["timbre"]


def test_moments_of_a_row_are_unit_rows_of_the_catalogues_space(tmp_path: Path) -> None:
    row, segments = track_row("/a"), np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library:
        fill(library, [row, track_row("/b")], np.eye(8)[:2])
        with library.batch():
            library.put_vectors(row["audio_id"], segments.mean(axis=0), segments, np.array([0.0, 30.0, 61.5]))
    found = load(tmp_path / "a.db")
    vectors, starts = found.segments(0)
    np.testing.assert_array_equal(vectors, found.space.unit(segments))
    assert starts.tolist() == [0, 30, 61.5]


def test_an_index_run_measures_the_sound_it_embeds(music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder, Bands())
    found = load(tmp_path / "a.db")
    assert found.tracks["energy"].between(-10, 10).all()  # loud noise
    assert all(np.isfinite(matrix).all() for matrix in found.descriptors.values())


def test_an_old_store_is_read_as_it_is_then_kept_and_filled(music_folder: Path, tmp_path: Path) -> None:
    new, old, ears = tmp_path / "new.db", tmp_path / "old.db", Bands()
    run(new, music_folder, ears)
    as_version_1(new, old)
    before, first, heard = old.read_bytes(), load(new), ears.heard
    read = load(old)
    np.testing.assert_array_equal(read.unit, first.unit)
    assert read.tracks[["tempo", "key", "energy"]].isna().all(axis=None)
    assert all(np.isnan(matrix).all() for matrix in read.descriptors.values())
    assert old.read_bytes() == before

    assert run(old, music_folder, ears).counts["unchanged"] == 3
    filled = load(old)
    assert ears.heard == heard  # the encoder heard nothing again
    assert filled.tracks.equals(first.tracks)
    np.testing.assert_array_equal(filled.unit, first.unit)
    for name, matrix in filled.descriptors.items():
        np.testing.assert_array_equal(matrix, first.descriptors[name])


def test_what_cannot_be_heard_again_is_listed_and_stays_a_track(music_folder: Path, tmp_path: Path) -> None:
    new, old, ears = tmp_path / "new.db", tmp_path / "old.db", Bands()
    run(new, music_folder, ears)
    as_version_1(new, old)
    place = music_folder / "b.mp3"
    stamp, size = place.stat().st_mtime_ns, place.stat().st_size
    place.write_text("A" * (size - 5) + "|deaf")
    os.utime(place, ns=(stamp, stamp))
    done = run(old, music_folder, ears)
    assert [(Path(row["path"]).name, row["reason"]) for row in done.quarantine] == [("b.mp3", "undecodable")]
    assert load(old).tracks["energy"].notna().tolist() == [True, False, True]


def test_measures_of_another_recipe_are_made_again(
    music_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "a.db", music_folder, Bands())
    monkeypatch.setattr("mirclr.features.measurer.PULSE", 2.0)  # nothing has a beat any more
    run(tmp_path / "a.db", music_folder, Bands())
    assert load(tmp_path / "a.db").tracks["tempo"].isna().all()
    with Library.open(tmp_path / "a.db") as library:
        assert len(library.unmeasured("another")) == 3


def test_prune_takes_the_measures_of_a_sound_with_it(music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder, Bands())
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library:
        with library.batch():
            library.mark_missing([str(music_folder / "a.mp3").encode()])
            library.prune()
        assert [len(library.ask(f"SELECT * FROM {table}")) for table in schema.PER_AUDIO] == [2] * 4
