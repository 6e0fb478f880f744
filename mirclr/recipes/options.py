"""The kinds of options that steps take, and the checks of the larger ones before anything is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from mirclr.config import PretrainConfig
from mirclr.errors import ConfigError
from mirclr.recipes.step import Mark, ReadsAll, one_or_more
from mirclr.training.finetune_config import FinetuneConfig, PlanConfig, data_settings, plan_data

if TYPE_CHECKING:
    import pandas as pd

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_more)]
OneOrNone = Annotated[
    tuple[str, ...],
    BeforeValidator(one_or_more),
    Field(max_length=1),
    Mark(reads=True, may_be_a_name=True),
]
FolderOrNone = Annotated[ReadsAll, Field(max_length=1)]


def buildable(config: PretrainConfig) -> PretrainConfig:
    """Asks the rooms whether every part can be built, before anything is decoded."""
    from mirclr.training.check import check_config

    try:
        check_config(config, "config")
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from error
    return config


def tunable(config: FinetuneConfig) -> FinetuneConfig:
    """The same of the parts that do not depend on the encoder's files."""
    from mirclr.losses.alignment import build_alignment

    buildable(data_settings(config, plan_data(config.plan or PlanConfig())))
    if config.adapt is not None:
        build_alignment(config.adapt.name, **config.adapt.options)
    if config.target is not None:
        raise ValueError("target is an option of the step itself, so that its music is looked at before anything runs")
    return config


# The files that a configuration names are read: what it begins with, labels, a teacher.
Settings = Annotated[PretrainConfig, AfterValidator(buildable), Mark(reads=True)]
TuneSettings = Annotated[FinetuneConfig, AfterValidator(tunable)]


def listed(*tables: pd.DataFrame | list[dict[str, Any]]) -> tuple[dict[str, str], ...]:
    """Quarantine tables as plain rows."""
    rows = [row for table in tables for row in (table if isinstance(table, list) else table.to_dict("records"))]
    return tuple({name: str(row[name]) for name in ("path", "reason", "detail")} for row in rows)
