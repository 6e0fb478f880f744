"""A recipe is checked whole before anything starts: every mistake at once, each with its place and the nearest word."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirclr.errors import ConfigError, UsageError
from mirclr.recipes.plan import Plan, make_plan
from mirclr.recipes.recipe import read_recipe
from mirclr.recipes.shelf import find
from tests.support.fake_steps import FAKES, RUNS

HEAD = "title: A title\nwhy: A reason\n"
GOOD = (
    HEAD
    + """
inputs:
  audio: {help: a folder, default: "${out}/made"}
  width: {help: a number, default: 2}
steps:
  - {id: music, run: make, unless: audio, with: {output: "${audio}", sizes: {width: "${width}"}}}
  - {run: copy, with: {source: "${audio}", output: "${out}/a-${width}.txt"}}
"""
)


def plan_of(tmp_path: Path, text: str, *sets: str, **inputs: object) -> Plan:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return make_plan(read_recipe(file), tmp_path / "out", sets, FAKES, inputs)


def mistakes(tmp_path: Path, text: str, *sets: str, **inputs: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan_of(tmp_path, text, *sets, **inputs)
    return caught.value.problems


def test_variables_keep_their_type_when_alone_and_become_text_inside_text(tmp_path: Path) -> None:
    music, copy = plan_of(tmp_path, GOOD).steps
    assert music.arguments["sizes"].width == 2
    assert music.arguments["output"] == tmp_path / "out" / "made"
    assert copy.arguments["output"] == tmp_path / "out" / "a-2.txt"
    assert (music.id, copy.id) == ("music", "copy")


def test_a_given_input_replaces_the_default_and_drops_the_step_that_would_make_it(tmp_path: Path) -> None:
    folder = tmp_path / "null"  # read as YAML this would be no folder at all
    folder.mkdir()
    (copy,) = plan_of(tmp_path, GOOD, "width=7", audio=str(folder)).steps
    assert copy.reads == {"source": folder}
    assert copy.writes["output"].name == "a-7.txt"


def test_what_a_person_gives_is_never_read_as_a_variable(tmp_path: Path) -> None:
    odd = tmp_path / "${width}"
    odd.mkdir()
    assert plan_of(tmp_path, GOOD, audio=str(odd)).steps[0].reads["source"] == odd


def test_when_keeps_a_step_only_if_the_input_was_given(tmp_path: Path) -> None:
    text = GOOD.replace("unless: audio", "when: width").replace('"${audio}", output', '"${out}/made", output')
    assert [s.id for s in plan_of(tmp_path, text, "width=1").steps] == ["music", "copy"]
    assert "copy.source" in mistakes(tmp_path, text)[0]


def test_an_input_comes_from_the_environment_unless_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD.replace("default: 2", "env: MIRCLR_TEST_WIDTH, required: true")
    assert mistakes(tmp_path, text)[0].startswith("inputs.width: needs a value (a number): give --set width=... or set")
    monkeypatch.setenv("MIRCLR_TEST_WIDTH", "5")
    assert plan_of(tmp_path, text).steps[0].arguments["sizes"].width == 5
    assert plan_of(tmp_path, text, "width=6").steps[0].arguments["sizes"].width == 6


def test_set_reaches_into_a_step_and_keeps_its_other_options(tmp_path: Path) -> None:
    options = plan_of(tmp_path, GOOD, "music.sizes.budget.steps=4", "music.text=la").steps[0].arguments
    assert (options["sizes"].budget.steps, options["sizes"].width, options["text"]) == (4, 2, "la")


def test_every_mistake_is_reported_at_once_and_nothing_runs(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
inputs:
  audio: {help: a folder, default: music}
steps:
  - {id: a, run: maek, with: {output: "${out}/a"}}
  - {id: b, run: make, with: {outptu: "${out}/b", sizes: {widht: 1, budget: {steps: 0}}}}
  - {id: c, run: copy, with: {source: "${aduio}", output: "${out}/c"}}
  - {id: d, run: copy, with: {source: /nowhere/at/all, output: "${out}/d"}}
  - {id: e, run: copy, unless: adio, with: {source: "${audio}", output: "${out}/e"}}
  - {id: f, run: make, with: {output: /tmp/elsewhere}}
  - {id: g, run: make, with: {output: "${out}"}}
"""
    )
    found = "\n".join(mistakes(tmp_path, text, "z.text=1", "f=2"))
    for expected in (
        "--set z: neither an input nor a step.",
        "a.run: no step 'maek'. Did you mean 'make'?",
        "b.outptu: unknown key. Did you mean 'output'?",
        "b.output: Field required",
        "b.sizes.widht: unknown key. Did you mean 'width'?",
        "b.sizes.budget.steps: Input should be greater than or equal to 1 (got 0)",
        "c.source: no input 'aduio'. Did you mean 'audio'?",
        "d.source: /nowhere/at/all: no such file or folder, and no earlier step makes it",
        "e.unless: no input 'adio'. Did you mean 'audio'?",
        "--set f: is a step: write f.option=value",
        f"g.output: {tmp_path}/out: a recipe writes only inside its output folder",
    ):
        assert expected in found
    assert RUNS == []


