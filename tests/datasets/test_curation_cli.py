"""`mirclr data show`, `stats`, `split` and `clean`: what they print and write, and that later steps honour it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from mirclr.audio.manifest import Verdict, read_manifest, write_manifest
from mirclr.audio.walk import list_rows
from mirclr.cli.data import data
from mirclr.datasets.table import listed_paths, load_collection
from mirclr.errors import DatasetError, UsageError
from mirclr.seeds import generator
from tests.support.collections_on_disk import labelled_rows, write_csv, write_sound, write_table


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments])


def test_show_tells_all_of_one_declaration() -> None:
    shown = run("show", "giantsteps-tempo")
    assert shown.exit_code == 0
    facts = [line.split("\t") for line in shown.stdout.splitlines()]
    assert ["expected tracks", "661"] in facts
    assert ["labels", "tempo"] in facts
    assert ["fault", "Three tracks have no tempo (0.0) and are left out."] in facts
    assert any(what.startswith("SHA-256 of annotations_v2") and len(digest) == 64 for what, digest in facts)
    known = json.loads(run("show", "gtzan", "--json").stdout)
    assert known["known_bad"]["jazz/jazz.00054.wav"] == "the file is damaged and does not decode"
    wrong = run("show", "gtzn")
    assert (wrong.exit_code, "Did you mean 'gtzan'?" in wrong.stderr) == (2, True)


def test_stats_count_labels_artists_and_parts_without_hearing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "labels.csv", labelled_rows())
    for row in labelled_rows():
        (tmp_path / str(row["path"])).write_text(f"no sound, {row}")
    shown = run("stats", path)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.splitlines()[:3] == [
        "label\ttracks\tshare\tartists\tlargest",
        "jig\t6\t0.500\t3\t0.333",
        "reel\t6\t0.500\t3\t0.333",
    ]
    found = json.loads(run("stats", path, "--json").stdout)
    assert (found["tracks"], found["artists"], found["unknown"]) == (12, 6, 0)
    assert sum(row["tracks"] for row in found["splits"] if row["part"] == "test") == 12


def test_a_split_is_written_and_read_again_as_the_default(tmp_path: Path) -> None:
    path = write_table(tmp_path / "m", labelled_rows())
    shown = run("split", path, "-o", tmp_path / "out", "--folds", 3, "--seed", 5)
    assert shown.exit_code == 0, shown.stderr
    rows = [line.split("\t") for line in shown.stdout.splitlines()[1:]]
    registry = tmp_path / "out" / "datasets.yaml"
    made = load_collection("labels", registry=registry)
    assert [split.name for split in made.splits] == ["folds-0", "folds-1", "folds-2"]
    assert [len(part) for split in made.splits for part in split.parts.values()] == [int(row[2]) for row in rows]
    for split in made.splits:
        parts = [set(made.groups[part].tolist()) for part in split.parts.values()]
        assert len(set.union(*parts)) == sum(map(len, parts))
    before = (tmp_path / "out" / "split.csv").read_text()
    assert run("split", path, "-o", tmp_path / "again", "--folds", 3, "--seed", 5).exit_code == 0
    assert (tmp_path / "again" / "split.csv").read_text() == before
    assert run("split", path, "-o", tmp_path / "one", "--one").exit_code == 0
    (single,) = load_collection("labels", registry=tmp_path / "one" / "datasets.yaml").splits
    assert min(map(len, single.parts.values())) > 0
    table = tmp_path / "out" / "split.csv"
    table.write_text(before.replace("0-1.wav", "9-9.wav"))
    with pytest.raises(DatasetError, match=r"split\.csv: no track of labels \(1 row, at line 3\)"):
        load_collection("labels", registry=registry)
    table.write_text(before.replace("train", "trian", 1))
    with pytest.raises(DatasetError, match=r"folds-\d: not train, valid or test \(1 row, at line \d+\)"):
        load_collection("labels", registry=registry)


def test_a_collection_with_too_few_artists_is_not_divided(tmp_path: Path) -> None:
    path = write_table(tmp_path / "m", labelled_rows(artists=6))
    shown = run("split", path, "-o", tmp_path / "out", "--folds", 7)
    assert (shown.exit_code, "7 artist-disjoint folds need at least 7 artists" in shown.stderr) == (1, True)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def flawed(tmp_path: Path) -> Path:
    """Thirty sounds of two seconds: one silent, one a copy, one the same but softer, one text, one gone."""
    rows = labelled_rows(artists=10, tracks_each=3)
    for place, row in enumerate(rows):
        draw = generator(1, place)
        tones = np.sin(2 * np.pi * np.outer(np.arange(32_000) / 16_000, draw.uniform(80, 4000, 4))).mean(axis=1)
        tones *= np.exp(-draw.uniform(0, 8) * (np.arange(32_000) % draw.integers(2_000, 16_000)) / 16_000)
        (tmp_path / "m").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "m" / str(row["path"]), 0.5 * tones, 16_000, subtype="PCM_16")
    soundfile.write(tmp_path / "m/1-0.wav", np.zeros(32_000), 16_000, subtype="PCM_16")
    shutil.copy(tmp_path / "m/2-0.wav", tmp_path / "m/3-0.wav")
    samples, rate = soundfile.read(tmp_path / "m/4-0.wav")
    soundfile.write(tmp_path / "m/5-0.wav", 0.97 * samples, rate, subtype="PCM_16")
    (tmp_path / "m/6-0.wav").write_text("words")
    (tmp_path / "m/7-0.wav").unlink()
    return write_csv(tmp_path / "m" / "labels.csv", rows)


def test_clean_writes_a_manifest_that_later_steps_honour(flawed: Path, tmp_path: Path) -> None:
    drop = [word for flaw in ("silent", "duplicate", "near_duplicate") for word in ("--drop", flaw)]
    shown = run("clean", flawed, "-o", tmp_path / "out", "--workers", 1, *drop)
    assert shown.exit_code == 3, shown.stderr
    verdicts = read_manifest(tmp_path / "out" / "manifest.csv")
    dropped = {Path(row.path).name: row.reason for row in verdicts if not row.keep}
    assert dropped == {
        "1-0.wav": "silent", "3-0.wav": "duplicate", "5-0.wav": "near_duplicate", "6-0.wav": "not_audio",
        "7-0.wav": "missing_file",
    }  # fmt: skip
    assert len(verdicts) == 30
    assert "25 files kept, 5 dropped" in shown.stderr

    made = load_collection("labels", registry=tmp_path / "out" / "datasets.yaml")
    assert (len(made.tracks), made.missing) == (25, ())
    assert set(made.excluded) == set(dropped)
    assert "sounds like" in made.excluded["5-0.wav"]
    files, _ = list_rows([tmp_path / "out" / "manifest.csv"])
    assert [str(file) for file in files] == sorted(row.path for row in verdicts if row.keep)

    listed = listed_paths("labels", tmp_path / "out" / "datasets.yaml")
    assert len(listed) == 30, "cleaned again, nothing hides behind the older manifest"


def test_clean_of_a_folder_without_labels(flawed: Path, tmp_path: Path) -> None:
    shown = run(
        "clean", flawed.parent, "--unlabelled", "-o", tmp_path / "out", "--workers", 1, "--drop", "silent", "--json"
    )
    assert shown.exit_code == 3, shown.stderr
    told = json.loads(shown.stdout)
    assert (told["kept"], told["dropped"], len(told["files"])) == (27, 2, 1)
    kept = {Path(row["path"]).name: row["detail"] for row in told["rows"] if row["keep"]}
    assert "near_duplicate: sounds like" in kept["5-0.wav"]
    assert "duplicate: The same audio" in kept["3-0.wav"]


def test_a_flaw_that_is_none_and_a_manifest_of_another_copy_are_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "m", labelled_rows())
    shown = run("clean", path, "-o", tmp_path / "out", "--drop", "loud")
    assert (shown.exit_code, "--drop loud: no such flaw; known: silent" in shown.stderr) == (2, True)
    assert run("clean", path, "-o", tmp_path / "out", "--workers", 1).exit_code == 0
    write_manifest(tmp_path / "out" / "manifest.csv", [Verdict("/elsewhere/a.wav", True)])
    with pytest.raises(DatasetError, match=r"manifest\.csv: names no file of labels"):
        load_collection("labels", registry=tmp_path / "out" / "datasets.yaml")


@pytest.mark.parametrize("line", ["a.wav,1,,", "/a.wav,yes,,", "/a.wav,1", '/a.wav,1,"x'])
def test_a_damaged_manifest_is_named_by_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(f"path,keep,reason,detail\n/b.wav,0,silent,\n{line}\n")
    with pytest.raises(UsageError, match=r"manifest\.csv: line 3"):
        read_manifest(path)


def test_a_table_of_ones_own_is_no_manifest(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", 1)
    path = write_csv(tmp_path / "labels.csv", [{"path": "a.wav", "keep": 1}])
    assert list_rows([path]) == ([path], [])
