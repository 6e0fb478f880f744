"""Tables with a line a condition and, for every row of a report, a value with its interval."""

from __future__ import annotations

from collections.abc import Mapping

from mirclr.evaluation.judge import Judged
from mirclr.evaluation.sections import Cell


def table_of(
    across: str, lines: Mapping[str, str] | Mapping[int, str], judged: Mapping[str, Judged]
) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
    """Columns and rows of a section. `lines`: what stands in the first column, called `across`, and the measure of that
    line; `judged` by the names of rows."""
    columns = (across, *(f"{name}{end}" for name in judged for end in ("", " low", " high")))
    rows = []
    for told, key in lines.items():
        cells: list[Cell] = [told]
        for row in judged.values():
            m = row.measures[key]
            cells += [m.value, m.low, m.high]
        rows.append(tuple(cells))
    return columns, tuple(rows)
