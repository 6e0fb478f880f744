"""The store keeps every tag of a file: through moves and copies, not through a change, and not of what is gone."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TCOM, TMOO

from mirclr.audio import further_tags
from mirclr.cli.main import main
from mirclr.errors import StoreError, UsageError
from mirclr.library import schema, track_tags
from mirclr.library.exchange import export_library, import_library
from mirclr.library.index import IndexResult, index_folder
from mirclr.library.reencode import reencode
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.library.track_tags import count_tags, drop_stale_tags, every_tag, put_tags, unread_tracks
from mirclr.library.upkeep import purge, vacuum
from mirclr.library.where import Where
from mirclr.reports import finish
from tests.support.audio_files import write_format
from tests.support.library import Bands, fill, track_row
from tests.support.old_store import as_version_1, as_version_2
from tests.support.paper_music import Scanner, write


@pytest.fixture
def music_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Scanner().install(monkeypatch)
    for name in "abc":
        write(tmp_path / "music" / f"{name}.mp3", f"sound {name}", artist=name.upper())
    return tmp_path / "music"


def run(store: Path, *folders: Path, prune: bool = False) -> IndexResult:
    with Library.open_or_create(store, Bands()) as library:
        return finish(index_folder(library, list(folders), Bands(), prune=prune, workers=1))


def load(store: Path) -> Catalogue:
    with Library.open(store) as library:
        return Catalogue.load(library)


def said(store: Path, name: str = "composer") -> dict[str, list[str]]:
    """The values of a tag by file name."""
    found = load(store)
    column, out = found.tags.column(name), {}
    for row, text in zip(column.rows, column.texts, strict=True):
        out.setdefault(Path(found.tracks["path"][row]).name, []).append(text)
    return {path: sorted(texts) for path, texts in sorted(out.items())}


def met(store: Path, text: str) -> list[str]:
    found = load(store)
    mask = Where.parse(text).mask(found.tracks, found.tags)
    return [Path(path).name for path in found.tracks["path"][mask]]


def rows(store: Path, table: str) -> int:
    with Library.open(store) as library:
        return int(library.ask(f"SELECT COUNT(*) FROM {table}")[0][0])


def composed(*names: str) -> dict[str, list[str]]:
    return {f"{name}.mp3": [name.upper(), "Trad."] for name in names}


def test_an_index_run_keeps_them_and_a_filter_finds_them(music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder)
    assert said(tmp_path / "a.db") == composed("a", "b", "c")
    assert met(tmp_path / "a.db", "tag.Composer in ('a', 'b') and not tag.composer = 'B'") == ["a.mp3"]
    assert load(tmp_path / "a.db").tags.unread == 0


def test_a_move_and_a_copy_keep_them_a_change_does_not(music_folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    run(store, music_folder)
    (music_folder / "a.mp3").rename(music_folder / "z.mp3")
    shutil.copy(music_folder / "b.mp3", music_folder / "y.mp3")
    write(music_folder / "c.mp3", "sound c", artist="X")
    done = run(store, music_folder)
    assert (done.moved, done.added, done.changed) == (1, 1, 1)
    assert said(store) == {"b.mp3": ["B", "Trad."], "c.mp3": ["Trad.", "X"], "z.mp3": ["A", "Trad."]}
    assert rows(store, "tag_files") == 3  # copies are one file, and what c.mp3 said before is forgotten
    assert rows(store, "tags") == 9


def test_tags_of_what_is_gone_wait_for_it_until_it_is_pruned(music_folder: Path, tmp_path: Path) -> None:
    store, away = tmp_path / "a.db", tmp_path / "away.mp3"
    run(store, music_folder)
    (music_folder / "a.mp3").rename(away)
    run(store, music_folder)
    assert said(store) == composed("b", "c")
    with Library.open(store) as library:
        assert {tag.name: tag.tracks for tag in count_tags(library)} == {"artist": 2, "composer": 2}
        assert {value for tag in count_tags(library) for value, _ in tag.commonest} == {"B", "C", "Trad."}
    with pytest.raises(UsageError, match=r"no track has a tag 'composr'. Did you mean tag.composer"):
        met(store, "tag.composr = 'A'")
    away.rename(music_folder / "a.mp3")
    run(store, music_folder)
    assert said(store) == composed("a", "b", "c")
    (music_folder / "a.mp3").unlink()
    run(store, music_folder, prune=True)
    assert (rows(store, "tag_files"), rows(store, "tags")) == (2, 6)


def test_purge_deletes_them_and_vacuum_keeps_them(music_folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    run(store, music_folder)
    (music_folder / "a.mp3").unlink()
    run(store, music_folder)
    with Library.open_to_tend(store) as library:
        purge(library)
        vacuum(library)
    assert (rows(store, "tag_files"), rows(store, "tags")) == (2, 6)
    assert said(store) == composed("b", "c")


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    with Library.open_or_create(store, Bands()) as library:
        fill(library, [track_row("/a"), track_row("/b")], np.eye(8)[:2])
        ids = [track_row(path)["id"] for path in ("/a", "/b")]
        with library.batch():
            put_tags(library, ids[0], {"mood": ["sad"]}, reader=0)
        with library.batch():
            put_tags(library, ids[0], {"mood": ["calm"]})  # read again: the newest number is free
            put_tags(library, ids[1], {"label": ["ECM"]})
            put_tags(library, ids[1], {"label": ["by the same reader, so the same"]})
    assert said(store, "mood") == {"a": ["calm"]}
    assert said(store, "label") == {"b": ["ECM"]}


def test_what_a_killed_run_left_is_never_given_to_another_file(tmp_path: Path) -> None:
    store, id_ = tmp_path / "a.db", track_row("/b")["id"]
    with Library.open_or_create(store, Bands()) as library:
        fill(library, [track_row("/b")], np.eye(8)[:1])
        for reader in (0, 1):
            with library.batch():
                put_tags(library, "gone", {"mood": [f"of {reader}"]}, reader)  # the first ones are nobody's now
        with library.batch():
            drop_stale_tags(library)
            put_tags(library, id_, {"mood": ["calm"]})
    assert said(store, "mood") == {"b": ["calm"]}


@pytest.mark.parametrize("old", [as_version_1, as_version_2])
def test_an_old_store_says_what_it_needs_and_is_filled_without_hearing(
    old: Callable[[Path, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ears = tmp_path / "music", Bands()
    for number, composer in enumerate(["Bach", "Gounod"]):
        path = write_format(folder / f"{number}.flac", "lossless.flac", 2, seed=number)
        tag_flac(path, composer=[composer, "Trad."])
    with Library.open_or_create(tmp_path / "new.db", ears) as library:
        finish(index_folder(library, folder, ears, workers=1))
    store = tmp_path / "old.db"
    old(tmp_path / "new.db", store)
    before = store.read_bytes()
    for ask in (lambda: met(store, "tag.composer = 'Bach'"), lambda: count(store)):
        with pytest.raises(
            StoreError, match=r"old.db: the tags of its files were not read yet (.|\n)*mirclr index FOLD"
        ):
            ask()
    assert met(store, "duration > 1") == ["0.flac", "1.flac"]
    assert store.read_bytes() == before

    if old is as_version_2:  # the first one has measures to make, too
        monkeypatch.setattr("mirclr.features.hearing.decode", None)
    heard = ears.heard
    with Library.open_or_create(store, ears) as library:
        done = finish(index_folder(library, folder, ears, workers=1))
    assert (done.counts["unchanged"], done.quarantine, ears.heard) == (2, [], heard)
    assert said(store) == said(tmp_path / "new.db") == {"0.flac": ["Bach", "Trad."], "1.flac": ["Gounod", "Trad."]}
    first, filled = load(tmp_path / "new.db"), load(store)
    assert filled.tracks.equals(first.tracks)
    np.testing.assert_array_equal(filled.unit, first.unit)


def tag_flac(path: Path, **tags: list[str]) -> None:
    file = FLAC(path)
    file.update(tags)
    file.save()


def count(store: Path) -> None:
    with Library.open(store) as library:
        count_tags(library)


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()


def test_what_was_read_in_part_is_told_and_a_changed_file_is_left(tmp_path: Path) -> None:
    folder, store = tmp_path / "music", tmp_path / "old.db"
    for name in "ab":
        tag_flac(write_format(folder / f"{name}.flac", "lossless.flac", 1, seed=ord(name)), mood=[name])
    run(tmp_path / "new.db", folder)
    as_version_2(tmp_path / "new.db", store)
    with Library.open_or_create(store, Bands()) as library:
        # One of them is changed between the two looks of a run.
        os.utime(folder / "b.flac", ns=(1, 1))
        assert finish(track_tags.read_missing_tags(library, lambda name: True, 1)) == []
        assert unread_tracks(library) == 1
    assert load(store).tags.unread == 1
    assert met(store, "tag.mood = 'a'") == ["a.flac"]
    asked = mirclr("similar", folder / "a.flac", "--where", "tag.mood is not missing", "--store", store)
    assert "the tags of 1 track(s) were not read yet; mirclr index reads them" in asked.stderr
    told = mirclr("library", "tags", "--store", store)
    assert "the tags of 1 track(s) were not read yet" in told.stderr
    run(store, folder)
    assert met(store, "tag.mood in ('a', 'b')") == ["a.flac", "b.flac"]
    assert "not read" not in mirclr("library", "tags", "--store", store).stderr


def test_only_the_folders_of_the_run_are_read(tmp_path: Path) -> None:
    one, two, store = tmp_path / "music" / "one", tmp_path / "music" / "two", tmp_path / "old.db"
    for folder in (one, two):
        folder.mkdir()
        tag_flac(write_format(folder / f"{folder.name}.flac", "lossless.flac", 1, seed=ord(folder.name[0])), mood=["x"])
        write_format(folder / "bare.flac", "lossless.flac", 1, seed=ord(folder.name[1]))
    run(tmp_path / "new.db", tmp_path / "music")
    as_version_2(tmp_path / "new.db", store)
    run(store, one)
    assert met(store, "tag.mood = 'x'") == ["one.flac"]
    (two / "bare.flac").unlink()
    assert run(store, two).quarantine == []  # what is gone is not looked for
    assert met(store, "tag.mood = 'x'") == ["one.flac", "two.flac"]


def test_a_new_reader_reads_again_and_leaves_nothing_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = tmp_path / "music", tmp_path / "a.db"
    tag_flac(write_format(folder / "a.flac", "lossless.flac", 1), mood=["calm"])
    run(store, folder)
    with sqlite3.connect(store) as db:
        db.execute("UPDATE tag_files SET reader = 0")
        db.execute("INSERT INTO tags VALUES ('mood', 'as the old reader had it', 1)")
    db.close()
    assert said(store, "mood") == {"a.flac": ["as the old reader had it", "calm"]}
    run(store, folder)
    assert said(store, "mood") == {"a.flac": ["calm"]}
    assert {reader for _, (reader, _) in every(store).items()} == {further_tags.READER}
    assert rows(store, "tags") == sum(len(values) for _, tags in every(store).values() for values in tags.values())


def every(store: Path) -> dict[str, tuple[int, dict[str, list[str]]]]:
    with Library.open(store) as library:
        return every_tag(library)


def test_a_file_whose_tags_cannot_be_reached_is_listed_and_stays_a_track(tmp_path: Path) -> None:
    folder, store = tmp_path / "music", tmp_path / "old.db"
    write_format(folder / "a.flac", "lossless.flac", 1)
    run(tmp_path / "new.db", folder)
    as_version_2(tmp_path / "new.db", store)
    with Library.open_or_create(store, Bands()) as library:
        (folder / "a.flac").unlink()
        (bad,) = finish(track_tags.read_missing_tags(library, lambda name: True, 1))
        assert (bad["path"], bad["reason"]) == (str(folder / "a.flac"), "missing_file")
        assert len(library.contents().tracks) == 1
        assert unread_tracks(library) == 1


def test_an_export_carries_them_and_an_older_one_is_read(music_folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    run(store, music_folder)
    (music_folder / "c.mp3").unlink()
    run(store, music_folder)
    with Library.open(store) as library:
        export_library(library, tmp_path / "all.npz")
    import_library(tmp_path / "all.npz", tmp_path / "new.db")
    assert said(tmp_path / "new.db") == composed("a", "b")
    assert every(tmp_path / "new.db") == every(store)
    assert rows(tmp_path / "new.db", "tag_files") == 2  # what is missing stays behind

    arrays = dict(np.load(tmp_path / "all.npz"))
    tags = arrays.pop("tags")
    np.savez(tmp_path / "older.npz", **arrays)
    import_library(tmp_path / "older.npz", tmp_path / "older.db")
    assert load(tmp_path / "older.db").tags.unread == 2
    for bad in (b"[]", b"{", b'{"a": 1}', b'{"a": ["x", {}]}', b'{"a": [1, {"mood": "calm"}]}', b'{"a": [1, []]}'):
        np.savez(tmp_path / "bad.npz", **arrays, tags=np.frombuffer(bad, np.uint8))
        with pytest.raises(StoreError, match=r"bad.npz: not a whole export"):
            import_library(tmp_path / "bad.npz", tmp_path / "bad.db")
    assert not (tmp_path / "bad.db").exists()

    found = json.loads(tags.tobytes())
    next(iter(found.values()))[1].update({"Album Artist": ["a\x1b[2J\nb"], "junk": [f"{n}" for n in range(9999)]})
    np.savez(tmp_path / "odd.npz", **arrays, tags=np.frombuffer(json.dumps(found).encode(), np.uint8))
    import_library(tmp_path / "odd.npz", tmp_path / "odd.db")
    assert list(said(tmp_path / "odd.db", "albumartist").values()) == [["a [2J b"]]
    assert rows(tmp_path / "odd.db", "tags") <= further_tags.MOST + 3


def test_an_old_store_is_exported_without(music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder)
    as_version_2(tmp_path / "a.db", tmp_path / "old.db")
    with Library.open(tmp_path / "old.db") as library:
        export_library(library, tmp_path / "all.npz")
    import_library(tmp_path / "all.npz", tmp_path / "new.db")
    assert load(tmp_path / "new.db").tags.unread == 3


def test_a_new_encoder_keeps_them(music_folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", music_folder)
    finish(reencode(tmp_path / "a.db", [music_folder], Bands("new", dim=16), workers=1))
    assert said(tmp_path / "a.db") == composed("a", "b", "c")


def test_one_file_that_two_decoders_heard_is_two_rows_with_its_tags(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    twins = [track_row(path, path, id="same") for path in ("/a", "/b")]
    with Library.open_or_create(store, Bands()) as library:
        fill(library, [*twins, track_row("/c")], np.eye(8)[:3])
        with library.batch():
            put_tags(library, "same", {"mood": ["calm", "sad"]})
            put_tags(library, track_row("/c")["id"], {"mood": ["wild"]})
    assert said(store, "mood") == {"a": ["calm", "sad"], "b": ["calm", "sad"], "c": ["wild"]}


def test_a_filter_on_a_tag_changes_nothing_of_a_packed_library(
    music_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirclr.library.search.PACKED_FROM", 2)
    run(tmp_path / "a.db", music_folder)
    opened: list[str] = []
    ask = Library.ask
    monkeypatch.setattr(Library, "ask", lambda self, sql, values=(): opened.append(sql) or ask(self, sql, values))
    first, packed = load(tmp_path / "a.db"), load(tmp_path / "a.db")
    assert not [sql for sql in opened if "tag" in sql]  # read when a filter names one
    for found in (first, packed):
        mask = Where.parse("tag.composer = 'b'").mask(found.tracks, found.tags)
        assert [Path(path).name for path in found.tracks["path"][mask]] == ["b.mp3"]
    write(music_folder / "b.mp3", "sound b", artist="new")
    run(tmp_path / "a.db", music_folder)
    assert met(tmp_path / "a.db", "tag.composer = 'new'") == ["b.mp3"]


def mirclr(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.stderr
    return result


def test_the_tags_of_a_library_are_listed(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    paths = [f"/{n}" for n in range(5)]
    with Library.open_or_create(store, Bands()) as library:
        fill(library, [track_row(path) for path in paths], np.eye(8)[:5])
        with library.batch():
            for path, moods in zip(paths, (["calm", "sad"], ["calm"], ["wild"], ["=cmd()\x1b[2J"], []), strict=True):
                put_tags(library, track_row(path)["id"], {"mood": moods, "composer": ["x" * 100]})
            library.mark_missing([b"/2"])
    shown = json.loads(mirclr("library", "tags", "--store", store, "--json").stdout)
    mood = {"name": "mood", "tracks": 3, "values": 3}
    assert [{name: row[name] for name in mood} for row in shown] == [
        {"name": "composer", "tracks": 4, "values": 1},
        mood,
    ]
    assert shown[1]["commonest"][0] == {"value": "calm", "tracks": 2}
    lines = mirclr("library", "tags", "--store", store).stdout.splitlines()
    assert lines[0].split("\t") == ["name", "tracks", "values", "commonest"]
    assert lines[1].split("\t") == ["composer", "4", "1", "x" * 40 + " (4)"]
    assert "\x1b" not in "".join(lines)


def test_real_files_from_the_folder_to_the_filter(tmp_path: Path) -> None:
    folder, store = tmp_path / "music", tmp_path / "a.db"
    tag_flac(write_format(folder / "a.flac", "lossless.flac", 1), composer=["Bach"], bpm=["118.5"], RATING=["80"])
    path, tags = write_format(folder / "b.mp3", "cbr.mp3", 1, seed=1), ID3()
    tags.add(TCOM(encoding=3, text=["Gounod", "Bach"]))
    tags.add(TMOO(encoding=3, text="calm"))
    tags.save(path)
    write_format(folder / "c.wav", "pcm.wav", 1, seed=2)
    run(store, folder)
    assert met(store, "tag.composer = 'bach'") == ["a.flac", "b.mp3"]
    assert met(store, "tag.composer != 'gounod'") == ["a.flac"]
    assert met(store, "tag.composer is missing") == ["c.wav"]
    assert met(store, "tag.bpm > 118 and tag.bpm < 119 or tag.mood like 'c%'") == ["a.flac", "b.mp3"]
    told = mirclr("similar", folder / "c.wav", "--where", "tag.composr = 'x'", "--store", store, code=2).stderr
    assert "no track has a tag 'composr'. Did you mean tag.composer?" in told
    assert schema.VERSION == 3
