"""A recipe file as written: title, why, needs, inputs, steps. Read strictly; what it asks for is checked in `plan`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from mirclr.config import Model, Strict, problems_of, read_yaml, validate
from mirclr.errors import ConfigError

NAME = re.compile(r"[A-Za-z][\w-]*")


class InputSpec(Strict):
    """A value the recipe can be given: by `--set name=value`, by the environment variable `env`, or else its default.

    While the recipe runs the variable has the input's value, so that datasets.yaml, which may name it, agrees.
    """

    help: str
    default: Any = None
    env: str | None = None
    required: bool = False


class StepSpec(Strict):
    """One step as written. `when` and `unless` name an input: the step is kept only if it was (not) given."""

    run: str
    id: str = ""
    why: str = ""
    options: dict[str, Any] = Field({}, alias="with")
    when: str | None = None
    unless: str | None = None

    @field_validator("options", mode="before")
    @classmethod
    def _nothing_is_no_options(cls, value: Any) -> Any:
        return {} if value is None else value


class RecipeSpec(Strict):
    """The whole file."""

    title: str
    why: str
    needs: tuple[str, ...] = ()
    inputs: dict[str, InputSpec] = Field({})
    steps: tuple[StepSpec, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Recipe:
    """A recipe file, read: `name` is the file's name without its ending; every step has an id."""

    name: str
    source: str
    spec: RecipeSpec


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file. Raises ConfigError with every mistake of its form at once."""
    spec = validate(RecipeSpec, read_yaml(path), str(path))
    steps = tuple(step.model_copy(update={"id": step.id or step.run}) for step in spec.steps)
    problems = list(_bad_names([step.id for step in steps], list(spec.inputs)))
    if problems:
        raise ConfigError(str(path), problems)
    return Recipe(path.stem, str(path), spec.model_copy(update={"steps": steps}))


def _bad_names(ids: list[str], inputs: list[str]) -> Iterator[str]:
    """Ids and inputs share one namespace, that of `--set`."""
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"steps: two steps are called {name!r}: give each its own id"
    for name in sorted(set(ids) & set(inputs)):
        yield f"steps: {name!r} is an input too: give the step another id"
    for name in [*ids, *inputs]:
        if not NAME.fullmatch(name):
            yield f"{name!r}: names are letters, digits, '-' and '_', beginning with a letter"
    if "out" in {*ids, *inputs}:
        yield "'out' is the output folder, given by -o: give the input or step another name"


def read_part(model: type[Model], data: Any, place: str, problems: list[str]) -> Model | None:
    """`data` as a `model`, or None with its mistakes added to `problems`, each under its `place`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems += [f"{place}.{line}" for line in problems_of(model, error)]
        return None
