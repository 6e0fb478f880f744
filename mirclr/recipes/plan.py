"""From a recipe to a plan: variables filled in, every step's options validated, every path accounted for.

Nothing has run when a mistake is found, and all mistakes are found at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirclr.config import PretrainConfig, Strict, merged, nearest, parse_set
from mirclr.errors import ConfigError
from mirclr.recipes.recipe import InputSpec, Recipe, StepSpec, read_part
from mirclr.recipes.step import StepFunction, marked, options_of

VARIABLE = re.compile(r"\$\{([^}]*)\}")
MISSING = object()  # stands for an input without a value: one mistake, not one in every step that uses it


@dataclass(frozen=True)
class Step:
    """One step ready to run: its function, validated options, and the paths among them by option.

    `names` are options among `reads`, `grows` among these or among options that are no paths: see `Mark`.
    """

    id: str
    run: str
    function: StepFunction
    options: Strict
    reads: Mapping[str, Path]
    writes: Mapping[str, Path]
    grows: frozenset[str]
    names: frozenset[str]

    @property
    def arguments(self) -> dict[str, Any]:
        """What the function is called with."""
        return {name: getattr(self.options, name) for name in type(self.options).model_fields}


@dataclass(frozen=True)
class Plan:
    """A recipe with everything decided; `out` is the folder it writes to.

    `environment`: for every input that stands for an environment variable, its value by the variable's name.
    """

    recipe: Recipe
    out: Path
    steps: tuple[Step, ...]
    environment: Mapping[str, str]


def make_plan(
    recipe: Recipe,
    out: Path,
    sets: Sequence[str],
    kinds: Mapping[str, StepFunction],
    inputs: Mapping[str, Any] | None = None,
) -> Plan:
    """`recipe` with `sets` (`input=value`, `step.option=value`, read as YAML) and `inputs` (as they are) on top.

    It writes to `out`.

    Raises ConfigError with every mistake at once: unknown steps, options, variables and inputs, wrong values, inputs
    without a value, files that neither exist nor are made by an earlier step.
    """
    out = out.expanduser().absolute()
    problems: list[str] = []
    over = merged(parse_set(sets), inputs or {})
    problems += _unknown_sets(recipe, over)
    given = {name: _given(name, spec, over, problems) for name, spec in recipe.spec.inputs.items()}
    values = _values(recipe, given, out, problems)
    kept = [spec for spec in recipe.spec.steps if _kept(spec, given, problems)]
    tried = [_step(spec, over.get(spec.id, {}), values, kinds, problems) for spec in kept]
    steps = tuple(step for step in tried if step is not None)
    problems += _misplaced(steps, out, complete=len(steps) == len(kept))
    if problems:
        raise ConfigError(recipe.source, problems)
    environment = {
        s.env: str(values[n]) for n, s in recipe.spec.inputs.items() if s.env and values[n] not in (None, MISSING)
    }
    return Plan(recipe, out, steps, environment)


def _unknown_sets(recipe: Recipe, over: Mapping[str, Any]) -> list[str]:
    known = {*recipe.spec.inputs, *(step.id for step in recipe.spec.steps)}
    unknown = sorted(set(over) - known)
    return [f"--set {name}: neither an input nor a step.{nearest(name, known)}" for name in unknown]


def _given(name: str, spec: InputSpec, over: Mapping[str, Any], problems: list[str]) -> tuple[Any, bool]:
    """(value, whether somebody gave one): --set first, then the environment."""
    if name in over:
        return over[name], over[name] is not None
    if spec.env and os.environ.get(spec.env):
        return os.environ[spec.env], True
    if spec.required:
        how = f" or set the variable {spec.env}" if spec.env else ""
        problems.append(f"inputs.{name}: needs a value ({spec.help}): give --set {name}=...{how}")
        return MISSING, False
    return spec.default, False


def _values(recipe: Recipe, given: Mapping[str, tuple[Any, bool]], out: Path, problems: list[str]) -> dict[str, Any]:
    """Every variable's value; only a default may name the output folder: what a person gave is taken as it is."""
    values: dict[str, Any] = {"out": str(out)}
    for name, (value, by_hand) in given.items():
        values[name] = value if by_hand else fill(value, {"out": str(out)}, f"inputs.{name}", problems)
    return values


