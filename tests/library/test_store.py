"""The store keeps what it was given, knows whose it is, and says so when it is something else."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from mirclr.errors import StoreError
from mirclr.library import schema
from mirclr.library.store import Library
from tests.support.library import Bands, fill, track_row

ODD = os.fsdecode(b'/m/\xff\xfe it\'s\n "odd"; DROP TABLE tracks;--.mp3')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a library?#%.db"


def test_rows_come_back_as_they_were_put(path: Path) -> None:
    row = track_row(ODD, artist="Björk'); --", title="ああ", year=1997, track=3, duration=61.25, flags="silent,short")
    with Library.open_or_create(path, Bands()) as library:
        fill(library, [row], np.arange(8, dtype=np.float32)[None])
    with Library.open(path) as library:
        contents = library.contents()
    measured = ["tempo", "key", "energy"]
    assert contents.tracks.iloc[0].drop(["row", *measured]).to_dict() == pytest.approx(row)
    assert contents.tracks[measured].isna().all(axis=None)
    np.testing.assert_array_equal(contents.vectors, np.arange(8, dtype=np.float32)[None])


def test_missing_tags_and_broken_text_come_back_as_none_and_valid_text(path: Path) -> None:
    row = track_row("/a", artist=float("nan"), title="broken \ud800 text", year=np.int64(1999))
    with Library.open_or_create(path, Bands()) as library:
        fill(library, [row], np.ones((1, 8)))
        back = library.contents().tracks.iloc[0]
    assert (back["artist"], back["title"], back["year"]) == (None, "broken ? text", 1999)


def test_copies_share_one_vector_and_are_ordered_by_their_first_path(path: Path) -> None:
    rows = [track_row("/z", "one"), track_row("/b", "two"), track_row("/a", "one")]
    with Library.open_or_create(path, Bands()) as library:
        fill(library, rows, np.diag([1.0, 2, 1, 0, 0, 0, 0, 0])[[0, 1, 0]].astype(np.float32))
        contents = library.contents()
    assert list(zip(contents.tracks["path"], contents.tracks["row"], strict=True)) == [("/a", 0), ("/b", 1), ("/z", 0)]
    assert contents.vectors.shape == (2, 8)
    assert contents.vectors[1, 1] == 2


def test_segments_come_back_with_their_times(path: Path) -> None:
    segments, starts = np.arange(24, dtype=np.float32).reshape(3, 8), np.array([0.0, 1.5, 3.0])
    with Library.open_or_create(path, Bands()) as library:
        with library.batch():
            library.put_vectors("x", segments[0], segments, starts)
        [back] = library.segments(["x"])
        with pytest.raises(StoreError, match="no audio y in this store"):
            library.segments(["x", "y"])
    np.testing.assert_array_equal(back[0], segments)
    np.testing.assert_array_equal(back[1], starts)


def test_a_batch_that_fails_leaves_nothing(path: Path) -> None:
    with Library.open_or_create(path, Bands()) as library:
        with pytest.raises(StoreError, match="finite vectors"):
            fill(library, [track_row("/a"), track_row("/b")], np.array([np.ones(8), np.full(8, np.nan)]))
        assert library.stamps() == {}


@pytest.mark.parametrize("bad", [np.full(8, np.nan), np.full(8, np.inf), np.zeros(7)])
def test_a_vector_that_is_none_is_refused(path: Path, bad: np.ndarray) -> None:
    with (
        Library.open_or_create(path, Bands()) as library,
        pytest.raises(StoreError, match="finite vectors of 8 values"),
        library.batch(),
    ):
        library.put_vectors("x", bad, np.zeros((1, 8)), np.zeros(1))


def test_missing_tracks_are_in_no_answer_and_come_back_whole(path: Path) -> None:
    with Library.open_or_create(path, Bands()) as library:
        fill(library, [track_row("/a"), track_row("/b")], np.eye(8)[:2])
        with library.batch():
            library.mark_missing([b"/a"])
        assert library.contents().tracks["path"].tolist() == ["/b"]
        with library.batch():
            library.mark_missing([b"/a"], missing=False)
        assert library.contents().vectors.tolist() == np.eye(8)[:2].tolist()


def test_prune_deletes_missing_tracks_and_vectors_without_a_track(path: Path) -> None:
    rows = [track_row("/a", "kept"), track_row("/copy", "kept"), track_row("/b")]
    with Library.open_or_create(path, Bands()) as library:
        fill(library, rows, np.eye(8)[:3])
        with library.batch():
            library.mark_missing([b"/copy", b"/b"])
            library.prune()
        assert set(library.stamps()) == {b"/a"}
        assert library.embedded() == {rows[0]["audio_id"]}
        with pytest.raises(StoreError, match="no audio"):
            library.segments([rows[2]["audio_id"]])


def test_another_encoder_is_refused_by_both_names(path: Path) -> None:
    Library.open_or_create(path, Bands("mine"), path.parent / "run").close()
    before = path.read_bytes()
    for opening in (Library.open, Library.open_or_create):
        with pytest.raises(StoreError, match=r"'mine'.*8 values.*'other'.*16 values(.|\n)*/run.*--store NEW.db"):
            opening(path, Bands("other", dim=16))
    assert path.read_bytes() == before


def test_the_store_remembers_where_its_encoder_lies_now(path: Path, tmp_path: Path) -> None:
    Library.open_or_create(path, Bands(), tmp_path / "old").close()
    Library.open_or_create(path, Bands(), tmp_path / "new").close()
    Library.open_or_create(path, Bands()).close()
    with Library.open(path, Bands()) as library:
        assert library.binding.folder == tmp_path / "new"
        assert (library.binding.name, library.binding.dim, library.binding.sample_rate) == ("bands", 8, 8000)


def test_no_store_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(StoreError, match=r"no library store here. Make one with: mirclr index FOLDER"):
        Library.open(path)
    assert not path.exists()


@pytest.mark.parametrize("opening", [Library.open, lambda p: Library.open_or_create(p, Bands())])
def test_other_files_are_refused_and_left_alone(path: Path, opening: object) -> None:
    def refused(match: str) -> None:
        before = path.read_bytes()
        with pytest.raises(StoreError, match=match):
            opening(path)  # type: ignore[operator]
        assert path.read_bytes() == before

    path.write_text("The quick brown fox jumps over the lazy dog. " * 40)
    refused("not a library store, or a damaged one")
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE photos (name)")
    other.close()
    refused("a database of another program")
    path.unlink()
    Library.open_or_create(path, Bands()).close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    newer.close()
    refused(f"store version {schema.VERSION + 1}, this mirclr reads versions 1 to {schema.VERSION}")


def test_a_store_whose_creation_was_killed_is_made_anew(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreError, match="an empty file, not a library store"):
        Library.open(path)
    with Library.open_or_create(path, Bands()) as library:
        assert library.stamps() == {}


def test_a_vector_of_the_wrong_length_on_disk_is_found(path: Path) -> None:
    with Library.open_or_create(path, Bands()) as library:
        fill(library, [track_row("/a"), track_row("/b")], np.eye(8)[:2])
    with sqlite3.connect(path) as broken:
        broken.execute("UPDATE vectors SET vector = x'0011'")
    broken.close()
    with Library.open(path) as library, pytest.raises(StoreError, match="a vector of 2 bytes where 32 belong"):
        library.contents()
    with sqlite3.connect(path) as broken:
        broken.execute("DELETE FROM vectors")
    broken.close()
    with Library.open(path) as library, pytest.raises(StoreError, match=r"2 track\(s\) without a vector"):
        library.contents()


def test_a_reader_cannot_write(path: Path) -> None:
    Library.open_or_create(path, Bands()).close()
    with Library.open(path) as library, pytest.raises(StoreError, match="readonly"), library.batch():
        library.put_track(track_row("/a"))


def test_the_quarantine_is_a_table_by_path(path: Path) -> None:
    with Library.open_or_create(path, Bands()) as library:
        with library.batch():
            library.put_quarantine([{"path": ODD, "reason": "empty_file", "detail": "0 bytes"}])
            library.put_quarantine([{"path": ODD, "reason": "truncated", "detail": "half of it"}])
            library.put_quarantine([{"path": "/a", "reason": "drm", "detail": "locked"}])
            library.release([b"/a"])
        assert library.quarantine().to_dict("records") == [{"path": ODD, "reason": "truncated", "detail": "half of it"}]