def test_mistakes_of_form_are_reported_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    text = "titel: x\nsteps:\n  - {run: make, wiht: {}}\n  - {id: a}\ninputs: {x: {hlep: y}}\n"
    found = "\n".join(mistakes(tmp_path, text))
    for expected in (
        "titel: unknown key. Did you mean 'title'?",
        "why: Field required",
        "steps.0.wiht: unknown key. Did you mean 'with'?",
        "steps.1.run: Field required",
        "inputs.x.hlep: unknown key. Did you mean 'help'?",
    ):
        assert expected in found


TO_A = 'run: make, with: {output: "${out}/a"}'


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (f"[{{{TO_A}}}, {{{TO_A}}}]", "two steps are called 'make'"),
        (f"[{{id: w, {TO_A}}}]", "'w' is an input too"),
        (f"[{{id: a.b, {TO_A}}}]", "'a.b': names are letters"),
        (f"[{{id: out, {TO_A}}}]", "'out' is the output folder"),
        (f"[{{{TO_A}}}, {{id: b, {TO_A}}}]", "an earlier step writes there"),
        ('[{run: make, with: {output: "${out}/../../a"}}]', "writes only inside its output folder"),
        ("[]", "steps: "),
    ],
)
def test_steps_that_cannot_stand_together(tmp_path: Path, steps: str, expected: str) -> None:
    assert expected in "\n".join(mistakes(tmp_path, HEAD + "inputs: {w: {help: x}}\nsteps: " + steps))


def test_an_output_folder_inside_the_music_would_be_read_as_music(tmp_path: Path) -> None:
    assert "the output folder" in mistakes(tmp_path, GOOD, audio=str(tmp_path))[0]


def test_a_later_step_may_read_inside_what_an_earlier_one_writes(tmp_path: Path) -> None:
    text = GOOD.replace('source: "${audio}"', 'source: "${audio}/deep/inside"')
    assert plan_of(tmp_path, text).steps[1].reads["source"].name == "inside"


def test_a_named_option_may_be_a_name_and_every_file_of_a_list_is_looked_for(tmp_path: Path) -> None:
    text = HEAD + 'steps: [{run: judge, with: {dataset: gtzan, encoder: [a, "B"], output: "${out}/c"}}]'
    text = text.replace("B", str(tmp_path / "b"))
    found = mistakes(tmp_path, text)
    assert [line.split(":")[0] for line in found] == ["judge.encoder.0", "judge.encoder.1"]
    (tmp_path / "b").write_text("x")
    text = text.replace("[a, ", "[")
    step = plan_of(tmp_path, text).steps[0]
    assert step.arguments["dataset"] == "gtzan"
    assert set(step.reads) == {"dataset", "encoder.0"}


def test_the_files_of_a_configuration_are_looked_for_and_its_names_are_not(tmp_path: Path) -> None:
    told = "labels: {dataset: gtzan, teacher: TEACHER}, start: {source: START}"
    text = HEAD + f'steps: [{{run: train, with: {{config: {{{told}}}, output: "${{out}}/run"}}}}]'
    missing = text.replace("TEACHER", f"{tmp_path}/a").replace("START", f"{tmp_path}/b")
    found = mistakes(tmp_path, missing)
    assert [line.split(":")[0] for line in found] == ["train.config.start.source", "train.config.labels.teacher"]
    (tmp_path / "b").write_text("x")
    step = plan_of(tmp_path, text.replace("TEACHER", "handcrafted").replace("START", f"{tmp_path}/b")).steps[0]
    assert step.reads == {"config.start.source": tmp_path / "b"}


def test_an_input_without_a_value_is_one_mistake_and_not_one_in_every_step(tmp_path: Path) -> None:
    text = GOOD.replace('default: "${out}/made"', "required: true").replace("unless: audio, ", "")
    assert mistakes(tmp_path, text) == ["inputs.audio: needs a value (a folder): give --set audio=..."]


def test_a_folder_that_is_missing_is_told_once(tmp_path: Path) -> None:
    text = GOOD + '  - {id: again, run: copy, with: {source: "${audio}", output: "${out}/again"}}\n'
    assert len(mistakes(tmp_path, text, audio=str(tmp_path / "nowhere"))) == 1


def test_a_single_text_is_a_list_of_one(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x")
    text = HEAD + f'steps: [{{run: judge, with: {{dataset: d, encoder: {tmp_path}/b, output: "${{out}}/c"}}}}]'
    assert plan_of(tmp_path, text).steps[0].arguments["encoder"] == (tmp_path / "b",)


def test_a_recipe_is_found_by_its_file_and_a_wrong_name_gets_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD)
    assert find(str(tmp_path / "own.yaml")) == tmp_path / "own.yaml"
    with pytest.raises(UsageError, match=r"no recipe and no file 'dmeo'"):
        find("dmeo")
