"""What a step is: one function whose signature is its options, with the paths it reads and writes marked as such.

A step kind is written as

    def index(folder: Grows, encoder: Reads, store: Writes) -> Work[Outcome]: ...

and everything else follows from the signature: the options a recipe may give, what must exist before the recipe
starts, what makes the step out of date, and what is thrown away when it has to be done again.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BeforeValidator, create_model

from mirclr.config import Strict
from mirclr.reports import Work


@dataclass(frozen=True)
class Mark:
    """What a step does with a path. `grows`: more of it is added to what is there, instead of starting over; an option
    that is no path may say so too."""

    reads: bool = False
    writes: bool = False
    grows: bool = False
    may_be_a_name: bool = False


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _all_absolute(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(_absolute(path) for path in paths)


def one_or_more(given: Any) -> Any:
    """A single text where a list is asked for is a list of one."""
    return (given,) if isinstance(given, str) else given


Reads = Annotated[Path, AfterValidator(_absolute), Mark(reads=True)]
ReadsAll = Annotated[
    tuple[Path, ...],
    BeforeValidator(one_or_more),
    AfterValidator(_all_absolute),
    Mark(reads=True),
]
Grows = Annotated[Path, AfterValidator(_absolute), Mark(reads=True, grows=True)]
Writes = Annotated[Path, AfterValidator(_absolute), Mark(writes=True)]
# An option that is no path, from which the step grows.
Grown = Mark(grows=True)
# A path where there is a file of that name, else a name that the step looks up.
Named = Annotated[str, Mark(reads=True, may_be_a_name=True)]


@dataclass(frozen=True)
class Outcome:
    """What a step leaves for people: paths by what they are, a table, sentences, and the files it had to leave out.

    Everything is plain data: a finished step tells the same when the recipe is run again.
    """

    made: Mapping[str, str]
    card: tuple[Mapping[str, Any], ...] = ()
    says: tuple[str, ...] = ()
    quarantine: tuple[Mapping[str, str], ...] = ()


StepFunction = Callable[..., Work[Outcome]]


@functools.cache
def options_of(function: StepFunction) -> type[Strict]:
    """The options of a step as a configuration model: one field per argument, with its type and default."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    return create_model(function.__name__, __base__=Strict, **fields)


def marked(function: StepFunction) -> dict[str, Mark]:
    """The arguments of a step that are paths, each with its mark."""
    fields = options_of(function).model_fields
    marks = {name: [m for m in field.metadata if isinstance(m, Mark)] for name, field in fields.items()}
    return {name: found[0] for name, found in marks.items() if found}
