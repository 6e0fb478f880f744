"""Which rows a report has: chance, MFCC statistics and untrained twins always; nobody can leave them out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from mirclr.errors import UsageError
from mirclr.features.extractor import Extractor
from mirclr.features.handcrafted import MfccStatistics

Kind = Literal["chance", "handcrafted", "random-init", "trained"]
CHANCE: Final = "chance"
RANDOM: Final = "random-init"
Encoder = TypeVar("Encoder", bound=Extractor)


@dataclass(frozen=True)
class Candidate:
    """A row to be judged. Rows of one `family` differ only in their seed; `rivals` is the family of untrained twins.

    `notes`: what a reader must know, from the extractor's optional attribute of that name.
    """

    name: str
    kind: Kind
    family: str
    extractor: Extractor
    rivals: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(getattr(self.extractor, "notes", ()))


def candidates(
    encoders: Mapping[str, Encoder],
    families: Mapping[str, str],
    untrained: Callable[[Encoder, int], Extractor],
    *,
    random_seeds: int,
    seed: int,
) -> list[Candidate]:
    """Every row but chance: MFCC statistics, `random_seeds` untrained twins per architecture, the trained encoders.

    `families` gives encoders that differ only in their seed one name (default: each is alone). Twins are seeded
    `seed`, `seed + 1`, .... Raises UsageError without an encoder, without twins, or on a name that is taken.
    """
    if not encoders or random_seeds < 1:
        raise UsageError("a report needs at least one trained encoder and one random-init seed to compare it with")
    handcrafted = MfccStatistics(next(iter(encoders.values())).sample_rate)
    rows = [Candidate(MfccStatistics.name, "handcrafted", MfccStatistics.name, handcrafted)]
    plans = {name: _architecture(encoder) for name, encoder in encoders.items()}
    models = {plan: name for name, plan in reversed(plans.items())}  # the first encoder of each architecture
    twins = {plan: RANDOM if len(models) == 1 else f"{RANDOM} of {name}" for plan, name in models.items()}
    for plan, family in reversed(twins.items()):
        seeds = range(seed, seed + random_seeds)
        rows += [Candidate(f"{family} (seed {s})", RANDOM, family, untrained(encoders[models[plan]], s)) for s in seeds]
    rows += [Candidate(n, "trained", families.get(n, n), e, twins[plans[n]]) for n, e in encoders.items()]
    return _distinct(rows)


def _architecture(encoder: Extractor) -> str:
    """What an untrained twin shares with `encoder`: its plan, or for extractors without one its shape."""
    plan = getattr(getattr(encoder, "embedder", None), "plan", None)
    return json.dumps(plan, sort_keys=True, default=str) if plan else f"{encoder.dim} at {encoder.sample_rate} Hz"


def _distinct(rows: list[Candidate]) -> list[Candidate]:
    taken = {CHANCE}
    for row in rows:
        if row.name in taken:
            raise UsageError(f"two rows would be called {row.name!r}; give the encoder another name")
        taken.add(row.name)
    return rows
