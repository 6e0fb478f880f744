"""The README is true: its commands run as printed, its links lead somewhere, its make targets exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import mutagen
import pytest
from click.testing import CliRunner

from mirclr.audio.synth_catalogue import make_collection
from mirclr.cli.main import COMMANDS, main
from mirclr.recipes.plan import make_plan
from mirclr.recipes.recipe import read_recipe
from mirclr.recipes.steps import STEPS
from mirclr.reports import finish
from tests.support.house import FLOORS, ROOT

README = (ROOT / "README.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w*) ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(text: str) -> list[tuple[str, str, list[str]]]:
    """(language, mark, lines) of every fenced block."""
    return [(language, mark, body.splitlines()) for language, mark, body in FENCE.findall(text)]


def commands() -> list[str]:
    """Every line of the blocks marked `run`."""
    return [line for _, mark, lines in fences(README) if mark == "run" for line in lines]


WRITTEN = (
    "run/encoder/encoder.safetensors",
    "card/report.json",
    "card/report.html",
    "style-card/report.csv",
    "library.db",
    "list.m3u8",
    "vectors.npz",
    "vectors.png",
    "map.html",
    "mine/recipe.json",
    "mine/card/report.json",
    "mine/list.m3u8",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, also the current one, with a small ~/Music in it; one track is Miles Davis - So What."""
    finish(make_collection(tmp_path / "Music", artists=10, tracks=2, seconds=5, truth=True, workers=1))
    tags = mutagen.File(min((tmp_path / "Music").rglob("*.flac")))
    tags.update({"artist": "Miles Davis", "title": "So What"})
    tags.save()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_readme_run_as_printed_one_after_the_other(home: Path) -> None:
    for line in commands():
        program, *words = shlex.split(line)
        assert program == "mirclr"
        done = CliRunner().invoke(main, [str(Path(w).expanduser()) if w.startswith("~") else w for w in words])
        assert done.exit_code == 0, f"{line}\n{done.output}"
        assert done.stdout.strip(), line
    assert [name for name in WRITTEN if not (home / name).is_file()] == []


def test_every_command_of_the_program_is_shown() -> None:
    shown = {shlex.split(line)[1] for line in commands()}
    assert shown == set(COMMANDS)


def test_no_block_of_shell_is_left_unchecked() -> None:
    """What is not run here is a make target, and those are looked at below."""
    others = [line for language, mark, lines in fences(README) if language == "sh" and mark != "run" for line in lines]
    assert others
    assert all(line.startswith("make ") for line in others)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("make demo", 'recipe run demo -o "$MIRCLR_DEMO_OUT" --set minutes=3'),
        ("make demo AUDIO=~/Music", '--audio "$MIRCLR_DEMO_AUDIO"'),
        ("make demo MINUTES=20 OUT=elsewhere", "--set minutes=20"),
        ("make test", "python -m pytest -n 2"),
    ],
)
def test_the_make_targets_do_what_the_readme_says(line: str, expected: str, tmp_path: Path) -> None:
    told = subprocess.run(
        [*line.split(), "-n", f"VENV={tmp_path}/none"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert expected in told.stdout
    assert "-m venv" in told.stdout
    assert "-c constraints.txt" in told.stdout


def test_links_lead_somewhere_and_the_picture_shows_every_room() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    (picture,) = [" ".join(lines) for language, _, lines in fences(README) if language == "text"]
    for floor, rooms in FLOORS.items():
        assert all(re.search(rf"\b{room}\b", picture) for room in rooms), floor


def test_the_page_on_recipes_names_every_step_and_its_example_is_a_recipe(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    steps = page[page.index("| `run` |") :]  # the table before it lists recipes
    assert set(re.findall(r"^\| `([\w-]+)` \|", steps, re.MULTILINE)) == {*STEPS, "run"}
    (example,) = [lines for language, _, lines in fences(page) if language == "yaml"]
    (tmp_path / "example.yaml").write_text("\n".join(example))
    (tmp_path / "music").mkdir()
    given = {"audio": str(tmp_path / "music"), "root": "."}
    plan = make_plan(read_recipe(tmp_path / "example.yaml"), tmp_path / "out", (), STEPS, given)
    assert [step.id for step in plan.steps] == ["train", "index"]
