"""Rows of an ablation: what each changes in the base configuration, and what they are called on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from mirclr.config import EffectPart, PretrainConfig, Strict, merged, nearest, validate
from mirclr.errors import ConfigError

BASE = "default"
"""The row everything is compared with: the base configuration as it is."""


class RowConfig(Strict):
    """A row: `settings` laid over the base configuration, effects it goes `without`, effects it has beside (`add`).

    What is added to the spectrogram's chain goes before its masks, which must not be moved or blurred; what changes
    samples goes to the end of the chain on samples, and training then reads samples, not cached frames.
    """

    settings: dict[str, Any] = Field(default_factory=dict)
    without: tuple[str, ...] = ()
    add: tuple[EffectPart, ...] = ()


Groups = dict[str, dict[str, RowConfig]]
"""Rows by group (objective, encoder, ...) and name."""


@dataclass(frozen=True)
class Row:
    """One row: its `group` and `name`, and the whole `config` it trains with."""

    group: str
    name: str
    config: PretrainConfig

    @property
    def slug(self) -> str:
        """Its name as a folder's: letters, digits and dashes."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.group} {self.name}".lower()).strip("-")


def rows_of(groups: Groups, base: PretrainConfig) -> list[Row]:
    """The base row, then those of all groups in their order.

    Raises ConfigError with every mistake: settings that do not validate, an effect to go without that is not there, an
    unknown effect to add, two rows of one name on disk.
    """
    problems: list[str] = []
    rows = [Row("", BASE, base), *_built(groups, base, problems)]
    slugs = [row.slug for row in rows]
    problems += [f"{row.group}.{row.name}: another row has this name on disk ({row.slug})"
                 for at, row in enumerate(rows) if row.slug in slugs[:at]]  # fmt: skip
    if problems:
        raise ConfigError("rows", problems)
    return rows


def _built(groups: Groups, base: PretrainConfig, problems: list[str]) -> Iterator[Row]:
    for group, members in groups.items():
        for name, row in members.items():
            try:
                yield Row(group, name, _with(row, base, f"{group}.{name}"))
            except ConfigError as error:
                problems += [f"{group}.{name}: {line}" for line in error.problems]


def _with(row: RowConfig, base: PretrainConfig, source: str) -> PretrainConfig:
    config = validate(PretrainConfig, merged(base.model_dump(), row.settings), source)
    chains = {domain: list(getattr(config.augment, domain)) for domain in ("wave", "spec")}
    problems = [*_removed(chains, row.without), *_added(chains, row.add)]
    if problems:
        raise ConfigError(source, problems)
    over = {domain: [part.model_dump() for part in parts] for domain, parts in chains.items()}
    return validate(PretrainConfig, merged(config.model_dump(), {"augment": over}), source)


def _removed(chains: Mapping[str, list[EffectPart]], names: tuple[str, ...]) -> list[str]:
    present = {part.name for parts in chains.values() for part in parts}
    for parts in chains.values():
        parts[:] = [part for part in parts if part.name not in names]
    return [f"without {name}: not in the chain.{nearest(name, present)}" for name in names if name not in present]


def _added(chains: Mapping[str, list[EffectPart]], parts: tuple[EffectPart, ...]) -> list[str]:
    from mirclr.augment.attributes import LAST
    from mirclr.augment.table import EFFECTS

    problems = [f"add: no effect {p.name!r}.{nearest(p.name, EFFECTS)}" for p in parts if p.name not in EFFECTS]
    for part in (part for part in parts if part.name in EFFECTS):
        chain = chains[EFFECTS[part.name].domain]
        masks = [place for place, other in enumerate(chain) if other.name in LAST]
        chain.insert(masks[0] if masks and part.name not in LAST else len(chain), part)
    return problems
