"""Writing tags into files: nothing by surprise, nothing twice, nothing lost when the run dies, and all of it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mutagen.flac import FLAC

from mirclr.audio import tag_writer
from mirclr.audio.tag_writer import read_fields
from mirclr.audio.track import content_id
from mirclr.errors import UsageError
from mirclr.library import tag_manifest
from mirclr.library.tag_files import Plan, Wrote, plan_files, write_files
from mirclr.library.tag_manifest import Restored, read_manifest, restore_files
from mirclr.reports import finish
from tests.support.audio_files import write_format

NAMES = ["cbr.mp3", "lossless.flac", "vorbis.ogg", "opus.opus", "aac.m4a", "pcm.wav"]


def rows(folder: Path, label: str = "calm", field: str = "mood") -> list[dict[str, Any]]:
    paths = sorted(str(path) for path in folder.iterdir() if not path.name.startswith("."))
    return [{"path": path, "field": field, "tags": [{"label": label}]} for path in paths]


def ids(folder: Path) -> dict[str, str]:
    return {str(path): content_id(path) for path in folder.iterdir()}


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    for name in NAMES:
        write_format(folder / name, name, seconds=0.3)
    return folder


def write(folder: Path, known: dict[str, str], wanted: list[dict[str, Any]], overwrite: bool = False) -> Wrote:
    plan: Plan = finish(plan_files(wanted, overwrite))
    done: Wrote = finish(write_files(plan, known, folder.parent / "m.jsonl"))
    return done


def test_what_is_there_is_kept_unless_it_is_asked_for(songs: Path) -> None:
    tags = FLAC(songs / "lossless.flac")
    tags["mood"] = ["Angry"]
    tags.save()
    plan = finish(plan_files(rows(songs)))
    assert plan.counts() == {"add": 5, "replace": 0, "keep": 1, "same": 0}
    assert finish(plan_files(rows(songs, "angry"))).counts()["same"] == 1  # a matter of capitals
    assert finish(plan_files(rows(songs), overwrite=True)).counts()["replace"] == 1
    before = ids(songs)
    assert write(songs, before, rows(songs)) == Wrote(5, [])
    assert read_fields(songs / "lossless.flac", ["mood"]) == {"mood": ["Angry"]}
    assert write(songs, before, rows(songs), overwrite=True) == Wrote(1, [])
    assert all(read_fields(path, ["mood"]) == {"mood": ["calm"]} for path in songs.iterdir())


def test_everything_comes_back_byte_for_byte_over_several_runs(songs: Path) -> None:
    before = {path: path.read_bytes() for path in songs.iterdir()}
    known = ids(songs)
    for label, field in (("calm", "mood"), ("Jazz", "genre"), ("loud", "mood")):
        assert write(songs, known, rows(songs, label, field), overwrite=True).files == len(NAMES)
    assert write(songs, known, rows(songs, "loud"), overwrite=True) == Wrote(0, [])
    done: Restored = finish(restore_files(songs.parent / "m.jsonl"))
    assert done == Restored(3 * len(NAMES), 0, 0, [])
    assert {path: path.read_bytes() for path in songs.iterdir()} == before
    assert finish(restore_files(songs.parent / "m.jsonl")).quarantine == []


def test_what_was_restored_may_be_written_again_without_indexing(songs: Path) -> None:
    write(songs, ids(songs), rows(songs))
    indexed = ids(songs)
    finish(restore_files(songs.parent / "m.jsonl"))
    assert write(songs, indexed, rows(songs)) == Wrote(len(NAMES), [])


def test_what_others_changed_since_is_left_and_only_our_fields_go(songs: Path) -> None:
    write(songs, ids(songs), rows(songs))
    edited, retagged = FLAC(songs / "lossless.flac"), FLAC(songs / "lossless.flac")
    retagged["title"] = "By hand"
    retagged.save()
    done = finish(restore_files(songs.parent / "m.jsonl"))
    assert (done.fields, done.whole, done.quarantine) == (1, len(NAMES) - 1, [])
    assert read_fields(songs / "lossless.flac", ["mood", "title"]) == {"mood": [], "title": ["By hand"]}
    edited["mood"] = "by hand"
    edited.save()
    (row,) = finish(restore_files(songs.parent / "m.jsonl")).quarantine
    assert (row["reason"], "mood was changed since" in row["detail"]) == ("edited", True)


def test_a_file_that_changed_since_it_was_indexed_is_left_and_so_is_one_that_is_gone(songs: Path) -> None:
    known, wanted = ids(songs), rows(songs)
    (songs / "pcm.wav").unlink()
    tags = FLAC(songs / "lossless.flac")
    tags["title"] = "new"
    tags.save()
    done = write(songs, known, wanted)
    assert [(Path(row["path"]).name, row["reason"]) for row in done.quarantine] == [("lossless.flac", "changed")]
    assert [row["reason"] for row in finish(plan_files(wanted)).quarantine] == ["missing_file"]
    assert done.files == len(NAMES) - 2


KILLED = """
import os, sys
from pathlib import Path
from mirclr.audio import tag_writer
from mirclr.library import tag_files
from mirclr.reports import finish
from tests.library.test_tag_files import ids, rows
folder, place = Path(sys.argv[1]), sys.argv[2]
calls = 0
def die(*_):
    global calls
    calls += 1
    if calls == 3:
        os._exit(9)
