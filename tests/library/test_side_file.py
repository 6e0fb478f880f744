"""The packed copy of a library is the library, is made anew when the store changes, and is never trusted blindly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirclr.library import search
from mirclr.library.search import Catalogue
from mirclr.library.side_file import read_side_file, write_side_file
from mirclr.library.store import Library
from mirclr.seeds import generator
from tests.support.library import Bands, fill, track_row

ODD = "/m/\udcff\udcfe it's\n odd.mp3"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(search, "PACKED_FROM", 3)
    rows = [
        track_row(f"/{i:02}", artist="Björk \u2028" if i % 2 else None, year=1990 + i if i % 3 else None)
        for i in range(30)
    ]
    rows += [track_row("/copy", "/05"), track_row(ODD, title="x")]
    vectors = generator(0, "side").normal(size=(len(rows), 8)).astype(np.float32)
    vectors[30] = vectors[5]
    with Library.open_or_create(tmp_path / "a.db", Bands()) as library:
        fill(library, rows, vectors)
    return tmp_path / "a.db"


def load(store: Path) -> Catalogue:
    with Library.open(store) as library:
        return Catalogue.load(library)


def packed(catalogue: Catalogue) -> bool:
    """Whether it came from the copy: that one is mapped, so it cannot be written."""
    return not catalogue.unit.flags.writeable


def test_the_copy_is_the_library(store: Path) -> None:
    first, second = load(store), load(store)
    assert (packed(first), packed(second)) == (False, True)
    assert first.tracks.equals(second.tracks)
    assert first.tracks.dtypes.equals(second.tracks.dtypes)
    np.testing.assert_array_equal(first.unit, second.unit)
    for path in ("/05", "/copy", ODD, "/nowhere"):
        assert first.row_at(Path(path)) == second.row_at(Path(path))
    assert first.track_at(Path(ODD)) == second.track_at(Path(ODD))
    np.testing.assert_array_equal(first.nearness, second.nearness)
    assert load(store).nearness.tolist() == first.nearness.tolist()
    assert {path.name for path in store.parent.iterdir()} >= {"a.db-near", "a.db-packed"}


@pytest.mark.parametrize(
    "change",
    [
        lambda library: library.put_track(track_row("/new", "/05")),
        lambda library: library.mark_missing([b"/03"]),
        lambda library: library.forget([b"/03"]),
        lambda library: library.put_vectors(track_row("/03")["audio_id"], np.ones(8), np.ones((1, 8)), np.zeros(1)),
    ],
)
def test_a_store_that_changed_is_read_anew(store: Path, change: Callable[[Library], None]) -> None:
    before = load(store)
    assert len(before.nearness) == 31
    with Library.open_or_create(store, Bands()) as library, library.batch():
        change(library)
    after = load(store)
    assert not packed(after)
    assert packed(load(store))
    assert after.state != before.state
    np.testing.assert_array_equal(after.nearness, search.nearness(after.unit))


def test_what_changes_no_answer_keeps_the_copy(store: Path) -> None:
    load(store)
    with Library.open_or_create(store, Bands()) as library, library.batch():
        library.put_quarantine([{"path": "/bad", "reason": "drm", "detail": "locked"}])
        library.mark_missing([])
        library.forget([b"/not there"])
    assert packed(load(store))


def test_a_copy_of_another_store_is_not_taken(store: Path, tmp_path: Path) -> None:
    """The state is the same, as after `cp`; the vectors are not."""
    load(store)
    with sqlite3.connect(store) as other:
        other.execute("UPDATE vectors SET vector = zeroblob(32)")
    other.close()
    assert not packed(load(store))


@pytest.mark.parametrize("place", [0, 12, 20, 40, 200, -1])
def test_a_damaged_copy_is_made_anew(store: Path, place: int) -> None:
    first = load(store)
    side = store.with_name("a.db-packed")
    content = bytearray(side.read_bytes())
    if place == -1:
        content = content[: len(content) - 200]
    else:
        content[place] ^= 0x55
    side.write_bytes(content)
    again = load(store)
    assert not packed(again)
    assert again.tracks.equals(first.tracks)
    assert packed(load(store))


def test_a_folder_that_cannot_be_written_costs_only_time(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mirclr.files.tempfile.mkstemp", full)
    assert not packed(load(store))
    assert not packed(load(store))


def test_small_libraries_leave_nothing_beside_the_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PACKED_FROM", 100)
    assert len(load(store).nearness) == 31
    assert not list(store.parent.glob("a.db-[np]*"))


def test_arrays_come_back_and_types_that_are_not_ours_do_not(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.zeros(0), "c": np.arange(3, dtype=np.uint8)}
    write_side_file(tmp_path / "x", "now", arrays, mapped=["a"])
    back = read_side_file(tmp_path / "x", "now")
    assert back is not None
    assert {name: (array.dtype, array.tolist()) for name, array in back.items()} == {
        name: (array.dtype, array.tolist()) for name, array in arrays.items()
    }
    assert read_side_file(tmp_path / "x", "then") is None
    write_side_file(tmp_path / "x", "now", {"a": np.arange(3, dtype="<c8")})
    assert read_side_file(tmp_path / "x", "now") is None
    assert read_side_file(tmp_path / "none", "now") is None
