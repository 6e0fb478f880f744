"""`mirclr adabn` and `finetune --target` as typed, and as steps of a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mirclr.cli.finetune import finetune
from mirclr.cli.main import main
from mirclr.features.encoder_file import load_encoder
from mirclr.losses.alignment import ALIGNMENTS
from tests.support.labelled_tones import labelled_folder, tiny_encoder
from tests.support.other_domain import other_folder

SMALL = [
    *("--set", "optim={batch: 4, learning_rate: 0.01}", "--set", "cache.workers=1", "--set", "workers=0"),
    *("--set", "threads=1", "--steps", "2"),
]


def mirclr(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`music/labels.csv`, the same kinds elsewhere in `other`, and an encoder."""
    folder = tmp_path_factory.mktemp("adapt")
    labelled_folder(folder / "music")
    other_folder(folder / "other", tracks=2)
    tiny_encoder(folder)
    return folder


def test_layers_go_to_stdout_and_every_other_command_takes_the_encoder(ground: Path, tmp_path: Path) -> None:
    done = mirclr("adabn", ground / "other", "--encoder", ground, "-o", tmp_path / "fitted", "--share", 0.5)
    assert done.exit_code == 0, done.stderr
    header, first, *_ = [line.split("\t") for line in done.stdout.splitlines()]
    assert header == ["layer", "channels", "moved", "spread"]
    assert first[:2] == ["normalise", "16"]
    assert f"encoder: {tmp_path / 'fitted' / 'encoder'}" in done.stderr
    embedded = mirclr("embed", ground / "other", "--encoder", tmp_path / "fitted", "-o", tmp_path / "vectors.npz")
    assert embedded.exit_code == 0, embedded.stderr
    stored = mirclr("index", ground / "other", "--encoder", tmp_path / "fitted", "--store", tmp_path / "library.db")
    assert stored.exit_code == 0, stored.stderr
    again = mirclr("adabn", ground / "other", "--encoder", ground, "-o", tmp_path / "fitted")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "already holds an encoder" in again.stderr


def test_json_and_what_was_asked_arrive(ground: Path, tmp_path: Path) -> None:
    words = ["--keep-input", "--max-seconds", 2, "--json"]
    done = mirclr("adabn", ground / "other", ground / "music", "--encoder", ground, "-o", tmp_path / "out", *words)
    told = json.loads(done.stdout)
    assert (told["tracks"], told["head"]) == (20, None)
    assert told["layers"][0]["layer"] == "encoder.stem.1"
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["normalisation"], config["max_seconds"], config["share"]) == (False, 2.0, 1.0)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--encoder", "/nowhere"], 1, "no encoder here"),
        (["--encoder", "{ground}", "--share", "2"], 2, "share: Input should be less than or equal to 1"),
        (["--encoder", "{ground}", "--set", "shre=1"], 2, "Did you mean 'share'?"),
        ([], 2, "Missing option '--encoder'"),
    ],
)
def test_mistakes_have_their_exit_code_and_leave_nothing(
    ground: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = mirclr("adabn", ground / "other", "-o", tmp_path / "out", *(w.format(ground=ground) for w in words))
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_target_is_aligned_with_and_a_resumed_run_knows_it(
    ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, run = ground / "music" / "labels.csv", tmp_path / "run"
    monkeypatch.chdir(ground)
    words = ["--split", "part", "--target", "other", "--adapt", "coral", "--set", "adapt.weight=3", *SMALL]
    done = mirclr("finetune", table, "--encoder", ground, "-o", run, *words)
    assert done.exit_code == 0, done.stderr
    config = json.loads((run / "config.json").read_text())
    assert config["target"] == str(ground / "other")
    assert config["adapt"] == {"name": "coral", "weight": 3.0, "batch": None}
    assert "aligned (coral, weight 3) with the sound of 4 tracks" in load_encoder(run).notes[-1]
    monkeypatch.chdir(tmp_path)
    again = mirclr("finetune", table, "-o", run, "--resume")
    assert again.exit_code == 0, again.stderr
    alone = mirclr("finetune", table, "--encoder", ground, "-o", tmp_path / "no", "--split", "part", "--adapt", "mmd")
    assert alone.exit_code == 2
    assert "mmd aligns with the music of a folder; give one (--target FOLDER)" in alone.stderr


def test_the_help_names_every_alignment() -> None:
    (option,) = [p for p in finetune.params if p.name == "adapt"]
    assert option.metavar == "|".join(ALIGNMENTS)


RECIPE = """
title: Adapt
why: To see the steps
inputs:
  table: {{help: the labels, required: true}}
  encoder: {{help: the encoder, required: true}}
  other: {{help: the target, required: true}}
steps:
  - run: adabn
    with: {{folder: "${{other}}", encoder: "${{encoder}}", output: "${{out}}/fitted", share: {share}}}
  - run: finetune
    with:
      dataset: ${{table}}
      encoder: ${{out}}/fitted/encoder
      output: ${{out}}/tuned
      target: ${{other}}
      config: {{split: part, budget: {{steps: 2}}, optim: {{batch: 4}}, workers: 0, adapt: {{name: {name}}}}}
"""


def test_as_steps_of_a_recipe_they_are_checked_run_and_not_done_twice(ground: Path, tmp_path: Path) -> None:
    table, out, recipe = ground / "music" / "labels.csv", tmp_path / "out", tmp_path / "r.yaml"
    named = {"table": table, "encoder": ground / "encoder", "other": ground / "other"}
    given = ["-o", out, *(word for key, value in named.items() for word in ("--set", f"{key}={value}"))]
    recipe.write_text(RECIPE.format(share=0.5, name="coral"))
    done = mirclr("recipe", "run", recipe, *given)
    assert done.exit_code == 0, done.stderr
    assert f"\t{out / 'fitted' / 'shifts.csv'}\n" in done.stdout
    assert "aligned (coral" in load_encoder(out / "tuned").notes[-1]
    assert mirclr("recipe", "run", recipe, *given).stderr.count("already done") == 2
    other_folder(ground / "other", tracks=3)  # more music of the target: both have heard less than there is
    assert mirclr("recipe", "run", recipe, *given).stderr.count("already done") == 0
    recipe.write_text(RECIPE.format(share=1.5, name="corall"))
    wrong = mirclr("recipe", "check", recipe, *given)
    assert wrong.exit_code == 2
    assert "adabn.share" in wrong.stderr
    assert "no alignment 'corall'" in wrong.stderr
