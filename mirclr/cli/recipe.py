"""`mirclr recipe list|show|check|run`: the steps you could have typed, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirclr.cli.face import command, json_option, list_quarantine, say, show_json, show_table, show_work

if TYPE_CHECKING:
    from mirclr.recipes.plan import Plan
    from mirclr.recipes.run import Finished
    from mirclr.recipes.step import Outcome

recipe_argument = click.argument("name_or_file")
set_option = click.option("--set", "sets", multiple=True, metavar="A.B=C", help="An input, or an option of a step.")
audio_option = click.option("--audio", metavar="FOLDER", help="Your folder of music: short for --set audio=FOLDER.")
out_option = click.option(
    "-o", "out", type=click.Path(path_type=Path), help="Output folder, where a stopped run goes on. [runs/NAME]"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def recipe() -> None:
    """List, show, check and run recipes."""


@recipe.command("list")
@json_option
@command
def list_recipes(as_json: bool) -> None:
    """The recipes that come with mirclr."""
    from mirclr.recipes.recipe import read_recipe
    from mirclr.recipes.shelf import shipped

    found = [read_recipe(path) for path in shipped().values()]
    rows = [{"name": r.name, "title": r.spec.title, "needs": "; ".join(r.spec.needs) or "nothing"} for r in found]
    if as_json:
        show_json(rows)
    else:
        show_table(rows, ("name", "title", "needs"))


@recipe.command()
@recipe_argument
@command
def show(name_or_file: str) -> None:
    """The recipe as it is written: read it, copy it, change it."""
    from mirclr.recipes.shelf import find

    click.echo(find(name_or_file).read_text("utf-8"), nl=False)


@recipe.command()
@recipe_argument
@out_option
@set_option
@audio_option
@json_option
@command
def check(name_or_file: str, out: Path | None, sets: tuple[str, ...], audio: str | None, as_json: bool) -> None:
    """Every mistake of a recipe at once; nothing is run. Prints the steps with every option decided."""
    plan = _plan(name_or_file, out, sets, audio)
    rows = [{"id": s.id, "run": s.run, "with": s.options.model_dump(mode="json")} for s in plan.steps]
    if as_json:
        show_json(rows)
    else:
        show_table(rows, ("id", "run", "with"))
    say(f"{plan.recipe.name}: {len(rows)} step(s), no mistakes")


@recipe.command()
@recipe_argument
@out_option
@set_option
@audio_option
@click.option("--fresh", is_flag=True, help="Do every step again, finished or not.")
@json_option
@command
def run(
    *, name_or_file: str, out: Path | None, sets: tuple[str, ...], audio: str | None, fresh: bool, as_json: bool
) -> int:
    """Run a recipe from its first unfinished or changed step.

    Exit code 3: done, but files were left out of some step; they are listed with the reasons.
    """
    from mirclr.recipes.run import run as run_plan

    finished = show_work(run_plan(_plan(name_or_file, out, sets, audio), fresh))
    for step in finished.kept:
        say(f"{step}: already done")
    if as_json:
        show_json(_as_data(finished))
    else:
        for step, outcome in finished.outcomes.items():
            _show_outcome(step, outcome)
    return list_quarantine(finished.quarantine)


def _plan(name_or_file: str, out: Path | None, sets: tuple[str, ...], audio: str | None) -> Plan:
    from mirclr.recipes.plan import make_plan
    from mirclr.recipes.recipe import read_recipe
    from mirclr.recipes.shelf import find
    from mirclr.recipes.steps import STEPS

    read = read_recipe(find(name_or_file))
    given = {} if audio is None else {"audio": audio}
    return make_plan(read, out or Path("runs", read.name), sets, STEPS, given)


def _as_data(finished: Finished) -> dict[str, Mapping[str, object]]:
    return {step: vars(outcome) for step, outcome in finished.outcomes.items()}


def _show_outcome(step: str, outcome: Outcome) -> None:
    """The table of a step, its sentences, and where its results lie."""
    if outcome.card:
        show_table(outcome.card, tuple(outcome.card[0]), title=step)
    for sentence in outcome.says:
        say(sentence)
    for what, path in outcome.made.items():
        click.echo(f"{step}\t{what}\t{path}")
