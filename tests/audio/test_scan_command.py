"""`mirclr data scan`: the table on stdout, the talk on stderr, the exit code for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mirclr.audio.scan import TRACK_COLUMNS
from mirclr.cli.main import main
from tests.support.audio_files import write_format


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["data", "scan", *map(str, words)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tracks, a text that claims to be one, and a note."""
    music = tmp_path / "music"
    music.mkdir()
    write_format(music / "a.flac", "lossless.flac", 0.5)
    write_format(music / "b [red].mp3", "cbr.mp3", 5.0, seed=1)
    (music / "fake.mp3").write_text("no music here")
    (music / "notes.txt").write_text("a note")
    return music


def test_the_table_is_data_and_the_rest_is_talk(folder: Path) -> None:
    result = run(folder, "--workers", 1)
    assert result.exit_code == 3
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][:2] == ["path", "container"]
    assert [(line[0], line[1], line[-1]) for line in lines[1:]] == [
        (str(folder / "a.flac"), "flac", "short"),
        (str(folder / "b [red].mp3"), "mp3", ""),
    ]
    assert f"quarantined: not_audio: {folder / 'fake.mp3'}" in result.stderr
    assert "2 tracks" in result.stderr
    assert "flagged: 1 short" in result.stderr
    assert "1 other files" in result.stderr


def test_a_clean_folder_ends_with_zero(folder: Path) -> None:
    (folder / "fake.mp3").unlink()
    assert run(folder, "--workers", 1).exit_code == 0


def test_json_holds_everything_with_null_for_what_is_missing(folder: Path) -> None:
    result = run(folder, "--json", "--clip-seconds", 0.2, "--workers", 1)
    assert result.exit_code == 3
    data = json.loads(result.stdout)
    assert [row["flags"] for row in data["tracks"]] == ["", ""]
    assert data["tracks"][0]["year"] is None
    assert data["tracks"][0]["sample_rate"] == 44_100
    assert set(data["tracks"][0]) == set(TRACK_COLUMNS)
    assert [row["reason"] for row in data["quarantine"]] == ["not_audio"]
    assert data["ignored"] == 1


def test_the_whole_table_goes_to_a_file(folder: Path, tmp_path: Path) -> None:
    run(folder, "-o", tmp_path / "tracks.csv", "--workers", 1)
    table = pd.read_csv(tmp_path / "tracks.csv")
    assert tuple(table.columns) == TRACK_COLUMNS
    assert list(table["path"]) == [str(folder / "a.flac"), str(folder / "b [red].mp3")]


def test_mistakes_are_usage_errors_before_any_work(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "-o", tmp_path / "no folder" / "tracks.csv")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
    result = run(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "no such folder or file" in result.stderr
