"""An index run makes the store say what is on disk, opens only what it must, and never takes a lost disk for a wish."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mirclr.errors import StoreError
from mirclr.library.index import KEPT_SEGMENTS, SCAN_BATCH, IndexResult, index_folder
from mirclr.library.store import Library
from mirclr.reports import finish
from mirclr.seeds import generator
from tests.support.library import Bands
from tests.support.paper_music import Scanner, write


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> Scanner:
    paper = Scanner()
    paper.install(monkeypatch)
    return paper


@pytest.fixture
def music_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    for name in "abcdef":
        write(folder / f"{name}.mp3", f"sound {name}")
    return folder


def run(store: Path, *folders: Path, ears: Bands | None = None, prune: bool = False) -> IndexResult:
    ears = ears or Bands()
    with Library.open_or_create(store, ears) as library:
        return finish(index_folder(library, list(folders), ears, prune=prune))


def said(store: Path) -> list[tuple[str, str, str, bytes]]:
    """Everything a store answers with: path, artist, content hash, vector."""
    with Library.open(store) as library:
        contents = library.contents()
    vectors = contents.vectors[contents.tracks["row"]]
    columns = (contents.tracks[name] for name in ("path", "artist", "id"))
    return [(*row, vector.tobytes()) for *row, vector in zip(*columns, vectors, strict=True)]  # type: ignore[misc]


def test_twice_is_once_and_opens_nothing(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    assert run(store, music_folder).counts == {"added": 6, "changed": 0, "moved": 0, "removed": 0, "unchanged": 0}
    first = said(store)
    assert len(first) == 6
    scanner.opened.clear()
    assert run(store, music_folder).counts == {"added": 0, "changed": 0, "moved": 0, "removed": 0, "unchanged": 6}
    assert scanner.opened == []
    assert said(store) == first


def test_a_move_a_copy_and_a_new_tag_are_not_embedded_again(
    scanner: Scanner, music_folder: Path, tmp_path: Path
) -> None:
    run(tmp_path / "a.db", music_folder)
    (music_folder / "a.mp3").rename(music_folder / "z.mp3")
    shutil.copy(music_folder / "b.mp3", music_folder / "copy.mp3")
    write(music_folder / "c.mp3", "sound c", artist="Someone else")
    ears = Bands()
    done = run(tmp_path / "a.db", music_folder, ears=ears)
    assert done.counts == {"added": 1, "changed": 1, "moved": 1, "removed": 0, "unchanged": 4}
    assert ears.heard == 0
    run(tmp_path / "fresh.db", music_folder)
    assert said(tmp_path / "a.db") == said(tmp_path / "fresh.db")


@pytest.mark.parametrize("seed", range(15))
def test_any_edits_then_a_run_is_a_fresh_index(
    scanner: Scanner, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirclr.library.index.SCAN_BATCH", 5)
    monkeypatch.setattr("mirclr.library.index.STORE_BATCH", 2)
    draw, folder = generator(seed, "edits"), tmp_path / "music"
    folder.mkdir()
    sounds = [*(f"s{n}" for n in range(12)), "!truncated", "!", "deaf", "nan"]
    for _ in range(4):
        for _ in range(12):
            place = folder / f"{'xy'[draw.integers(2)]}" / f"{draw.integers(10)}.mp3"
            files = sorted(folder.rglob("*.mp3"))
            match draw.integers(4):
                case 0 | 1:
                    write(place, sounds[draw.integers(len(sounds))], artist="AB"[draw.integers(2)])
                case 2 if files:
                    place.parent.mkdir(exist_ok=True)
                    files[draw.integers(len(files))].rename(place)
                case 3 if files:
                    files[draw.integers(len(files))].unlink()
        prune = bool(draw.integers(2))
        try:
            done = run(tmp_path / "a.db", folder, prune=prune)
        except StoreError:
            done = run(tmp_path / "a.db", folder, prune=True)
        fresh = tmp_path / "fresh.db"
        fresh.unlink(missing_ok=True)
        again = run(fresh, folder)
        assert said(tmp_path / "a.db") == said(fresh)
        key = lambda row: row["path"]  # noqa: E731
        assert sorted(done.quarantine, key=key) == sorted(again.quarantine, key=key)
        counts = done.counts
        assert counts["added"] + counts["changed"] + counts["moved"] + counts["unchanged"] == len(said(fresh))
        with Library.open(tmp_path / "a.db") as old, Library.open(fresh) as new:
            assert old.quarantine().equals(new.quarantine())
            if prune:
                assert old.embedded() == new.embedded()


def test_bad_files_are_listed_each_run_until_they_are_good(
    scanner: Scanner, music_folder: Path, tmp_path: Path
) -> None:
    write(music_folder / "a.mp3", "!truncated")
    write(music_folder / "b.mp3", "deaf")
    write(music_folder / "c.mp3", "nan")
    for _ in range(2):
        done = run(tmp_path / "a.db", music_folder)
        reasons = {Path(row["path"]).name: row["reason"] for row in done.quarantine}
        assert reasons == {"a.mp3": "truncated", "b.mp3": "undecodable", "c.mp3": "no_vector"}
        with Library.open(tmp_path / "a.db") as library:
            assert library.quarantine()["reason"].tolist() == ["truncated", "undecodable", "no_vector"]
    for name in "ab":
        write(music_folder / f"{name}.mp3", f"better {name}")
    (music_folder / "c.mp3").unlink()
    assert run(tmp_path / "a.db", music_folder).quarantine == []
    with Library.open(tmp_path / "a.db") as library:
        assert library.quarantine().empty
        assert len(library.stamps()) == 5


def test_pictures_are_opened_once_and_again_when_they_change(
    scanner: Scanner, music_folder: Path, tmp_path: Path
) -> None:
    for name in ("cover", "booklet"):
        write(music_folder / f"{name}.jpg", "!")
    run(tmp_path / "a.db", music_folder)
    scanner.opened.clear()
    run(tmp_path / "a.db", music_folder)
    assert scanner.opened == []
    write(music_folder / "cover.jpg", "a song after all")
    (music_folder / "booklet.jpg").unlink()
    write(music_folder / "a.mp3", "!")
    assert run(tmp_path / "a.db", music_folder).counts["added"] == 1
    assert scanner.opened == [str(music_folder / "a.mp3"), str(music_folder / "cover.jpg")]
    with Library.open(tmp_path / "a.db") as library:
        assert list(library.ignored()) == [bytes(music_folder / "a.mp3")]
        assert len(library.contents().tracks) == 6


def test_a_store_that_lies_in_the_music_is_not_looked_at(scanner: Scanner, music_folder: Path) -> None:
    for _ in range(2):
        run(music_folder / "library.db", music_folder)
    assert len(scanner.opened) == 6


def test_another_version_of_the_program_looks_at_pictures_again(
    scanner: Scanner, music_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have learned to read them."""
    write(music_folder / "cover.jpg", "!")
    run(tmp_path / "a.db", music_folder)
    scanner.opened.clear()
    monkeypatch.setattr("mirclr.library.store.__version__", "99.0")
    run(tmp_path / "a.db", music_folder)
    assert scanner.opened == [str(music_folder / "cover.jpg")]