real = {"prepared": tag_files.prepare, "noted": tag_writer.Change.commit}
if place == "prepared":
    tag_files.prepare = lambda *a: (real["prepared"](*a), die())[0]
elif place == "noted":
    tag_writer.Change.commit = lambda self: (die(), real["noted"](self))
else:
    tag_writer.Change.commit = lambda self: (real["noted"](self), die())
plan = finish(tag_files.plan_files(rows(folder)))
finish(tag_files.write_files(plan, ids(folder), folder.parent / "m.jsonl"))
"""


@pytest.mark.parametrize("place", ["prepared", "noted", "replaced"])
def test_a_run_that_is_killed_loses_nothing_and_is_started_again(place: str, songs: Path) -> None:
    before, known = {path: path.read_bytes() for path in songs.iterdir()}, ids(songs)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ran = subprocess.run([sys.executable, "-c", KILLED, str(songs), place], cwd=root, env=environment, check=False)
    assert ran.returncode == 9
    wrote = [path for path, content in before.items() if path.read_bytes() != content]
    assert len(wrote) == (3 if place == "replaced" else 2)
    noted = {entry.path for entry in read_manifest(songs.parent / "m.jsonl")}
    assert {str(path) for path in wrote} <= noted
    assert write(songs, known, rows(songs)).files == len(NAMES) - len(wrote)
    assert sorted(path.name for path in songs.iterdir()) == sorted(NAMES)
    assert all(read_fields(path, ["mood"]) == {"mood": ["calm"]} for path in songs.iterdir())
    finish(restore_files(songs.parent / "m.jsonl"))
    assert {path: path.read_bytes() for path in songs.iterdir()} == before


def test_half_a_line_at_the_end_is_of_a_run_that_never_touched_the_file(songs: Path) -> None:
    known, book = ids(songs), songs.parent / "m.jsonl"
    write(songs, known, rows(songs)[:2])
    whole = book.read_bytes()
    book.write_bytes(whole + b'{"path": "/a"')
    assert len(read_manifest(book)) == 2
    write(songs, known, rows(songs))
    assert book.read_bytes().startswith(whole)
    assert len(read_manifest(book)) == len(NAMES)


@pytest.mark.parametrize("content", [b"words", b"words\n", b'{"format": "x"}\n', b"[1]\n", b"\xff\n"])
def test_another_file_is_no_manifest_and_is_not_written_over(content: bytes, songs: Path) -> None:
    book = songs.parent / "m.jsonl"
    book.write_bytes(content)
    for work in (lambda: read_manifest(book), lambda: write(songs, ids(songs), rows(songs))):
        with pytest.raises(UsageError, match="not a manifest"):
            work()
    assert book.read_bytes() == content


def test_a_long_way_back_is_tag_for_tag(songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_writer, "edits_between", lambda new, old: None)
    write(songs, ids(songs), rows(songs))
    done = finish(restore_files(songs.parent / "m.jsonl"))
    assert (done.whole, done.fields) == (0, len(NAMES))
    assert all(read_fields(path, ["mood"]) == {"mood": []} for path in songs.iterdir())
    assert tag_manifest.VERSION == 1
