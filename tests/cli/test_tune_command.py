"""`mirclr tune` as typed, by retrieval and by labels, the range test, and the same as a step of a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from tests.support.labelled_tones import labelled_folder
from tests.support.tones import tone_folder

SMALL = [
    *("--set", "audio.sample_rate=8000", "--set", "views.seconds=1", "--set", "optim.batch=4"),
    *("--set", "frontend={n_fft: 256, hop: 128, n_mels: 16}", "--set", "encoder={width: 4, stages: 2}"),
    *("--set", "projection={hidden: 16, dim: 8}", "--set", "cache.workers=1", "--set", "hold_out=0.5"),
    *("--set", "threads=1"),
]
SPACE = "optim.learning_rate: {low: 1e-4, high: 1e-2, log: true}\noptim.batch: {choices: [2, 4]}\n"


def mirclr(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tune") / "music"
    tone_folder(folder)
    return folder


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path / "space.yaml"


def test_a_search_prints_a_table_and_its_settings_pretrain(songs: Path, space: Path, tmp_path: Path) -> None:
    given = ["--trials", 2, "--trial-steps", 2, "--space", space, "--seed", 3, *SMALL]
    done = mirclr("tune", songs, "-o", tmp_path / "out", *given)
    assert done.exit_code == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == ["run", "score", "optim.learning_rate", "optim.batch"]
    assert sorted(line[0] for line in lines[1:]) == ["best, seed 4", "default, seed 4", "trial 0", "trial 1"]
    assert float(lines[1][1]) >= float(lines[2][1])
    assert "which is optimistic: it was chosen for it" in done.stderr
    best = tmp_path / "out" / "best.json"
    trained = mirclr("pretrain", songs, "-o", tmp_path / "run", "--config", best, "--steps", 1)
    assert trained.exit_code == 0, trained.stderr
    told, config = json.loads(best.read_text()), json.loads((tmp_path / "run" / "config.json").read_text())
    assert config == {**told, "budget": {"steps": 1, "minutes": None}}
    assert told["seed"] == 3
    again = mirclr("tune", songs, "-o", tmp_path / "out", *given, "--json")
    found = json.loads(again.stdout)
    assert len(found["rows"]) == 2
    assert found["settings"] == str(best)
    assert found["values"].keys() == {"optim.learning_rate", "optim.batch"}
    assert len(found["confirmed"]) == len(found["gains"]) == 1


def test_labels_judge_by_the_probe_on_artist_folds(space: Path, tmp_path: Path) -> None:
    table = labelled_folder(tmp_path / "labelled")
    given = ["--trials", 2, "--trial-steps", 2, "--space", space, "--confirm", 0, "--labels", table]
    done = mirclr("tune", table.parent, "-o", tmp_path / "out", *given, "--json", *SMALL)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["objective"].startswith("linear.accuracy on ")
    scores = [row["score"] for row in found["rows"]]
    assert all(0 <= score <= 1 and (score * 16) % 1 == 0 for score in scores), scores


def test_the_range_test_prints_one_rate_and_writes_its_curve(songs: Path, tmp_path: Path) -> None:
    done = mirclr("tune", songs, "--find-rate", "-o", tmp_path / "rates", *SMALL)
    assert done.exit_code == 0, done.stderr
    head, row = (line.split("\t") for line in done.stdout.splitlines())
    assert head == ["learning_rate", "lowest_loss_at", "steps"]
    curve = pd.read_csv(tmp_path / "rates" / "rates.csv")
    assert len(curve) == int(row[2])
    assert curve["rate"].sub(float(row[0])).abs().min() < 0.01 * float(row[0])
    assert curve["smoothed"][(curve["rate"] - float(row[1])).abs().idxmin()] == curve["smoothed"].min()


def test_mistakes_end_with_exit_2_before_anything_is_written(songs: Path, space: Path, tmp_path: Path) -> None:
    space.write_text("optim.learnig_rate: {low: 1, high: 2}\nsede: {choices: [1, 2]}\n")
    done = mirclr("tune", songs, "-o", tmp_path / "out", "--space", space, *SMALL)
    assert done.exit_code == 2
    assert f"{space}: 2 mistake(s)" in done.stderr
    assert "Did you mean 'learning_rate'?" in done.stderr
    space.write_text("")
    for words, said in (
        (["-o", tmp_path / "out", "--space", space], "a space is one or more lines"),
        (["--find-rate", "--trial-steps", 3], "--find-rate takes no --trial-steps"),
        ([], "give -o"),
        (["-o", tmp_path / "out", "--trial-steps", 3, "--trial-minutes", 1], "not both"),
    ):
        done = mirclr("tune", songs, *words, *SMALL)
        assert done.exit_code == 2
        assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_recipe_finds_settings_and_trains_with_them(songs: Path, tmp_path: Path) -> None:
    light = {
        "audio": {"sample_rate": 8000},
        "views": {"seconds": 1.0},
        "frontend": {"n_fft": 256, "hop": 128, "n_mels": 16},
        "encoder": {"width": 4, "stages": 2},
        "threads": 1,
        "hold_out": 0.5,
    }
    sets = [
        *("search.minutes=null", "search.trials=1", "search.trial_minutes=null", "search.trial_steps=2", "confirm=1"),
        *(f"search.config={json.dumps(light)}", "search.space={optim.batch: {choices: [2, 3]}}", "minutes=0.02"),
    ]
    words = [part for each in sets for part in ("--set", each)]
    done = mirclr("recipe", "run", "tune", "-o", tmp_path / "out", "--audio", songs, *words)
    assert done.exit_code == 0, done.stderr
    found = json.loads((tmp_path / "out" / "search" / "best.json").read_text())
    used = json.loads((tmp_path / "out" / "run" / "config.json").read_text())
    assert used == {**found, "budget": {"steps": None, "minutes": 0.02}}
    assert (tmp_path / "out" / "card" / "report.json").is_file()