def test_a_file_that_went_bad_is_out_of_the_answers(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder)
    write(music_folder / "a.mp3", "!truncated")
    assert [row["reason"] for row in run(tmp_path / "a.db", music_folder).quarantine] == ["truncated"]
    assert str(music_folder / "a.mp3") not in {path for path, *_ in said(tmp_path / "a.db")}


def test_removed_tracks_come_back_without_being_heard_again(
    scanner: Scanner, music_folder: Path, tmp_path: Path
) -> None:
    run(tmp_path / "a.db", music_folder)
    before = said(tmp_path / "a.db")
    (music_folder / "a.mp3").rename(tmp_path / "away.mp3")
    assert run(tmp_path / "a.db", music_folder).counts["removed"] == 1
    assert said(tmp_path / "a.db") == before[1:]
    (tmp_path / "away.mp3").rename(music_folder / "a.mp3")
    scanner.opened.clear()
    assert run(tmp_path / "a.db", music_folder).counts["added"] == 1
    assert scanner.opened == []
    assert said(tmp_path / "a.db") == before


def test_a_removed_track_written_anew_is_added_not_moved(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder)
    (music_folder / "a.mp3").unlink()
    run(tmp_path / "a.db", music_folder)
    write(music_folder / "a.mp3", "sound a")
    assert run(tmp_path / "a.db", music_folder).counts == {
        "added": 1,
        "changed": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 5,
    }


def test_a_move_between_two_runs_is_still_a_move(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder)
    (music_folder / "a.mp3").rename(tmp_path / "away.mp3")
    run(tmp_path / "a.db", music_folder)
    (tmp_path / "away.mp3").rename(music_folder / "new name.mp3")
    ears = Bands()
    assert run(tmp_path / "a.db", music_folder, ears=ears).counts["moved"] == 1
    assert ears.heard == 0


@pytest.mark.parametrize("gone", ["all", "most", "folder"])
def test_a_lost_disk_wipes_nothing(scanner: Scanner, music_folder: Path, tmp_path: Path, gone: str) -> None:
    """Even beside a larger folder that is well, and with a new file lying in the mount point."""
    other = tmp_path / "other"
    for place in range(20):
        write(other / f"{place}.mp3", f"other {place}")
    run(tmp_path / "a.db", music_folder, other)
    before = said(tmp_path / "a.db")
    for name in {"all": "abcdef", "most": "abcd", "folder": ""}[gone]:
        (music_folder / f"{name}.mp3").unlink()
    if gone == "folder":
        music_folder.rename(tmp_path / "elsewhere")
        write(music_folder / "found in the mount point.mp3", "new")
    scanner.opened.clear()
    with pytest.raises(StoreError, match=r"music: \d of the 6 tracks .* gone. Is a disk not mounted\?.*--prune"):
        run(tmp_path / "a.db", music_folder, other)
    assert said(tmp_path / "a.db") == before
    assert scanner.opened == []
    removed = run(tmp_path / "a.db", music_folder, prune=True).counts["removed"]
    assert removed == {"all": 6, "most": 4, "folder": 6}[gone]
    assert len(said(tmp_path / "a.db")) == 26 - removed + (gone == "folder")


