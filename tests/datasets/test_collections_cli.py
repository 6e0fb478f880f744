"""`mirclr data list` and `mirclr data check`: data on stdout, talk on stderr, an exit code for every outcome."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mirclr.cli.collections import check, list_
from mirclr.datasets.registry import read_registry, shipped_file
from tests.support.collections_on_disk import emotify_archive, labelled_rows, write_table


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No collection is found by accident: another current folder, no variables."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for name in ("MIRCLR_DATASETS", "MIRCLR_EMOTIFY"):
        monkeypatch.delenv(name, raising=False)


def run_check(*arguments: str) -> Result:
    return CliRunner().invoke(check, [*arguments, "--workers", "1"])


def test_list_prints_every_declared_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CliRunner().invoke(list_)
    assert shown.exit_code == 0
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert lines[0] == ["name", "task", "labels", "on_disk", "licence", "where"]
    assert [line[0] for line in lines[1:]] == list(read_registry())
    assert lines[1][:4] == ["emotify", "multiclass", "classical, electronic, pop, rock", "no"]
    assert lines[2][2].endswith(", ... (9)")
    monkeypatch.setenv("MIRCLR_EMOTIFY", str(tmp_path))
    rows = json.loads(CliRunner().invoke(list_, ["--json"]).stdout)
    assert rows[0]["on_disk"] == str(tmp_path)
    assert len(rows[1]["labels"]) == 9
    assert all(row["licence"] and row["citation"] and row["where"] for row in rows)


def test_list_loads_no_heavy_library() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from mirclr.cli.collections import list_; "
        "assert CliRunner().invoke(list_).exit_code == 0; "
        "print([name for name in ('torch', 'librosa', 'pandas', 'sklearn') if name in sys.modules])"
    )
    here = shipped_file().parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=here)
    assert done.stdout.strip() == "[]"


def test_mistakes_in_a_datasets_yaml_are_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("version: 1\ncollections:\n  a: {titel: T}\n")
    shown = CliRunner().invoke(list_, ["--datasets", str(path)])
    assert shown.exit_code == 2
    assert "collections.a.titel: unknown key. Did you mean 'title'?" in shown.stderr
    assert shown.stdout == ""


def test_a_complete_clean_collection_is_0_with_its_counts(tmp_path: Path) -> None:
    path = write_table(tmp_path / "m", labelled_rows())
    shown = run_check(str(path), "--folds", "3")
    assert shown.exit_code == 0, shown.stderr
    tables = shown.stdout.split("\n\n")
    assert tables[0].splitlines() == ["label\tdeclared\tlisted\ton_disk\tinvalid", "jig\t\t6\t6\t0", "reel\t\t6\t6\t0"]
    splits = [line.split("\t") for line in tables[1].splitlines()]
    assert splits[0] == ["split", "part", "tracks", "artists", "labels"]
    assert [row[:2] for row in splits[1:4]] == [["folds/0", "train"], ["folds/0", "valid"], ["folds/0", "test"]]
    assert sum(int(row[2]) for row in splits[1:4]) == 12
    assert sum(int(row[3]) for row in splits[1:4]) == 6
    assert "complete: nothing missing" in shown.stderr


def test_missing_and_invalid_files_are_listed_apart_and_make_3(tmp_path: Path) -> None:
    rows = labelled_rows(artists=10, tracks_each=4)
    path = write_table(tmp_path / "m", rows)
    (tmp_path / "m" / "0-0.wav").unlink()
    (tmp_path / "m" / "1-1.wav").write_text("no sound at all")
    shown = run_check(str(path), "--json")
    assert shown.exit_code == 3, shown.stderr
    found = json.loads(shown.stdout)
    assert found["missing"] == ["0-0.wav"]
    assert [(Path(row["path"]).name, row["reason"]) for row in found["invalid"]] == [("1-1.wav", "not_audio")]
    assert found["labels"] == [
        {"label": "jig", "declared": None, "listed": 20, "on_disk": 19, "invalid": 0},
        {"label": "reel", "declared": None, "listed": 20, "on_disk": 20, "invalid": 1},
    ]
    assert "missing_file: 0-0.wav" in shown.stderr
    assert "1-1.wav" in shown.stderr


def test_a_listed_file_that_is_not_even_named_like_sound_is_invalid(tmp_path: Path) -> None:
    rows = [{**row, "path": "notes.txt" if row["path"] == "2-0.wav" else row["path"]} for row in labelled_rows()]
    path = write_table(tmp_path / "m", rows)
    (tmp_path / "m" / "notes.txt").write_text("words")
    found = json.loads(run_check(str(path), "--json").stdout)
    assert [(Path(row["path"]).name, row["reason"]) for row in found["invalid"]] == [("notes.txt", "not_audio")]


def test_more_than_a_twentieth_missing_is_1(tmp_path: Path) -> None:
    path = write_table(tmp_path / "m", labelled_rows())
    (tmp_path / "m" / "0-0.wav").unlink()
    shown = run_check(str(path))
    assert shown.exit_code == 1
    assert "8% of the listed files are missing: above 5% nothing is trained on it" in shown.stderr


def test_a_leak_is_1_unless_it_is_allowed_by_name(tmp_path: Path) -> None:
    rows = [{**row, "split": "test" if i > 8 else "train"} for i, row in enumerate(labelled_rows())]
    path = write_table(tmp_path / "m", rows)
    shown = run_check(str(path), "--json")
    assert shown.exit_code == 1
    (leak,) = json.loads(shown.stdout)["leaks"]
    assert (leak["kind"], leak["parts"][1], leak["count"], leak["examples"]) == (
        "artist_overlap",
        "test",
        1,
        ["Artist 4"],
    )
    assert "leak: artist_overlap: split: 1 artist in" in shown.stderr
    shown = run_check(str(path), "--allow-leak", "artist_overlap")
    assert shown.exit_code == 0
    assert "allowed leak: artist_overlap" in shown.stderr
    assert run_check(str(path), "--allow-leak", "artist").exit_code == 2


def test_the_same_sound_in_another_container_is_found_by_hearing(tmp_path: Path) -> None:
    import soundfile

    rows = [{**row, "split": "test" if i > 7 else "train"} for i, row in enumerate(labelled_rows())]
    rows[8]["path"] = "4-0.flac"
    path = write_table(tmp_path / "m", rows)
    samples, rate = soundfile.read(tmp_path / "m" / "0-0.wav", dtype="int16")
    soundfile.write(tmp_path / "m" / "4-0.flac", samples, rate, format="FLAC")
    shown = run_check(str(path), "--json")
    assert shown.exit_code == 1
    (leak,) = json.loads(shown.stdout)["leaks"]
    assert (leak["kind"], leak["examples"]) == ("duplicate_audio", ["0-0.wav = 4-0.flac"])


def test_fewer_tracks_than_declared_are_told_and_make_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emotify_archive(tmp_path / "e")
    monkeypatch.setenv("MIRCLR_EMOTIFY", str(tmp_path / "e"))
    shown = run_check("emotify-archive")
    assert shown.exit_code == 3
    assert "note: 24 tracks here, 400 declared" in shown.stderr
    assert "rock\t100\t6\t6\t0" in shown.stdout


def test_what_cannot_be_read_is_1_and_says_what_to_do(tmp_path: Path) -> None:
    shown = run_check("emotify")
    assert shown.exit_code == 1
    assert "set the environment variable MIRCLR_EMOTIFY" in shown.stderr
    shutil.rmtree(tmp_path / "cwd", ignore_errors=True)
    assert run_check(str(tmp_path / "gone")).exit_code == 1
