"""Which rows a report has: chance, MFCC statistics and untrained twins always; nobody can leave them out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from mirclr.errors import UsageError
from mirclr.evaluation.given import Table
from mirclr.features.extractor import Extractor
from mirclr.features.handcrafted import MfccStatistics

Kind = Literal["chance", "handcrafted", "random-init", "trained"]
CHANCE: Final = "chance"
RANDOM: Final = "random-init"
Encoder = TypeVar("Encoder", bound=Extractor)


@dataclass(frozen=True)
class Candidate:
    """A row to be judged: an `extractor`, or a table of vectors that is `given`. Rows of one `family` differ only in
    their seed; `rivals` is the family of untrained twins, "" where there is none.

    `notes`: what a reader must know, from the table or the extractor's optional attribute of that name.
    """

    name: str
    kind: Kind
    family: str
    extractor: Extractor | None
    rivals: str = ""
    given: Table | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.given.notes if self.given else tuple(getattr(self.extractor, "notes", ()))

    @property
    def dim(self) -> int:
        """Numbers a vector."""
        if self.given is not None:
            return int(self.given.vectors.shape[1])
        return self.extractor.dim if self.extractor else 0

    @property
    def fingerprint(self) -> str:
        """Differs whenever the vectors would."""
        return self.given.fingerprint if self.given else self.extractor.fingerprint if self.extractor else ""


def candidates(
    encoders: Mapping[str, Encoder],
    families: Mapping[str, str],
    untrained: Callable[[Encoder, int], Extractor],
    *,
    random_seeds: int,
    seed: int,
    given: Mapping[str, Table] | None = None,
) -> list[Candidate]:
    """Every row but chance: MFCC statistics, `random_seeds` untrained twins per architecture, the trained encoders, and
    tables of vectors that are `given`, of which nobody can make a twin.

    `families` gives encoders that differ only in their seed one name (default: each is alone). Twins are seeded
    `seed`, `seed + 1`, .... Raises UsageError without an encoder and a table, without twins, or on a name that is
    taken.
    """
    tables = given or {}
    if not (encoders or tables) or random_seeds < 1:
        raise UsageError("a report needs at least one trained encoder and one random-init seed to compare it with")
    handcrafted = MfccStatistics(next(iter(encoders.values())).sample_rate) if encoders else MfccStatistics()
    rows = [Candidate(MfccStatistics.name, "handcrafted", MfccStatistics.name, handcrafted)]
    plans = {name: _architecture(encoder) for name, encoder in encoders.items()}
    models = {plan: name for name, plan in reversed(plans.items())}  # the first encoder of each architecture
    twins = {plan: RANDOM if len(models) == 1 else f"{RANDOM} of {name}" for plan, name in models.items()}
    for plan, family in reversed(twins.items()):
        seeds = range(seed, seed + random_seeds)
        rows += [Candidate(f"{family} (seed {s})", RANDOM, family, untrained(encoders[models[plan]], s)) for s in seeds]
    rows += [Candidate(n, "trained", families.get(n, n), e, twins[plans[n]]) for n, e in encoders.items()]
    rows += [Candidate(n, "trained", n, None, given=table) for n, table in tables.items()]
    return _distinct(rows)


def extractors_of(asked: Sequence[Candidate]) -> dict[str, Extractor]:
    """The extractors by row, without the rows of given vectors."""
    return {c.name: c.extractor for c in asked if c.extractor is not None}


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