def test_as_many_new_files_as_lost_ones_do_not_excuse_a_wipe(
    scanner: Scanner, music_folder: Path, tmp_path: Path
) -> None:
    """They might all have been moves, so they are looked at; they were not, so nothing is removed, and they are in."""
    run(tmp_path / "a.db", music_folder)
    for name in "abcdef":
        (music_folder / f"{name}.mp3").unlink()
        write(music_folder / f"new {name}.mp3", f"new {name}")
    with pytest.raises(StoreError, match="6 of the 6 tracks"):
        run(tmp_path / "a.db", music_folder)
    assert len(said(tmp_path / "a.db")) == 12


def test_renaming_every_file_is_no_loss(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder)
    music_folder.rename(tmp_path / "new")
    music_folder.mkdir()
    (tmp_path / "new").rename(music_folder / "sub")
    ears = Bands()
    assert run(tmp_path / "a.db", music_folder, ears=ears).counts["moved"] == 6
    assert ears.heard == 0
    assert all("/music/sub/" in path for path, *_ in said(tmp_path / "a.db"))


def test_an_unreadable_folder_keeps_its_tracks(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    write(music_folder / "shut" / "x.mp3", "sound x")
    run(tmp_path / "a.db", music_folder)
    before = said(tmp_path / "a.db")
    scanner.unreadable = [str(music_folder / "shut")]
    done = run(tmp_path / "a.db", music_folder, prune=True)
    assert (done.counts["removed"], [row["reason"] for row in done.quarantine]) == (0, ["folder_unreadable"])
    assert said(tmp_path / "a.db") == before
    scanner.unreadable = []
    assert run(tmp_path / "a.db", music_folder).quarantine == []


def test_other_folders_are_left_alone(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    """Also one whose name begins with the name of the folder that is indexed."""
    beside = tmp_path / "music2"
    write(beside / "x.mp3", "x")
    run(tmp_path / "a.db", music_folder, beside)
    shutil.rmtree(beside)
    assert run(tmp_path / "a.db", music_folder).counts["removed"] == 0
    assert len(said(tmp_path / "a.db")) == 7


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_run(
    scanner: Scanner, music_folder: Path, tmp_path: Path
) -> None:
    target = music_folder / "a.mp3"

    class Slow(Bands):
        def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if "changed" not in target.read_text():
                write(target, "changed")
            return super().segments(samples)

    done = run(tmp_path / "a.db", music_folder, ears=Slow())
    assert [(row["path"], row["reason"]) for row in done.quarantine] == [(str(target), "changed_while_read")]
    assert run(tmp_path / "a.db", music_folder).counts == {
        "added": 1,
        "changed": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 5,
    }
    run(tmp_path / "fresh.db", music_folder)
    assert said(tmp_path / "a.db") == said(tmp_path / "fresh.db")


def test_a_long_track_keeps_few_segments_first_and_last_among_them(
    scanner: Scanner, music_folder: Path, tmp_path: Path
) -> None:
    class Long(Bands):
        def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.arange(8 * 100, dtype=np.float32).reshape(100, 8), np.arange(100) * 2.0

    run(tmp_path / "a.db", music_folder, ears=Long())
    with Library.open(tmp_path / "a.db") as library:
        [(segments, starts)] = library.segments([library.contents().tracks["audio_id"][0]])
        vectors = library.contents().vectors
    assert (len(starts), starts[0], starts[-1]) == (KEPT_SEGMENTS, 0, 198)
    np.testing.assert_array_equal(segments[:, 0], starts / 2 * 8)
    np.testing.assert_allclose(vectors[0], np.arange(800).reshape(100, 8).mean(axis=0))


def test_progress_reaches_its_total_and_never_goes_back(scanner: Scanner, music_folder: Path, tmp_path: Path) -> None:
    ears, seen = Bands(), []
    with Library.open_or_create(tmp_path / "a.db", ears) as library:
        finish(index_folder(library, music_folder, ears), watch=seen.append)
    for stage in ("scan", "embed"):
        done = [report.done for report in seen if report.stage == stage]
        assert done == sorted(done)
        assert done[-1] == 6
        assert {report.total for report in seen if report.stage == stage} == {6}
    assert SCAN_BATCH > 6
