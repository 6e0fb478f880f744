"""Running a plan: step after step, from the first that is unfinished or changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mirclr.errors import Interrupted
from mirclr.recipes.plan import Plan, Step
from mirclr.recipes.state import State, fingerprint
from mirclr.recipes.step import Outcome
from mirclr.reports import Progress, Work


@dataclass(frozen=True)
class Finished:
    """The end of a recipe: every step's outcome by id, and the ids of those that were already done."""

    outcomes: Mapping[str, Outcome]
    kept: tuple[str, ...]

    @property
    def quarantine(self) -> list[Mapping[str, str]]:
        """Every file left out by any step, each reason once: several steps read the same folder."""
        rows = {(row["path"], row["reason"]): row for o in self.outcomes.values() for row in o.quarantine}
        return list(rows.values())


def run(plan: Plan, fresh: bool = False) -> Work[Finished]:
    """Runs what is not done yet; `fresh` does every step again. A step that left files out does not stop the recipe.

    Raises what a step raises; the state says where to go on. Interrupted carries on saying so.
    """
    state = State(plan)
    if fresh:
        for step in plan.steps:
            state.forget(step)
    outcomes: dict[str, Outcome] = {}
    kept: list[str] = []
    for number, step in enumerate(plan.steps):
        yield Progress("recipe", number, len(plan.steps), step.id)
        parts = fingerprint(step)
        if state.is_done(step, parts):
            kept.append(step.id)
        else:
            with _environment(plan.environment):
                yield from _perform(step, parts, state)
        outcomes[step.id] = state.outcome(step)
    yield Progress("recipe", len(plan.steps), len(plan.steps))
    return Finished(outcomes, tuple(kept))


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """The variables for the length of a step; afterwards they are what they were."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _perform(step: Step, parts: Mapping[str, str], state: State) -> Work[None]:
    state.make_room(step, parts)
    state.begin(step, parts)
    for path in step.writes.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        outcome = yield from _under_its_name(step)
    except Interrupted as stop:
        raise Interrupted(f"{step.id}: {stop}\nThe same `mirclr recipe run` command goes on from here.") from stop
    state.finish(step, outcome)


def _under_its_name(step: Step) -> Work[Outcome]:
    """The step's own reports, each stage under the step's id: two steps may both scan."""
    with contextlib.closing(step.function(**step.arguments)) as work:
        while True:
            try:
                report = next(work)
            except StopIteration as stop:
                return stop.value
            yield replace(report, stage=f"{step.id}: {report.stage}")
