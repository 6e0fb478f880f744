"""A recipe goes on at the first unfinished or changed step, and never touches what it did not make."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mirclr import reports
from mirclr.errors import ConfigError, Interrupted, TrainingError, UsageError
from mirclr.recipes.plan import make_plan
from mirclr.recipes.recipe import read_recipe
from mirclr.recipes.run import Finished, run
from mirclr.recipes.state import identity
from tests.support.fake_steps import FAKES, RUNS

TEXT = """
title: Two steps
why: To see them run
inputs:
  key: {help: a file, default: "${out}/made"}
steps:
  - {run: make, with: {output: "${out}/made"}}
  - {run: copy, with: {source: "${out}/made", output: "${out}/copy.txt"}}
"""
GROWING = TEXT + '  - {run: collect, with: {source: "${out}/made", key: "${key}", output: "${out}/lines"}}\n'


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    RUNS.clear()


class Kitchen:
    """One recipe and one output folder; `cook` runs it and returns the steps that really ran."""

    def __init__(self, folder: Path, text: str) -> None:
        self.out = folder / "out"
        self.file = folder / "meal.yaml"
        self.file.write_text(text)
        self.finished: Finished | None = None
        self.reports: list[reports.Progress] = []

    def cook(self, *sets: str, fresh: bool = False) -> list[str]:
        RUNS.clear()
        plan = make_plan(read_recipe(self.file), self.out, sets, FAKES)
        self.finished = reports.finish(run(plan, fresh), self.reports.append)
        return list(RUNS)


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path, TEXT)


def test_the_second_run_does_nothing_and_tells_the_same(kitchen: Kitchen) -> None:
    assert kitchen.cook("make.bad=[a.mp3]") == ["make", "copy"]
    first = kitchen.finished
    assert kitchen.cook("make.bad=[a.mp3]") == []
    assert first is not None
    assert kitchen.finished is not None
    assert (kitchen.finished.outcomes, kitchen.finished.quarantine) == (first.outcomes, first.quarantine)
    assert kitchen.finished.kept == ("make", "copy")
    assert (kitchen.out / "copy.txt").read_text() == "music" * 3


def test_reports_carry_the_step_they_come_from(kitchen: Kitchen) -> None:
    kitchen.cook()
    stages = [report.stage for report in kitchen.reports]
    assert stages == ["recipe", "make: writing", "recipe", "copy: copying", "recipe"]
    assert (kitchen.reports[-1].done, kitchen.reports[-1].total) == (2, 2)


def test_a_changed_step_is_done_again_and_so_is_what_reads_it(kitchen: Kitchen) -> None:
    kitchen.cook()
    assert kitchen.cook("make.text=noise") == ["make", "copy"]
    assert (kitchen.out / "copy.txt").read_text() == "noise" * 3


def test_a_step_that_reads_nothing_changed_is_not_done_again(kitchen: Kitchen) -> None:
    kitchen.cook()
    assert kitchen.cook("copy.fail=''") == []
    assert kitchen.cook("copy.fail=never") == ["copy"]


def test_the_outputs_of_a_changed_step_are_removed_first(kitchen: Kitchen) -> None:
    kitchen.cook()
    (kitchen.out / "made" / "stale.txt").write_text("stale")
    kitchen.cook("make.sizes.width=1")
    assert sorted(os.listdir(kitchen.out / "made")) == ["a.txt"]


def test_a_failed_step_is_where_the_next_run_begins(kitchen: Kitchen) -> None:
    with pytest.raises(TrainingError, match="told to fail"):
        kitchen.cook("copy.fail=error")
    assert kitchen.cook() == ["copy"]
    assert (kitchen.out / "copy.txt").read_text() == "music" * 3


def test_an_interrupted_step_keeps_what_it_saved_and_says_how_to_go_on(kitchen: Kitchen) -> None:
    with pytest.raises(Interrupted, match=r"copy: saved at step 3\nThe same `mirclr recipe run` command goes on"):
        kitchen.cook("copy.fail=stop")
    assert (kitchen.out / "copy.txt").read_text() == "half"
    with pytest.raises(Interrupted):
        kitchen.cook("copy.fail=stop")
    assert RUNS == ["copy"]


def test_a_deleted_or_touched_output_is_made_again(kitchen: Kitchen) -> None:
    kitchen.cook()
    (kitchen.out / "copy.txt").unlink()
    assert kitchen.cook() == ["copy"]
    (kitchen.out / "made" / "b.txt").write_text("more")
    assert kitchen.cook() == ["copy"]
    assert (kitchen.out / "copy.txt").read_text() == "music" * 3 + "more"


def test_fresh_does_everything_again(kitchen: Kitchen) -> None:
    kitchen.cook()
    assert kitchen.cook(fresh=True) == ["make", "copy"]


def test_a_step_that_grows_keeps_its_output_when_only_that_input_grew(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path, GROWING)
    key = tmp_path / "key"
    key.write_text("1")
    kitchen.cook(f"key={key}")
    (kitchen.out / "made" / "b.txt").write_text("more")
    assert kitchen.cook(f"key={key}") == ["copy", "collect"]
    assert (kitchen.out / "lines").read_text() == "1 key\n2 key\n"
    key.write_text("another key")
    assert kitchen.cook(f"key={key}") == ["collect"]
    assert (kitchen.out / "lines").read_text() == "2 key\n"


def test_files_left_out_do_not_stop_the_recipe_and_are_listed_once(tmp_path: Path) -> None:
    text = TEXT + '  - {id: again, run: make, with: {output: "${out}/again", bad: [a.mp3, c.mp3]}}\n'
    kitchen = Kitchen(tmp_path, text)
    assert kitchen.cook("make.bad=[a.mp3, b.mp3]") == ["make", "copy", "make"]
    assert kitchen.finished is not None
    assert [row["path"] for row in kitchen.finished.quarantine] == ["a.mp3", "b.mp3", "c.mp3"]


def test_what_the_recipe_did_not_make_is_never_removed(kitchen: Kitchen) -> None:
    (kitchen.out / "made").mkdir(parents=True)
    (kitchen.out / "made" / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"made is in the way and was not made by this recipe"):
        kitchen.cook()
    with pytest.raises(UsageError, match=r"in the way"):
        kitchen.cook(fresh=True)
    assert (kitchen.out / "made" / "precious.txt").read_text() == "mine"


def test_an_input_that_stands_for_a_variable_is_that_variable_while_a_step_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRCLR_TEST_ROOT", "before")
    text = (
        "title: t\nwhy: w\ninputs: {root: {help: h, env: MIRCLR_TEST_ROOT}}\n"
        'steps: [{run: judge, with: {dataset: name, encoder: [], output: "${out}/a"}}]'
    )
    kitchen = Kitchen(tmp_path, text)
    kitchen.cook("root=given")
    assert (kitchen.out / "a").read_text() == "name given"
    assert os.environ["MIRCLR_TEST_ROOT"] == "before"


def test_every_file_of_a_list_makes_a_step_out_of_date(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("1")
    encoders = f"[{tmp_path}/one, {tmp_path}/two]"
    text = f'{{run: judge, with: {{dataset: name, encoder: {encoders}, output: "${{out}}/a"}}}}'
    text = f"title: t\nwhy: w\nsteps: [{text}]"
    kitchen = Kitchen(tmp_path, text)
    assert (kitchen.cook(), kitchen.cook()) == (["judge"], [])
    (tmp_path / "two").write_text("222")
    assert kitchen.cook() == ["judge"]


def test_what_a_teacher_made_anew_has_taught_is_learned_again(tmp_path: Path) -> None:
    taught = '{run: train, with: {config: {labels: {teacher: "${out}/made"}}, output: "${out}/student"}}'
    copied = '{run: copy, with: {source: "${out}/made", output: "${out}/copy.txt"}}'
    kitchen = Kitchen(tmp_path, TEXT.replace(copied, taught))
    assert (kitchen.cook(), kitchen.cook()) == (["make", "train"], [])
    assert kitchen.cook("make.text=other") == ["make", "train"]
    assert kitchen.cook("make.text=other", "train.config.seed=1") == ["train"]


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    kitchen = Kitchen(tmp_path, TEXT)
    kitchen.out.write_text("a file")
    with pytest.raises(UsageError, match=r"out: cannot be the output folder: File exists; choose another with -o"):
        kitchen.cook()


def test_a_folder_of_another_recipe_is_refused(kitchen: Kitchen) -> None:
    kitchen.cook()
    kitchen.file = kitchen.file.rename(kitchen.file.with_name("other.yaml"))
    with pytest.raises(UsageError, match=r"holds the recipe 'meal', not 'other'"):
        kitchen.cook()


SAVED = '{"format": 1, "recipe": "meal"'


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", SAVED + "}", SAVED + ', "steps": 3}', SAVED + ', "steps": {"a": 1}}']
)
def test_a_damaged_state_is_refused_with_its_name(kitchen: Kitchen, damage: str) -> None:
    kitchen.cook()
    (kitchen.out / "recipe.json").write_text(damage)
    with pytest.raises(ConfigError, match=r"recipe.json: 1 mistake\(s\)\n  damaged"):
        kitchen.cook()


def test_a_state_of_another_version_is_refused(kitchen: Kitchen) -> None:
    kitchen.cook()
    state = json.loads((kitchen.out / "recipe.json").read_text())
    (kitchen.out / "recipe.json").write_text(json.dumps({**state, "format": 99}))
    with pytest.raises(ConfigError, match="written by another version"):
        kitchen.cook()


def test_closing_the_work_closes_the_step(kitchen: Kitchen) -> None:
    work = run(make_plan(read_recipe(kitchen.file), kitchen.out, (), FAKES))
    assert [next(work).stage for _ in range(2)] == ["recipe", "make: writing"]
    work.close()
    assert kitchen.cook() == ["make", "copy"]


def test_the_identity_of_a_folder_sees_names_sizes_and_times_and_survives_a_loop(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    (folder / "deep").mkdir(parents=True)
    song = folder / "deep" / "a.mp3"
    song.write_text("one")
    (folder / "loop").symlink_to(folder)
    seen = [identity(folder), identity(folder)]
    song.write_text("three")
    seen.append(identity(folder))
    os.utime(song, ns=(1, 1))
    seen.append(identity(folder))
    song.rename(folder / "deep" / "b.mp3")
    seen.append(identity(folder))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 4
    assert identity(tmp_path / "nothing") == "absent"
