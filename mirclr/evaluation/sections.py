"""A further table of a report card: what a protocol, a curve or a test of robustness found, ready to be printed."""

from __future__ import annotations

from dataclasses import dataclass

Cell = str | float | int | None
"""A share of 1 stays a share (0.683), a missing value is None; how it is printed is the printer's business."""


@dataclass(frozen=True)
class Section:
    """`rows` under `columns`. `name`: letters and dashes, the stem of its file; `notes`: what a reader must know.

    `kind` says how a picture shows it: "bars", "curve" (the first column across, one line for each further column
    whose name has no " low" or " high" at its end; those two are its band), or None for the table alone.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    kind: str | None = None
