"""The figures of a report card: rows side by side with their intervals, and a confusion matrix per trained encoder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mirclr.evaluation.card import ALSO_COMPARED, Report, Row
from mirclr.evaluation.report_files import row_confusion
from mirclr.evaluation.verdict import SPOKEN, value_text
from mirclr.plots.confusion import draw_confusion
from mirclr.plots.figure import INK, new_figure, save_png

COLOURS = {"chance": "#999999", "handcrafted": "#b8860b", "random-init": "#4c72b0", "trained": "#c44e52"}


def draw_report(report: Report, folder: Path) -> list[Path]:
    """Write rows.png and, for one label a track, confusion-NAME.png per trained encoder; returns their paths."""
    paths = [save_png(draw_rows(report), folder / "rows.png")]
    if report.task == "multiclass":
        names = [r.name for r in report.rows if r.kind == "trained" and r.judged.predictions is not None]
        for name, stem in file_stems(names).items():
            title = f"{name} on {report.collection}, linear probe, artist-disjoint"
            figure = draw_confusion(row_confusion(report, name), report.vocabulary, title)
            paths.append(save_png(figure, folder / f"confusion-{stem}.png"))
    return paths


def file_stems(names: Sequence[str]) -> dict[str, str]:
    """A file name of plain letters for every row name, numbered where two would be the same."""
    out: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "encoder"
        tries = (stem, *(f"{stem}-{n}" for n in range(2, len(names) + 2)))
        out[name] = next(t for t in tries if t.casefold() not in {s.casefold() for s in out.values()})
    return out


def draw_rows(report: Report) -> Figure:
    """A dot with its 95 % interval for every row, in a panel for the main measure and each retrieval measure."""
    keys = [key for key in (report.main, *ALSO_COMPARED) if key in report.measures]
    figure = new_figure(1.8 + 2.6 * len(keys), 0.9 + 0.34 * len(report.rows))
    panels = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    for axes, key in zip(panels, keys, strict=True):
        _draw_measure(axes, report.rows, key)
    panels[0].set_yticks(range(len(report.rows)), [row.name for row in report.rows], fontsize=8)
    panels[0].invert_yaxis()
    figure.suptitle(f"{report.collection}: 95 % intervals over artists", fontsize=10)
    return figure


def _draw_measure(axes: Axes, rows: Sequence[Row], key: str) -> None:
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
