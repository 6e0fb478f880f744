"""Tags change and nothing else: the sound's digest, other tags, mode; and the way back is byte for byte."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import mutagen
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen import id3

from mirclr.audio import tag_writer
from mirclr.audio.byte_patch import MOST_BYTES, apply_edits, edits_between
from mirclr.audio.payload import payload_digest
from mirclr.audio.scan import scan_files
from mirclr.audio.sniff import sniff
from mirclr.audio.tag_fields import check_field
from mirclr.audio.tag_writer import clear, prepare, read_fields, restore
from mirclr.audio.tags import read_tags
from mirclr.audio.track import content_id
from mirclr.errors import AudioError, UsageError
from mirclr.reports import finish
from tests.audio.test_tags import TAGGERS
from tests.support.audio_files import write_format

NEW = {"genre": ["Folk rock"], "mood": ["calm", "träumerisch"], "danceability": ["high"]}


def digest(path: Path) -> str:
    return payload_digest(path, sniff(path).container or "")


def all_tags(path: Path) -> list[str]:
    """Every tag of a file in a form that compares; mutagen knows no ADTS, which has an ID3 tag in front."""
    tags = id3.ID3(path) if path.suffix == ".aac" else mutagen.File(path).tags
    return sorted(str(item) for item in tags.items())


@pytest.mark.parametrize("tagged", [True, False], ids=["tagged", "bare"])
@pytest.mark.parametrize("name", sorted(TAGGERS))
def test_fields_change_and_the_sound_does_not(name: str, tagged: bool, tmp_path: Path) -> None:
    path = write_format(tmp_path / name, name, seconds=0.5)
    if tagged:
        TAGGERS[name](path)
    before, sound, original = content_id(path), digest(path), path.read_bytes()
    said = read_tags(path, sniff(path).container or "", sniff(path).codec)
    heard = finish(scan_files([path])).tracks["audio_id"][0]
    change = prepare(path, NEW)
    assert path.read_bytes() == original  # until it is committed
    change.commit()
    assert read_fields(path, list(NEW)) == NEW
    assert (digest(path), finish(scan_files([path])).tracks["audio_id"][0]) == (sound, heard)
    now = read_tags(path, sniff(path).container or "", sniff(path).codec)
    assert now == type(said)(**{**vars(said), "genre": "Folk rock"})
    assert change.old == {"genre": ["Electronic"] if tagged else [], "mood": [], "danceability": []}
    assert change.edits is not None
    restore(path, before, change.edits).commit()
    assert path.read_bytes() == original
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", sorted(TAGGERS))
def test_taking_fields_out_again_is_tag_for_tag(name: str, tmp_path: Path) -> None:
    path = write_format(tmp_path / name, name, seconds=0.5)
    TAGGERS[name](path)
    old = all_tags(path)
    change = prepare(path, NEW)
    change.commit()
    prepare(path, change.old).commit()
    assert all_tags(path) == old
    assert read_fields(path, list(NEW)) == {"genre": ["Electronic"], "mood": [], "danceability": []}


def id3_reads_otherwise(genres: list[str]) -> bool:
    """ID3 has a list of genres, and reads 17, (17) and RX as places in it; mutagen stumbles over digits like ²."""
    try:
        return bool(id3.TCON(encoding=3, text=genres).genres != genres)
    except ValueError:
        return True


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60).filter(lambda t: t.strip() == t)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(genre=st.lists(TEXT, min_size=1, max_size=3), mood=st.lists(TEXT, max_size=3))
@pytest.mark.parametrize("name", ["cbr.mp3", "lossless.flac", "vorbis.ogg", "aac.m4a", "pcm.wav", "windows.wma"])
def test_any_text_is_kept_and_can_be_taken_back(name: str, genre: list[str], mood: list[str], tmp_path: Path) -> None:
    path = tmp_path / name
    if not path.exists():
        write_format(path, name, seconds=0.3)
    sound, before = digest(path), path.read_bytes()
    if name in ("cbr.mp3", "pcm.wav") and id3_reads_otherwise(genre):
        with pytest.raises(AudioError, match=r"tag_lost|tags_damaged"):
            prepare(path, {"genre": genre, "mood": mood})
        assert path.read_bytes() == before
        return
    change = prepare(path, {"genre": genre, "mood": mood})
    change.commit()
    assert read_fields(path, ["genre", "mood"]) == {"genre": genre, "mood": mood}
    assert digest(path) == sound
    assert change.edits is not None
    restore(path, change.before, change.edits).commit()
    assert path.read_bytes() == before


def test_an_id3_tag_of_version_2_3_stays_one_frame_for_frame(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.mp3", "bare.mp3")
    tags = id3.ID3()
    tags.add(id3.TYER(encoding=1, text="1997"))
    tags.add(id3.TDAT(encoding=1, text="2209"))
    tags.add(id3.TPE1(encoding=1, text=["A", "B"]))
    tags.save(path, v2_version=3, v23_sep=None)
    prepare(path, NEW).commit()
    now = id3.ID3(path, translate=False)
    assert now.version == (2, 3, 0)
    assert {"TYER", "TDAT", "TPE1", "TCON", "TXXX:MOOD", "TXXX:DANCEABILITY"} == set(now)
    assert (str(now["TYER"]), now["TPE1"].text) == ("1997", ["A", "B"])


def test_the_file_keeps_its_mode_and_gets_a_new_time(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.flac", "lossless.flac")
    path.chmod(0o640)
    os.utime(path, (1e9, 1e9))
    link = tmp_path / "link.flac"
    link.symlink_to(path)
    prepare(link, NEW).commit()
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_mtime > 1.5e9


def test_a_change_of_the_sound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_format(tmp_path / "a.flac", "lossless.flac")
    before = path.read_bytes()
    save = tag_writer.TagFile.save

    def careless(self: tag_writer.TagFile) -> None:
        save(self)
        data = bytearray(self.path.read_bytes())
        data[-20] ^= 1
        self.path.write_bytes(data)

    monkeypatch.setattr(tag_writer.TagFile, "save", careless)
    with pytest.raises(AudioError, match="sound_changed"):
        prepare(path, NEW)
    assert (path.read_bytes(), os.listdir(tmp_path)) == (before, ["a.flac"])


def test_a_file_that_changes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.mp3", "cbr.mp3")
    change = prepare(path, NEW)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(AudioError, match="changed by another program"):
        change.commit()
    assert os.listdir(tmp_path) == ["a.mp3"]
    assert path.read_bytes().endswith(b"x")


def test_a_file_that_cannot_be_replaced_leaves_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_format(tmp_path / "a.mp3", "cbr.mp3")
    change = prepare(path, NEW)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tag_writer.os, "replace", full)
    with pytest.raises(AudioError, match="unwritable: No space left"):
        change.commit()
    assert os.listdir(tmp_path) == ["a.mp3"]


def test_a_copy_left_by_a_killed_run_is_in_the_way_until_it_is_cleared(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.mp3", "cbr.mp3")
    prepare(path, NEW)  # never committed: the process died
    with pytest.raises(AudioError, match="busy"):
        prepare(path, NEW)
    clear(path)
    prepare(path, NEW).commit()
    assert os.listdir(tmp_path) == ["a.mp3"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.mp3", b"", "empty_file"),
        ("a.flac", b"fLaC" + b"\x00" * 50, "tags_damaged"),
        ("a.txt", b"words", "unsupported"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        prepare(path, NEW)
    assert path.read_bytes() == content


@pytest.mark.parametrize("field", ["artist", "album_artist", "musicbrainz_trackid", "Genre", "a b", "", "title", "ü"])
def test_fields_that_say_who_made_it_are_not_written(field: str) -> None:
    with pytest.raises(UsageError, match="field"):
        check_field(field)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_edits_lead_back_to_the_old_file(data: st.DataObject, tmp_path: Path) -> None:
    parts = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
    kept = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    others = [part if keep else data.draw(st.binary(max_size=40)) for part, keep in zip(parts, kept, strict=True)]
    (tmp_path / "old").write_bytes(b"".join(parts))
    (tmp_path / "new").write_bytes(b"".join(others))
    edits = edits_between(tmp_path / "new", tmp_path / "old")
    if edits is None:
        assert not (b"".join(parts) and b"".join(others))
        return
    with (tmp_path / "back").open("wb") as file:
        apply_edits(edits, tmp_path / "new", file)
    assert (tmp_path / "back").read_bytes() == b"".join(parts)


def test_a_file_that_changed_as_a_whole_has_no_short_way_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("old", "new"):
        (tmp_path / name).write_bytes(random.bytes(2 * MOST_BYTES))
    assert edits_between(tmp_path / "new", tmp_path / "old") is None
