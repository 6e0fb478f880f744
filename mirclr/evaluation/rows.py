"""Which rows a report has: chance, handcrafted vectors and untrained twins always; nobody can leave them out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from mirclr.errors import UsageError
from mirclr.evaluation.given import Table
from mirclr.features.descriptors import Descriptors
from mirclr.features.extractor import Extractor
from mirclr.features.handcrafted import MfccStatistics

Kind = Literal["chance", "handcrafted", "random-init", "previous", "trained", "fusion"]
CHANCE: Final = "chance"
RANDOM: Final = "random-init"
HANDCRAFTED: tuple[type[MfccStatistics] | type[Descriptors], ...] = (MfccStatistics, Descriptors)
Encoder = TypeVar("Encoder", bound=Extractor)


@dataclass(frozen=True)
class Candidate:
    """A row to be judged: an `extractor`, a table of vectors that is `given`, or `members` whose vectors stand side by
    side. Rows of one `family` differ only in their seed; `rivals` are the families that a trained or a fused one is
    compared with, the untrained twins first.

    `notes`: what a reader must know, from the table or the extractor's optional attribute of that name.
    """

    name: str
    kind: Kind
    family: str
    extractor: Extractor | None = None
    rivals: tuple[str, ...] = ()
    given: Table | None = None
    members: tuple[Candidate, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        return self.given.notes if self.given else tuple(getattr(self.extractor, "notes", ()))

    @property
    def dim(self) -> int:
        """Numbers a vector."""
        if self.given is not None:
            return int(self.given.vectors.shape[1])
        return self.extractor.dim if self.extractor else sum(member.dim for member in self.members)

    @property
    def fingerprint(self) -> str:
        """Differs whenever the vectors would."""
        own = self.given or self.extractor
        return own.fingerprint if own else "+".join(member.fingerprint for member in self.members)


def candidates(
    encoders: Mapping[str, Encoder],
    families: Mapping[str, str],
    untrained: Callable[[Encoder, int], Extractor],
    *,
    random_seeds: int,
    seed: int,
    given: Mapping[str, Table] | None = None,
    previous: Mapping[str, Encoder] | None = None,
    handcrafted: Sequence[type[MfccStatistics] | type[Descriptors]] = HANDCRAFTED[:1],
) -> list[Candidate]:
    """Every row but chance: `handcrafted` vectors, `random_seeds` untrained twins per architecture, `previous` encoders
    (what training went on from, or replaced), the trained encoders, and tables of vectors that are `given`, of which
    nobody can make a twin.

    `families` gives encoders that differ only in their seed one name (default: each is alone). Twins are seeded
    `seed`, `seed + 1`, .... Raises UsageError without an encoder and a table, without twins, or on a name that is
    taken.
    """
    tables = given or {}
    if not (encoders or tables) or random_seeds < 1:
        raise UsageError("a report needs at least one trained encoder and one random-init seed to compare it with")
    own = [*encoders.values(), *(previous or {}).values()]
    rows = [Candidate(made.name, "handcrafted", made.name, made(own[0].sample_rate) if own else made())
            for made in handcrafted]  # fmt: skip
    plans = {name: _architecture(encoder) for name, encoder in encoders.items()}
    models = {plan: name for name, plan in reversed(plans.items())}  # the first encoder of each architecture
    twins = {plan: RANDOM if len(models) == 1 else f"{RANDOM} of {name}" for plan, name in models.items()}
    for plan, family in reversed(twins.items()):
        seeds = range(seed, seed + random_seeds)
        rows += [Candidate(f"{family} (seed {s})", RANDOM, family, untrained(encoders[models[plan]], s)) for s in seeds]
    rows += [Candidate(name, "previous", name, encoder) for name, encoder in (previous or {}).items()]
    others = (*(made.name for made in handcrafted), *(previous or {}))
    rows += [Candidate(n, "trained", families.get(n, n), e, (twins[plans[n]], *others)) for n, e in encoders.items()]
    rows += [Candidate(n, "trained", n, rivals=others, given=table) for n, table in tables.items()]
    return distinct(rows)


def extractors_of(asked: Sequence[Candidate]) -> dict[str, Extractor]:
    """The extractors by row, without the rows of given vectors and of members."""
    return {c.name: c.extractor for c in asked if c.extractor is not None}


def _architecture(encoder: Extractor) -> str:
    """What an untrained twin shares with `encoder`: its plan, or for extractors without one its shape."""
    plan = getattr(getattr(encoder, "embedder", None), "plan", None)
    return json.dumps(plan, sort_keys=True, default=str) if plan else f"{encoder.dim} at {encoder.sample_rate} Hz"


def distinct(rows: list[Candidate]) -> list[Candidate]:
    """`rows`; raises UsageError where two have one name."""
    taken = {CHANCE}
    for row in rows:
        if row.name in taken:
            raise UsageError(f"two rows would be called {row.name!r}; give the encoder another name")
        taken.add(row.name)
    return rows