def fill(value: Any, values: Mapping[str, Any], place: str, problems: list[str]) -> Any:
    """`value` with every `${name}` replaced. A text that is one variable and nothing else keeps the value's type."""
    if isinstance(value, Mapping):
        return {key: fill(v, values, f"{place}.{key}", problems) for key, v in value.items()}
    if isinstance(value, list):
        return [fill(v, values, f"{place}.{n}", problems) for n, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in VARIABLE.findall(value):
        if name not in values:
            problems.append(f"{place}: no input {name!r}.{nearest(name, values)}")
            return value
    if any(values[name] is MISSING for name in VARIABLE.findall(value)):
        return MISSING
    whole = VARIABLE.fullmatch(value)
    return values[whole[1]] if whole else VARIABLE.sub(lambda match: str(values[match[1]]), value)


def _kept(spec: StepSpec, given: Mapping[str, tuple[Any, bool]], problems: list[str]) -> bool:
    for key, name in (("when", spec.when), ("unless", spec.unless)):
        if name is not None and name not in given:
            problems.append(f"{spec.id}.{key}: no input {name!r}.{nearest(name, given)}")
            return False
    return (spec.when is None or given[spec.when][1]) and (spec.unless is None or not given[spec.unless][1])


def _step(
    spec: StepSpec, over: Any, values: Mapping[str, Any], kinds: Mapping[str, StepFunction], problems: list[str]
) -> Step | None:
    if spec.run not in kinds:
        problems.append(f"{spec.id}.run: no step {spec.run!r}.{nearest(spec.run, kinds)}")
        return None
    if not isinstance(over, Mapping):
        problems.append(f"--set {spec.id}: is a step: write {spec.id}.option=value")
        return None
    before = len(problems)
    filled = merged(fill(spec.options, values, spec.id, problems), over)
    function = kinds[spec.run]
    ready = len(problems) == before and not _lacks_a_value(filled)
    options = read_part(options_of(function), filled, spec.id, problems) if ready else None
    return None if options is None else _with_paths(spec, function, options)


def _lacks_a_value(filled: Any) -> bool:
    if isinstance(filled, Mapping):
        return any(_lacks_a_value(value) for value in filled.values())
    return filled is MISSING or (isinstance(filled, list) and any(_lacks_a_value(value) for value in filled))


def _with_paths(spec: StepSpec, function: StepFunction, options: Strict) -> Step:
    marks = marked(function)
    files = [name for name, mark in marks.items() if mark.reads or mark.writes]
    paths = {(name, place): path for name in files for place, path in _paths_of(name, getattr(options, name))}
    reads = {place: path for (name, place), path in paths.items() if marks[name].reads}
    writes = {place: path for (name, place), path in paths.items() if marks[name].writes}
    plain = {(name, name) for name in marks if name not in files}
    grows = frozenset(place for name, place in {*paths, *plain} if marks[name].grows)
    names = frozenset(place for name, place in paths if marks[name].may_be_a_name)
    return Step(spec.id, spec.run, function, options, reads, writes, grows, names)


def _paths_of(name: str, value: Any) -> Iterator[tuple[str, Path]]:
    """(place, path) of an option: `encoder`, `encoder.0` and on when it is a list, `config.start.source` and such."""
    if isinstance(value, PretrainConfig):
        yield from ((f"{name}.{key}", path) for key, path in _files_of(value))
        return
    if isinstance(value, tuple):
        yield from ((f"{name}.{n}", path) for n, path in enumerate(value))
    else:
        yield name, Path(value).expanduser().absolute()


def _files_of(config: PretrainConfig) -> Iterator[tuple[str, Path]]:
    """The files that a configuration begins with and is told by: what has a separator, or is there. A name has none."""
    start, labels = config.start, config.labels
    given = {"start.source": start.source, "start.key_map": start.key_map,
             "labels.dataset": labels.dataset, "labels.teacher": labels.teacher}  # fmt: skip
    for key, value in given.items():
        if value is not None and (os.sep in str(value) or Path(value).exists()):
            yield key, Path(value).expanduser().absolute()


def within(path: Path, folders: Iterable[Path]) -> bool:
    """Whether `path` is one of `folders` or lies inside one."""
    return any(path == folder or folder in path.parents for folder in folders)


def _misplaced(steps: Sequence[Step], out: Path, complete: bool) -> Iterator[str]:
    """Files that will not be there when their step begins, and outputs outside the recipe's own folder.

    Not `complete`: a step with mistakes of its own is absent, and what it would have made is not held against others.
    """
    made: list[Path] = []
    told: set[Path] = set()
    for step in steps:
        for name, path in step.reads.items():
            if path in told or within(path, made):
                continue
            told.add(path)
            if not path.exists() and name not in step.names and (complete or not within(path, [out])):
                yield f"{step.id}.{name}: {path}: no such file or folder, and no earlier step makes it"
            if path.exists() and within(out, [path]):
                yield f"{step.id}.{name}: {path}: the output folder {out} lies inside it: choose another with -o"
        for name, path in step.writes.items():
            if ".." in path.parts or path == out or not within(path, [out]):
                yield f"{step.id}.{name}: {path}: a recipe writes only inside its output folder {out}"
            if within(path, made):
                yield f"{step.id}.{name}: {path}: an earlier step writes there"
        made += step.writes.values()
