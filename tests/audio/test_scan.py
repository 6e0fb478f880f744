"""A folder becomes a track table and a quarantine table, and nothing is missing from both."""

from __future__ import annotations

import os
from pathlib import Path

import mutagen
import numpy as np
import pandas as pd
import pytest
import soundfile
from mutagen.id3 import ID3, TIT2

from mirclr.audio.decode import open_reader
from mirclr.audio.reasons import REASONS
from mirclr.audio.scan import QUARANTINE_COLUMNS, TRACK_COLUMNS, ScanResult, list_files, scan, scan_files
from mirclr.audio.track import content_id
from mirclr.errors import UsageError
from mirclr.reports import Progress, finish
from tests.support.audio_files import FORMATS, encode, music_like, write_format
from tests.support.badfolder import make_bad_folder
from tests.support.deadly_codec import read_or_die


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], ScanResult]:
    """The bad folder, the reasons expected from it, and its scan by two processes."""
    folder = tmp_path_factory.mktemp("bad")
    expected = make_bad_folder(folder)
    return folder, expected, finish(scan(folder, workers=2))


def reasons_of(found: ScanResult, folder: Path) -> dict[str, str]:
    return {os.path.relpath(row.path, folder): str(row.reason) for row in found.quarantine.itertuples()}


def test_every_bad_file_has_its_reason_and_no_good_one_has_any(bad: tuple[Path, dict[str, str], ScanResult]) -> None:
    folder, expected, found = bad
    assert reasons_of(found, folder) == expected
    assert set(expected.values()) <= set(REASONS)
    assert all(found.quarantine["detail"].str.len() > 0)


def test_every_file_is_in_exactly_one_place(bad: tuple[Path, dict[str, str], ScanResult]) -> None:
    folder, expected, found = bad
    good = {str(folder / "good" / name) for name in FORMATS} | {str(p) for p in (folder / "odd").iterdir()}
    assert set(found.tracks["path"]) == good
    assert found.ignored == 5
    entries = [p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()]
    assert len(entries) == len(good) + len(expected) + found.ignored - expected.get("locked", "").count("folder")


def test_the_table_has_the_columns_and_types_of_the_contract(bad: tuple[Path, dict[str, str], ScanResult]) -> None:
    tracks = bad[2].tracks
    assert tuple(tracks.columns) == TRACK_COLUMNS
    assert tuple(bad[2].quarantine.columns) == QUARANTINE_COLUMNS
    numbers = {"sample_rate": "int64", "channels": "int64", "duration": "float64", "size": "int64", "mtime_ns": "int64"}
    assert {name: str(tracks[name].dtype) for name in numbers} == numbers
    assert {str(tracks[name].dtype) for name in ("year", "track")} == {"Int64"}
    assert all(value is None for value in tracks["artist"])
    assert all(os.path.isabs(path) for path in tracks["path"])
    assert list(tracks["path"]) == sorted(tracks["path"], key=os.fsencode)
    for row in tracks.itertuples():
        assert row.id == content_id(str(row.path))
        assert (len(str(row.id)), len(str(row.audio_id))) == (32, 32)
        place = os.stat(str(row.path))
        assert (row.size, row.mtime_ns) == (place.st_size, place.st_mtime_ns)


def test_the_result_does_not_depend_on_the_workers(bad: tuple[Path, dict[str, str], ScanResult]) -> None:
    alone = finish(scan(bad[0], workers=1))
    pd.testing.assert_frame_equal(alone.tracks, bad[2].tracks)
    pd.testing.assert_frame_equal(alone.quarantine, bad[2].quarantine)


def test_equal_sound_is_flagged_whatever_its_container_and_tags(tmp_path: Path) -> None:
    for name in ("pcm.wav", "pcm.aiff", "cbr.mp3"):
        write_format(tmp_path / name, name, 5.0)
    whole, _ = soundfile.read(tmp_path / "pcm.wav", dtype="int16")
    soundfile.write(tmp_path / "lossless.flac", whole, 44_100, subtype="PCM_16")
    encode(tmp_path / "alac.m4a", (whole / 32_768).astype(np.float32), 44_100, "ipod", "alac")
    (tmp_path / "tagged.mp3").write_bytes((tmp_path / "cbr.mp3").read_bytes())
    tags = ID3(tmp_path / "tagged.mp3")
    tags.add(TIT2(encoding=3, text="Another title " * 500))
    tags.save()
    found = finish(scan(tmp_path, workers=1)).tracks.set_index(pd.Index(sorted(p.name for p in tmp_path.iterdir())))
    assert found["flags"].to_dict() == {
        "alac.m4a": "",
        "cbr.mp3": "",
        "lossless.flac": "duplicate",
        "pcm.aiff": "duplicate",
        "pcm.wav": "duplicate",
        "tagged.mp3": "duplicate",
    }
    assert found["id"].is_unique
    assert found.loc["tagged.mp3", "title"] == ("Another title " * 500).strip()


