"""Two reports side by side: a paired bootstrap over artists between a row of one and a row of the other.

Both were judged on the same draws of artists (they depend only on the seed and the artists), so the difference is taken
draw by draw, as between two rows of one report. Reports that were not judged alike are refused: a difference would then
hold more than the encoders' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.evaluation.judge import Judged
from mirclr.evaluation.stored import Stored
from mirclr.evaluation.verdict import ROWS, Comparison, compare
from mirclr.units import printable

SHOWN = 3


@dataclass(frozen=True)
class Side:
    """A report, the `name` it is spoken of by, and the row that is meant (None: its trained one)."""

    name: str
    stored: Stored
    row: str | None = None


def compare_reports(ours: Side, theirs: Side) -> list[Comparison]:
    """`ours` minus `theirs` on every measure both have, the main measure first.

    Raises UsageError when the two were not judged alike, saying what differs, or when a row is not there or not clear.
    """
    unlike = differing(ours.stored, theirs.stored)
    if unlike:
        lines = "\n".join(f"  {line}" for line in unlike)
        raise UsageError(
            f"{ours.name} and {theirs.name} were not judged alike:\n{lines}\n"
            "Judge both encoders on the same collection, split and seed: `mirclr evaluate DATASET --encoder ...`"
        )
    (our_name, us), (their_name, them) = _row(ours), _row(theirs)
    both = [key for key in us.draws if key in them.draws]
    keys = sorted(both, key=lambda key: key != ours.stored.main)
    named = (f"{our_name} ({ours.name})", us), (f"{their_name} ({theirs.name})", them)
    return [compare(key, *named, story=ROWS) for key in keys]


def differing(one: Stored, other: Stored) -> list[str]:
    """A sentence for everything that two reports were not judged alike on; empty when they may be compared."""
    out = [
        f"{name}: {printable(one.terms.get(name, 'none'))} here, {printable(other.terms.get(name, 'none'))} there"
        for name in dict.fromkeys([*one.terms, *other.terms])
        if one.terms.get(name) != other.terms.get(name)
    ]
    if list(one.ids) != list(other.ids):
        return [*out, *_tracks(one.ids, other.ids)]
    if not np.array_equal(one.groups, other.groups):
        out.append("artists: the same tracks stand under other artists")
    if not np.array_equal(one.targets, other.targets, equal_nan=one.targets.dtype.kind == "f"):
        out.append("labels: the same tracks have other labels")
    return out


def _tracks(here: Sequence[str], there: Sequence[str]) -> list[str]:
    gone, new = [i for i in here if i not in set(there)], [i for i in there if i not in set(here)]
    if not gone and not new:
        return ["tracks: the same ones in another order"]
    return [f"tracks: {len(ids)} only {where} ({_few(ids)})" for ids, where in ((gone, "here"), (new, "there")) if ids]


def _few(ids: Sequence[str]) -> str:
    return ", ".join(printable(name) for name in ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")


def _row(side: Side) -> tuple[str, Judged]:
    """The row that is meant: by name; else the trained one, the mean over seeds where there are several."""
    rows = side.stored.rows
    if side.row is not None:
        if side.row not in rows:
            raise UsageError(f"{side.name}: no row {side.row!r}.{nearest(side.row, rows)}")
        return side.row, rows[side.row].judged
    trained = {name: row for name, row in rows.items() if row.kind == "trained"}
    means = [name for name, row in trained.items() if row.seeds > 1]
    alone = [name for name in trained if name not in means]
    # One mean that all the others are members of, or one encoder without a mean.
    meant = means if len(means) == 1 and trained[means[0]].seeds == len(alone) else [*means, *alone]
    if len(meant) != 1:
        names = ", ".join(repr(name) for name in trained) or "none"
        raise UsageError(f"{side.name}: which of its trained rows ({names})? Name it with --row-a or --row-b")
    return meant[0], rows[meant[0]].judged
