"""`mirclr finetune` as typed, and the same as a step of a recipe: exit codes, what goes where, what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from tests.support.labelled_tones import labelled_folder, tiny_encoder

SMALL = [
    *("--set", "optim={batch: 4, learning_rate: 0.01}", "--set", "cache.workers=1", "--set", "workers=0"),
    *("--set", "lora.rank=2", "--set", "threads=1"),
]


def mirclr(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`music/labels.csv` and an encoder."""
    folder = tmp_path_factory.mktemp("finetune")
    labelled_folder(folder / "music")
    tiny_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def table(ground: Path) -> Path:
    return ground / "music" / "labels.csv"


def test_the_score_goes_to_stdout_with_interval_and_chance(ground: Path, table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = mirclr("finetune", table, "--encoder", ground, "-o", run, "--split", "part", "--steps", 30, *SMALL)
    assert done.exit_code == 0, done.stderr
    header, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert header == ["measure", "value", "95 % interval", "chance"]
    assert rows[0] == ["accuracy", "100.0 %", "100.0 to 100.0", "50.0 %"]
    assert "8 tracks to train on, 4 to stop by, 4 to test" in done.stderr
    assert f"encoder: {run / 'encoder'}" in done.stderr
    written = json.loads((run / "test.json").read_text())
    assert written["measures"]["accuracy"]["value"] == 1.0
    assert (written["tracks"], written["artists"]) == (4, 2)


@pytest.mark.parametrize("mode", ["head", "lora"])
def test_json_is_the_only_thing_on_stdout_and_every_option_arrives(
    ground: Path, table: Path, tmp_path: Path, mode: str
) -> None:
    run, given = tmp_path / "run", ["--mode", mode, "--split", "part", "--steps", 3, "--seed", 7]
    done = mirclr("finetune", table, "--encoder", ground, "-o", run, *given, "--json", *SMALL)
    told = json.loads(done.stdout)
    assert (told["steps"], told["split"], told["transfer"]) == (3, "part", None)
    config = json.loads((run / "config.json").read_text())
    assert (config["mode"], config["split"], config["seed"]) == (mode, "part", 7)
    assert config["budget"] == {"steps": 3, "minutes": None}
    assert config["encoder"] == str(ground)


def test_resume_takes_the_settings_of_the_run_and_goes_on(ground: Path, table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    mirclr("finetune", table, "--encoder", ground, "-o", run, "--split", "part", "--steps", 3, *SMALL)
    done = mirclr("finetune", table, "-o", run, "--resume", "--steps", 5, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 5
    refused = mirclr("finetune", table, "--encoder", ground, "-o", run, "--split", "part")
    assert refused.exit_code == 2
    assert "add --resume" in refused.stderr


def test_a_partial_transfer_is_listed_tensor_by_tensor(ground: Path, table: Path, tmp_path: Path) -> None:
    parts = "frontend: {n_fft: 256, hop: 128, n_mels: 16}, encoder: {width: 4, stages: 3}"
    plan = f"plan={{sample_rate: 8000, seconds: 1, {parts}}}"
    words = ["finetune", table, "--encoder", ground, "-o", tmp_path / "run", "--split", "part", "--steps", 2, *SMALL]
    refused = mirclr(*words, "--set", plan)
    assert refused.exit_code == 1
    assert "--allow-partial" in refused.stderr
    done = mirclr(*words, "--set", plan, "--allow-partial")
    assert done.exit_code == 0, done.stderr
    written = json.loads((tmp_path / "run" / "transfer.json").read_text())
    assert all(f"transfer: missing there: {name}" in done.stderr for name in written["missing"])
    assert any(name.startswith("encoder.stages.2.") for name in written["missing"])


def test_from_scratch_needs_no_encoder(table: Path, tmp_path: Path) -> None:
    small = ["--set", "plan.frontend.n_mels=32", "--set", "plan.encoder.width=4", "--set", "plan.seconds=1"]
    words = ["--split", "part", "--steps", 2, *small, *SMALL]
    done = mirclr("finetune", table, "--from-scratch", "-o", tmp_path / "run", *words)
    assert done.exit_code == 0, done.stderr
    plan = json.loads((tmp_path / "run" / "encoder" / "encoder.json").read_text())["plan"]
    assert (plan["encoder"]["name"], plan["encoder"]["width"]) == ("resnet", 4)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--encoder", "/nowhere"], 1, "no encoder here"),
        ([], 2, "give an encoder to start from"),
        (["--encoder", "{ground}", "--split", "prt"], 1, "Did you mean 'part'?"),
        (["--encoder", "{ground}", "--split", "part", "--set", "mod=x"], 2, "Did you mean 'mode'?"),
        (
            ["--encoder", "{ground}", "--split", "part", "--set", "lora.rank=9", "--mode", "lora"],
            2,
            "lora.rank must be",
        ),
        (["--encoder", "{ground}", "--steps", "2", "--minutes", "1"], 2, "give steps or minutes, not both"),
    ],
)
def test_mistakes_have_their_exit_code_and_leave_nothing(
    ground: Path, table: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = mirclr("finetune", table, "-o", tmp_path / "run", *(w.format(ground=ground) for w in words))
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


RECIPE = """
title: Fine-tune
why: To see the step
inputs:
  table: {{help: the labels, required: true}}
  encoder: {{help: the encoder, required: true}}
steps:
  - run: finetune
    with:
      dataset: ${{table}}
      encoder: ${{encoder}}
      output: ${{out}}/tuned
      config: {{split: part, budget: {{steps: {steps}}}, optim: {{batch: 4}}, workers: 0, mode: {mode}}}
"""


def test_as_a_step_of_a_recipe_it_is_checked_run_and_not_done_twice(ground: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE.format(steps=3, mode="head"))
    given = ["-o", tmp_path / "out", "--set", f"table={table}", "--set", f"encoder={ground / 'encoder'}"]
    done = mirclr("recipe", "run", tmp_path / "r.yaml", *given)
    assert done.exit_code == 0, done.stderr
    assert "accuracy\t" in done.stdout
    assert str(tmp_path / "out" / "tuned" / "head") in done.stdout
    assert "already done" in mirclr("recipe", "run", tmp_path / "r.yaml", *given).stderr
    (tmp_path / "r.yaml").write_text(RECIPE.format(steps=3, mode="haed"))
    wrong = mirclr("recipe", "check", tmp_path / "r.yaml", *given)
    assert wrong.exit_code == 2
    assert "finetune.config.mode" in wrong.stderr