def test_flags_and_tags_reach_the_table(tmp_path: Path) -> None:
    loud = np.clip(3 * music_like(5.0), -1, 1)
    soundfile.write(tmp_path / "loud.flac", loud, 44_100)
    soundfile.write(tmp_path / "nothing.wav", np.zeros((3 * 8000, 1)), 8000)
    tagged = write_format(tmp_path / "z.flac", "lossless.flac", 5.0)
    file = mutagen.File(tagged)
    file.update(artist="Nina Simone", title="Sinnerman", date="1965", tracknumber="10/10", genre="Jazz", album="Pastel")
    file.save()
    tracks = finish(scan(tmp_path, workers=1)).tracks
    assert list(tracks["flags"]) == ["clipped", "silent,short", ""]
    row = tracks.iloc[2]
    assert (row["artist"], row["album"], row["title"], row["genre"]) == ("Nina Simone", "Pastel", "Sinnerman", "Jazz")
    assert (row["year"], row["track"]) == (1965, 10)
    assert pd.isna(tracks.iloc[0]["year"])
    assert list(finish(scan(tmp_path, clip_seconds=2.0, workers=1)).tracks["flags"]) == ["clipped", "silent", ""]


def test_broken_tags_cost_the_tags_and_not_the_sound(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.mp3", "cbr.mp3", 5.0)
    sound = path.read_bytes()[path.read_bytes().index(b"\xff\xfb") :]
    path.write_bytes(b"ID3\x04\x00\x80\x00\x00\x00\x14TIT2\x7f\x7f\x7f\x7f\xff\xff" + bytes(10) + sound)
    found = finish(scan(tmp_path, workers=1))
    assert list(found.tracks["title"]) == [None]
    assert found.tracks["duration"][0] == pytest.approx(5.0, abs=0.01)


def test_a_codec_that_kills_its_process_loses_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("a.wav", "deadly.wav", "z.wav")):
        write_format(tmp_path / name, "pcm.wav", 0.5, seed=seed)
    monkeypatch.setattr("mirclr.audio.scan.read_track", read_or_die)
    found = finish(scan(tmp_path, workers=1))
    assert [Path(path).name for path in found.tracks["path"]] == ["a.wav", "z.wav"]
    assert reasons_of(found, tmp_path) == {"deadly.wav": "undecodable"}
    assert "SIGKILL" in found.quarantine["detail"][0]


def test_codecs_are_silent_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_format(tmp_path / "cut.mp3", "cbr.mp3", 2.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    open_reader(path).close()
    assert capfd.readouterr().err != ""  # mpg123 has something to say about it
    assert reasons_of(finish(scan(tmp_path, workers=1)), tmp_path) == {"cut.mp3": "truncated"}
    assert capfd.readouterr().err == ""


def test_progress_counts_every_file(tmp_path: Path) -> None:
    for seed in range(3):
        write_format(tmp_path / f"{seed}.wav", "pcm.wav", 0.1, seed=seed)
    (tmp_path / "notes.txt").write_text("no audio")
    seen: list[Progress] = []
    finish(scan(tmp_path, workers=1), watch=seen.append)
    assert [p.done for p in seen if p.stage == "scan"] == [0, 1, 2, 3, 4]
    assert {p.total for p in seen if p.stage == "scan"} == {4}


def test_an_empty_folder_has_empty_tables(tmp_path: Path) -> None:
    found = finish(scan(tmp_path))
    assert (len(found.tracks), len(found.quarantine), found.ignored) == (0, 0, 0)
    assert tuple(found.tracks.columns) == TRACK_COLUMNS
    assert str(found.tracks["duration"].dtype) == "float64"


def test_files_and_folders_can_be_named_and_are_seen_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    inner = write_format(tmp_path / "sub" / "a.wav", "pcm.wav", 0.1)
    found = finish(scan([inner, tmp_path, tmp_path / "sub"], workers=1))
    assert list(found.tracks["path"]) == [str(inner)]


def test_listing_then_scanning_is_scanning(bad: tuple[Path, dict[str, str], ScanResult]) -> None:
    folder, expected, found = bad
    files, unseen = list_files(folder)
    part = finish(scan_files(files, workers=2))
    pd.testing.assert_frame_equal(part.tracks, found.tracks)
    both = pd.concat([unseen, part.quarantine]).set_index("path")["reason"].to_dict()
    assert both == found.quarantine.set_index("path")["reason"].to_dict()
    assert part.ignored == found.ignored
    assert len(both) == len(expected)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder or file"):
        finish(scan(tmp_path / "nowhere"))


def test_a_file_that_vanishes_or_cannot_be_opened_is_told(tmp_path: Path) -> None:
    found = finish(scan_files([tmp_path / "gone.wav", tmp_path], workers=1))
    assert list(found.quarantine["reason"]) == ["unreadable", "missing_file"]


def test_a_video_without_sound_and_a_photo_are_other_files(tmp_path: Path) -> None:
    (tmp_path / "photo.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(400))
    encode(tmp_path / "clip.mp4", music_like(0.5), 44_100, "mp4", "aac")
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    at = data.index(b"soun")
    data[at : at + 4] = b"vide"
    (tmp_path / "clip.mp4").write_bytes(data)
    (tmp_path / "claims.m4a").write_bytes(data)
    found = finish(scan(tmp_path, workers=1))
    assert found.ignored == 2
    assert reasons_of(found, tmp_path) == {"claims.m4a": "no_audio"}


@pytest.mark.music
def test_real_music_is_all_good(music: Path) -> None:
    files = sorted(music.rglob("*.mp3"))[::10]
    found = finish(scan_files(files, workers=1))
    assert len(found.quarantine) == 0
    assert len(found.tracks) == len(files) > 0
    assert found.tracks["artist"].notna().all()
