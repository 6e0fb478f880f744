"""`mirclr pretrain` and `mirclr embed` as typed: exit codes, what goes to stdout, what is said of bad files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mirclr.cli import face
from mirclr.cli.main import main
from mirclr.reports import Progress, Work
from tests.support.badfolder import make_bad_folder
from tests.support.tones import tone_folder

SMALL = [
    *("--set", "audio.sample_rate=8000", "--set", "views.seconds=1", "--set", "optim.batch=4"),
    *("--set", "frontend={n_fft: 256, hop: 128, n_mels: 16}", "--set", "encoder={width: 4, stages: 2}"),
    *("--set", "projection={hidden: 16, dim: 8}", "--set", "cache.workers=1"),
]


def mirclr(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made by the command, and the music it was made of in `music` beside it."""
    folder = tmp_path_factory.mktemp("command")
    tone_folder(folder / "music")
    done = mirclr("pretrain", folder / "music", "-o", folder / "run", "--steps", 3, "--seed", 5, *SMALL)
    assert done.exit_code == 0, done.stderr
    return folder / "run"


def test_stdout_is_a_table_and_the_talk_goes_to_stderr(run: Path, tmp_path: Path) -> None:
    done = mirclr("pretrain", run.parent / "music", "-o", tmp_path / "run", "--steps", 2, *SMALL)
    assert done.stdout.splitlines() == ["encoder\tsteps", f"{tmp_path / 'run' / 'encoder'}\t2"]
    assert "train: 2 of 2 loss" in done.stderr


def test_json_is_the_only_thing_on_stdout(run: Path, tmp_path: Path) -> None:
    done = mirclr("pretrain", run.parent / "music", "-o", tmp_path / "run", "--steps", 2, "--json", *SMALL)
    told = json.loads(done.stdout)
    assert told["steps"] == 2
    assert Path(told["encoder"]).is_dir()
    assert told["report"]["step"] == 2


def test_every_option_reaches_the_run(run: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("optim: {learning_rate: 3e-4}\nbudget: {minutes: 9}\nseed: 1\n")
    given = ["--steps", 2, "--seed", 7, "--max-seconds", 2.5, "--config", tmp_path / "c.yaml"]
    done = mirclr("pretrain", run.parent / "music", "-o", tmp_path / "run", *given, *SMALL)
    assert done.exit_code == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["budget"] == {"steps": 2, "minutes": None}
    assert (config["seed"], config["audio"]["max_seconds"], config["optim"]["learning_rate"]) == (7, 2.5, 3e-4)
    assert config["encoder"] == {"name": "resnet", "width": 4, "stages": 2}


def test_resume_takes_the_settings_of_the_run_and_goes_on(run: Path) -> None:
    done = mirclr("pretrain", run.parent / "music", "-o", run, "--resume", "--steps", 5)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[1].endswith("\t5")
    refused = mirclr("pretrain", run.parent / "music", "-o", run, "--steps", 5, *SMALL)
    assert refused.exit_code == 2
    assert "add --resume" in refused.stderr


def test_all_mistakes_of_a_configuration_are_said_at_once_with_exit_2(run: Path, tmp_path: Path) -> None:
    wrong = ["--set", "optim.learnig_rate=1", "--set", "sed=1", "--set", "hold_out=2"]
    done = mirclr("pretrain", run.parent / "music", "-o", tmp_path / "run", *wrong)
    assert done.exit_code == 2
    assert "3 mistake(s)" in done.stderr
    assert "Did you mean 'learning_rate'?" in done.stderr
    assert not (tmp_path / "run").exists()


def test_steps_and_minutes_together_are_a_mistake(run: Path, tmp_path: Path) -> None:
    done = mirclr("pretrain", run.parent / "music", "-o", tmp_path / "run", "--steps", 2, "--minutes", 1)
    assert done.exit_code == 2
    assert "give steps or minutes, not both" in done.stderr


def test_a_folder_of_every_bad_file_is_trained_on_and_each_is_listed(tmp_path: Path) -> None:
    expected = make_bad_folder(tmp_path / "bad", seconds=3)
    done = mirclr("pretrain", tmp_path / "bad", "-o", tmp_path / "run", "--steps", 2, *SMALL)
    assert done.exit_code == 3, done.stderr
    for name, reason in expected.items():
        lines = [line for line in done.stderr.splitlines() if reason in line and Path(name).name[:5] in line]
        assert lines, f"{name} ({reason}) is not listed"
    assert (tmp_path / "run" / "encoder" / "encoder.json").is_file()


def test_embed_writes_the_vectors_of_every_track(run: Path, tmp_path: Path) -> None:
    done = mirclr("embed", run.parent / "music", "--encoder", run, "-o", tmp_path / "v.npz")
    assert done.exit_code == 0, done.stderr
    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        paths, vectors = arrays["path"], arrays["vector"]
    assert [Path(p).name for p in paths] == [f"{n:02}.flac" for n in range(8)]
    assert vectors.shape == (8, 8)
    mirclr("embed", run.parent / "music", "--encoder", run, "-o", tmp_path / "v.csv")
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "v.csv").iloc[:, 1:].to_numpy(np.float32), vectors)


def test_embed_refuses_an_unknown_format_before_it_works(run: Path, tmp_path: Path) -> None:
    done = mirclr("embed", run.parent / "music", "--encoder", run, "-o", tmp_path / "v.pkl")
    assert done.exit_code == 2
    assert "ends in .npz, .csv, .parquet" in done.stderr


def work(count: int) -> Work[str]:
    for done in range(count):
        yield Progress("a stage", done + 1, count)
    return "result"


def test_without_a_terminal_progress_is_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert face.show_work(work(1000)) == "result"
    assert capsys.readouterr().err.splitlines() == ["a stage: 1 of 1000", "a stage: 1000 of 1000"]
