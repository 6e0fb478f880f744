"""What a command was told, in layers: a configuration file, then --set, then the command's own options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mirclr.config import PretrainConfig, Strict, merged, parse_set, read_yaml, validate

Model = TypeVar("Model", bound=Strict)


def resolved(
    model: type[Model],
    config: Path | None,
    sets: tuple[str, ...],
    given: dict[str, Any],
    goes_on: Path | None = None,
    complete: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> Model:
    """The layers as a `model`, each laid over the one before; `goes_on` is the run folder of a run that is resumed.

    Without a `config` such a run starts from its own config.json. `given` holds the command's own options, by section.
    `complete` fills in what follows from all layers together.
    Raises ConfigError with every mistake at once, named after the file, or else the command line.
    """
    kept = goes_on / "config.json" if goes_on else None
    source = config or (kept if kept and kept.is_file() else None)
    data = merged((read_yaml(source) or {}) if source else {}, parse_set(sets))
    if "budget" in given:  # a budget on the command line replaces the other kind from a file
        data = {**data, "budget": {}}
    return validate(model, complete(merged(data, given)), str(source or "command line"))


def pretrain_settings(
    config: Path | None, sets: tuple[str, ...], given: dict[str, Any], goes_on: Path | None = None
) -> PretrainConfig:
    """`resolved` for everything that pretrains: what is told chooses the objective where nobody chose one."""
    return resolved(PretrainConfig, config, sets, given, goes_on, _with_objective)


def given_budget(minutes: float | None, steps: int | None) -> dict[str, Any]:
    """`--minutes` and `--steps` as the section they belong to; nothing where neither is given."""
    budget = {name: value for name, value in (("minutes", minutes), ("steps", steps)) if value is not None}
    return {"budget": budget} if budget else {}


def _with_objective(data: dict[str, Any]) -> dict[str, Any]:
    """The objective that learns from what is told, where nobody chose one."""
    told = data.get("labels") or {}
    chosen = isinstance(data.get("loss"), dict) and "name" in data["loss"]
    if chosen or not (told.get("dataset") or told.get("teacher")):
        return data
    return merged(data, {"loss": {"name": "gen_supcon" if told.get("dataset") else "distill"}})
