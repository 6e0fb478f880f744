"""The tables of an ablation: means over seeds, and the paired difference to the default with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.evaluation.bootstrap import interval
from mirclr.evaluation.judge import Judged, mean_of
from mirclr.evaluation.verdict import SPOKEN
from mirclr.files import write_atomic
from mirclr.recipes.ablation import Result
from mirclr.recipes.ablation_rows import BASE

SHOWN = (
    "linear.accuracy", "linear.roc_auc", "linear.r", "knn.accuracy", "retrieval.artist_r1", "retrieval.label_p10",
    "heard.artist_r1", "heard.label_p10",
)  # fmt: skip
"""Measures of the collection that the tables print, where it has them; of other collections their `linear` ones."""


def columns_of(judged: Judged) -> list[str]:
    """The printed measures, in their order."""
    own = [key for key in SHOWN if key in judged.measures]
    return own + [key for key in judged.measures if " of " in key and key.partition(" of ")[0] in SHOWN]


def per_seed(results: Iterable[Result]) -> pd.DataFrame:
    """A line a row and seed, the numbers as they are: what a later look at the ablation can be made from."""
    lines = []
    for r in results:
        measures = {key: m.value for key, m in r.judged.measures.items()} if r.judged else {}
        moved = {f"moved by {name}": value for name, value in (r.moved or {}).items()}
        facts = {"group": r.group, "row": r.name, "seed": r.seed, "steps": r.steps, "step_s": round(r.step_s, 4)}
        lines.append({**facts, **measures, **moved, "failed": r.failed or ""})
    return pd.DataFrame(lines)


def table(results: Sequence[Result]) -> list[dict[str, str]]:
    """A record a row, ready to print: group, row, steps, every measure as `mean (difference; low to high)`, shifts.

    The difference is to the default with the same seeds: rows of an unfinished ablation, and those of which a seed
    failed, have fewer than the default.
    """
    rows: dict[tuple[str, str], dict[int, Result]] = {}
    for result in results:
        rows.setdefault((result.group, result.name), {})[result.seed] = result
    base = {seed: r.judged for seed, r in rows.get(("", BASE), {}).items() if r.judged is not None}
    shown = columns_of(next(iter(base.values()))) if base else []
    return [_record(*key, list(members.values()), base, shown) for key, members in rows.items()]


def _record(
    group: str, name: str, members: Sequence[Result], base: Mapping[int, Judged], shown: Sequence[str]
) -> dict[str, str]:
    trained = [r for r in members if r.judged is not None]
    judged = {r.seed: r.judged for r in members if r.judged is not None and r.seed in base}
    out = {"group": group, "row": name, "seeds": str(len(trained)), "steps": _range(sorted({r.steps for r in trained}))}
    out |= dict.fromkeys(map(_title, shown), "")
    if judged:
        mean, beside = (mean_of({str(seed): row[seed] for seed in judged}) for row in (judged, base))
        out |= {_title(key): _cell(mean, beside, key, name == BASE) for key in shown}
    for attribute in dict.fromkeys(a for r in trained for a in r.moved or {}):
        out[f"moved by {attribute}"] = f"{np.mean([(r.moved or {})[attribute] for r in trained]):.2f}"
    failures = [f"seed {r.seed}: {r.failed}" for r in members if r.failed]
    return {**out, "failed": "; ".join(failures)} if failures else out


def _range(numbers: Sequence[int]) -> str:
    """`[150]` to "150", `[150, 163]` to "150 to 163"."""
    return " to ".join(str(n) for n in sorted({numbers[0], numbers[-1]})) if numbers else ""


def _title(key: str) -> str:
    _, _, other = key.partition(" of ")
    how = {"knn": ", nearest neighbours", "heard": ", heard half"}.get(key.partition(".")[0], "")
    return SPOKEN[_metric(key)][0] + how + (f", {other}" if other else "")


def _metric(key: str) -> str:
    """`accuracy` of `linear.accuracy of NAME`."""
    return key.partition(" of ")[0].partition(".")[2]


def _cell(mean: Judged, base: Judged, key: str, is_base: bool) -> str:
    """Shares in per cent, correlations as they are."""
    scale, digits = (100, 1) if SPOKEN[_metric(key)][1] else (1, 3)
    value = scale * mean.measures[key].value
    if is_base:
        low, high = scale * mean.measures[key].low, scale * mean.measures[key].high
        return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    low, high = (scale * end for end in interval(mean.draws[key] - base.draws[key]))
    gap = value - scale * base.measures[key].value
    return f"{value:.{digits}f} ({gap:+.{digits}f}; {low:+.{digits}f} to {high:+.{digits}f})"


def markdown(records: Sequence[Mapping[str, str]]) -> str:
    """The records as one Markdown table a group, for a page of documentation."""
    parts = []
    for group in dict.fromkeys(record["group"] for record in records):
        members = [record for record in records if record["group"] == group]
        names = list(dict.fromkeys(name for record in members for name in record if name != "group"))
        lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
        lines += [f"| {' | '.join(record.get(name, '') for name in names)} |" for record in members]
        parts.append((f"## {group}\n\n" if group else "") + "\n".join(lines) + "\n")
    return "\n".join(parts)


def write_tables(results: Sequence[Result], folder: Path) -> list[dict[str, str]]:
    """Write ablation.csv (a line a row and seed) and ablation.md (means and intervals); the records of the latter."""
    records = table(results)
    write_atomic(folder / "ablation.csv", per_seed(results).to_csv(index=False, float_format="%.6g"))
    write_atomic(folder / "ablation.md", markdown(records))
    return records
