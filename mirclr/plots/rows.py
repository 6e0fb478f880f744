"""Rows of a report card side by side: a dot with its interval for each, a panel a measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mirclr.evaluation.judge import Judged
from mirclr.evaluation.verdict import SPOKEN, value_text
from mirclr.plots.figure import INK, PALETTE, new_figure, plain

COLOURS = {
    "chance": "#777777", "handcrafted": PALETTE[1], "random-init": PALETTE[4], "previous": PALETTE[2],
    "trained": PALETTE[5], "fusion": PALETTE[3],
}  # fmt: skip


class Shown(Protocol):
    """A row that can be drawn: of any report card."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def judged(self) -> Judged: ...
    @property
    def seeds(self) -> int: ...


def draw_rows(rows: Sequence[Shown], keys: Sequence[str], title: str) -> Figure:
    """A dot with its 95 % interval for every row, a diamond for a mean over seeds, in a panel for each of `keys`."""
    figure = new_figure(1.8 + 2.6 * len(keys), 0.9 + 0.34 * len(rows))
    panels = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    for axes, key in zip(panels, keys, strict=True):
        _draw_measure(axes, rows, key)
    panels[0].set_yticks(range(len(rows)), [plain(row.name) for row in rows], fontsize=8)
    panels[0].invert_yaxis()
    figure.suptitle(plain(title), fontsize=10)
    return figure


def _draw_measure(axes: Axes, rows: Sequence[Shown], key: str) -> None:
    for place, row in enumerate(rows):
        m = row.judged.measures[key]
        colour = COLOURS[row.kind]
        axes.plot([m.low, m.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(m.value, place, marker="D" if row.seeds > 1 else "o", color=colour, markersize=5)
        if np.isfinite(m.value):
            text = value_text(key, m.value)
            axes.annotate(
                text, (m.value, place), (0, 5), textcoords="offset points", ha="center", fontsize=7, color=INK
            )
    spoken, share = SPOKEN[key.partition(".")[2]]
    axes.set_title(spoken, fontsize=9)
    if share:
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.margins(y=0.08)
