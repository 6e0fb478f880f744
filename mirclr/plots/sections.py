"""A further table of a report card as a picture: bars, or curves with their bands."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirclr.evaluation.sections import Cell, Section
from mirclr.plots.figure import PALETTE, new_figure, plain

MARKERS = "os^DvPX"
STYLES = ("-", "--", ":", "-.")
ENDS = (" low", " high")


def draw_section(section: Section) -> Figure | None:
    """The picture that `section.kind` asks for; None for a table alone, or where there is no number to draw."""
    lines = _lines(section)
    if section.kind is None or not lines or not section.rows:
        return None
    draw = {"bars": _bars, "curve": _curve}[section.kind]
    width = 7.0 if section.kind == "curve" else float(np.clip(1.5 + 0.28 * len(section.rows) * len(lines), 5, 14))
    figure = new_figure(width, 3.8)
    axes = figure.add_subplot()
    draw(axes, section, lines)
    axes.set_title(plain(section.title), fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    if len(lines) > 1:
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _lines(section: Section) -> list[str]:
    """The columns that are drawn: after the first, numbers, and no end of an interval."""
    return [
        name
        for place, name in enumerate(section.columns)
        if place and not name.endswith(ENDS) and any(_is_number(row[place]) for row in section.rows)
    ]


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _column(section: Section, name: str) -> np.ndarray:
    """`(N,)` numbers, nan where there is none."""
    place = section.columns.index(name)
    cells = [row[place] for row in section.rows]
    return np.array([cell if isinstance(cell, int | float) else np.nan for cell in cells], float)


def _band(section: Section, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The interval of a column, where the table has both its ends."""
    if not all(name + end in section.columns for end in ENDS):
        return None
    low, high = (_column(section, name + end) for end in ENDS)
    return low, high


def _curve(axes: Axes, section: Section, lines: list[str]) -> None:
    """The first column across, on a logarithmic axis where it spans more than a decade, every line with its band."""
    across = _column(section, section.columns[0])
    if np.isnan(across).any():
        across = np.arange(len(section.rows), dtype=float)
        axes.set_xticks(across, [plain(str(row[0])) for row in section.rows])
    elif across.min() > 0 and across.max() >= 10 * across.min():
        axes.set_xscale("log")
        axes.set_xticks(across, [f"{value:g}" for value in across])
        axes.minorticks_off()
    for k, name in enumerate(lines):
        colour = PALETTE[k % len(PALETTE)]
        style = STYLES[k // len(PALETTE) % len(STYLES)]
        axes.plot(across, _column(section, name), style, color=colour, marker=MARKERS[k % len(MARKERS)], markersize=4,
                  label=plain(name))  # fmt: skip
        band = _band(section, name)
        if band is not None:
            axes.fill_between(across, *band, color=colour, alpha=0.12, linewidth=0)
    axes.set_xlabel(plain(section.columns[0]), fontsize=8)


def _bars(axes: Axes, section: Section, lines: list[str]) -> None:
    """A group of bars a row, a bar a column, its interval on it."""
    place, width = np.arange(len(section.rows)), 0.8 / len(lines)
    for k, name in enumerate(lines):
        values = _column(section, name)
        shifted = place + (k - (len(lines) - 1) / 2) * width
        axes.bar(shifted, values, width, color=PALETTE[k % len(PALETTE)], label=plain(name))
        band = _band(section, name)
        if band is not None:
            axes.vlines(shifted, *band, color="#222222", linewidth=1)
    names = [plain(str(row[0])) for row in section.rows]
    axes.set_xticks(place, names, rotation=30 if len(names) > 4 else 0, ha="right" if len(names) > 4 else "center")
