"""Every recipe that comes with mirclr holds its contract, and the demo runs to its end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mirclr.cli.recipe import recipe
from mirclr.errors import ConfigError
from mirclr.recipes.plan import Plan, make_plan
from mirclr.recipes.recipe import read_recipe
from mirclr.recipes.shelf import shipped
from mirclr.recipes.step import marked, options_of
from mirclr.recipes.steps import STEPS
from mirclr.units import printable
from tests.support.badfolder import make_bad_folder

TINY = ("artists=8", "tracks=2", "seconds=5", "train.config.budget.minutes=null", "train.config.budget.steps=2")
LIGHT = ("train.config.optim.batch=4", "train.config.encoder={name: resnet, width: 8}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for any collection a recipe may need."""
    made = tmp_path / "music"
    made.mkdir()
    monkeypatch.setenv("MIRCLR_EMOTIFY", str(made))
    return made


def plan_of(name: str, folder: Path, *sets: str) -> Plan:
    read = read_recipe(shipped()[name])
    given = {"audio": str(folder)} if "audio" in read.spec.inputs and read.spec.inputs["audio"].required else {}
    return make_plan(read, folder.parent / "out", sets, STEPS, given)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(recipe, list(arguments))


@pytest.mark.parametrize("name", ["demo", "library", "emotify-genre"])
def test_the_promised_recipes_are_there(name: str) -> None:
    assert name in shipped()


@pytest.mark.parametrize("name", list(shipped()))
def test_a_shipped_recipe_has_no_mistakes_and_gives_its_reasons(name: str, folder: Path) -> None:
    plan = plan_of(name, folder)
    assert plan.recipe.spec.steps
    assert len(plan.recipe.spec.why) > 80
    assert all(spec.help for spec in plan.recipe.spec.inputs.values())
    assert any(step.why for step in plan.recipe.spec.steps)


@pytest.mark.parametrize("name", list(shipped()))
def test_every_path_a_shipped_recipe_reads_is_an_input_or_made_by_an_earlier_step(name: str, folder: Path) -> None:
    plan = plan_of(name, folder)
    made = [plan.out]
    for step in plan.steps:
        for option, path in step.reads.items():
            assert option in step.names or path == folder or made[0] in path.parents, (step.id, option)


def test_the_page_on_recipes_lists_every_recipe_and_every_step() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    listed = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted([*shipped(), "run", *STEPS])  # `run` is the head of the second table


@pytest.mark.parametrize("name", list(STEPS))
def test_every_step_says_what_it_writes(name: str) -> None:
    marks = marked(STEPS[name]).values()
    assert sum(mark.writes for mark in marks) == 1
    assert STEPS[name].__doc__
    assert set(marked(STEPS[name])) <= set(options_of(STEPS[name]).model_fields)


def test_a_part_that_cannot_be_built_is_a_mistake_of_the_recipe(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)minuts.*train\.config: Value error, .*resnett") as caught:
        plan_of("library", folder, "train.config.encoder.name=resnett", "minuts=3")
    assert len(caught.value.problems) == 2


def test_list_show_and_check_from_the_command_line(folder: Path) -> None:
    listed = json.loads(invoke("list", "--json").stdout)
    assert [row["name"] for row in listed] == sorted(shipped())
    assert next(row for row in listed if row["name"] == "demo")["needs"] == "nothing"
    assert invoke("show", "demo").stdout == shipped()["demo"].read_text()
    done = invoke("check", "library", "--audio", str(folder), "--set", "minutes=7", "--json")
    assert json.loads(done.stdout)[0]["with"]["config"]["budget"] == {"steps": None, "minutes": 7.0}
    wrong = invoke("check", "library", "--set", "minuts=7")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "--set minuts: neither an input nor a step. Did you mean 'minutes'?" in wrong.stderr
    assert "inputs.audio: needs a value" in wrong.stderr


def test_the_demo_ends_with_a_report_card_a_playlist_and_their_paths_and_is_not_done_twice(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    sets = [part for pair in (*TINY, *LIGHT) for part in ("--set", pair)]
    done = invoke("run", "demo", "-o", str(out), *sets)
    assert done.exit_code == 0, done.stderr
    assert "MFCC statistics\t" in done.stdout
    for path in (out / "card" / "report.json", out / "list.m3u8", out / "library.db", out / "run" / "encoder"):
        assert f"\t{path}\n" in done.stdout
        assert path.exists()
    assert (out / "list.m3u8").read_text().startswith("#EXTM3U")
    again = invoke("run", "demo", "-o", str(out), *sets)
    assert (again.exit_code, again.stdout) == (0, done.stdout)
    assert again.stderr.count("already done") == 5
    changed = invoke("run", "demo", "-o", str(out), *sets, "--set", "list.length=3")
    assert changed.stderr.count("already done") == 4
    assert (out / "list.m3u8").read_text().count("#EXTINF") == 3


def test_a_folder_with_every_kind_of_bad_file_goes_through_to_the_playlist_and_each_is_listed(tmp_path: Path) -> None:
    music, out = tmp_path / "own", tmp_path / "out"
    expected = make_bad_folder(music)
    sets = [part for pair in (*TINY[3:], *LIGHT) for part in ("--set", pair)]
    done = invoke("run", "demo", "-o", str(out), "--audio", str(music), *sets)
    assert done.exit_code == 3, done.stderr
    told = re.findall(r"^quarantined: (\w+): (.*?): ", done.stderr, re.MULTILINE)
    expected["odd/name with\nnewline.flac"] = "path_not_writable"  # good music that no playlist line can hold
    assert sorted(told) == sorted((reason, printable(str(music / name))) for name, reason in expected.items())
    assert not (out / "music").exists()
    card = json.loads((out / "card" / "report.json").read_text())
    rows = [row["extractor"] for row in card["rows"] if row["metric"] == "same_track_r1"]
    assert rows == ["chance", "MFCC statistics", "random-init (mean of 3 seeds)", "run"]
    listed = (out / "list.m3u8").read_bytes()
    assert listed.startswith(b"#EXTM3U")
    assert all(line.startswith((b"#", b"../own/")) for line in listed.splitlines())
    again = invoke("run", "demo", "-o", str(out), "--audio", str(music), *sets)
    assert (again.exit_code, again.stdout) == (3, done.stdout)
