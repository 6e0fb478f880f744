"""The figure of an invariance card: how far every change moves a track, a panel an attribute, a line a row."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirclr.evaluation.invariance import InvarianceReport, Moved
from mirclr.plots.figure import FAINT, new_figure
from mirclr.plots.rows import COLOURS


def draw_invariance(report: InvarianceReport, title: str) -> Figure:
    """`shift` by the amount of the change with 95 % intervals; the dashed line is the distance to the next track."""
    panels: dict[str, list[Moved]] = {}
    for moved in report.moved:
        panels.setdefault(moved.change.attribute, []).append(moved)
    amounts = {name: list(dict.fromkeys(m.change.amount for m in each)) for name, each in panels.items()}
    widths = [1 + len(each) for each in amounts.values()]
    figure = new_figure(1.2 + 0.4 * sum(widths), 3.6)
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, (name, each) in zip(every, panels.items(), strict=True):
        _draw_attribute(axes, each, amounts[name])
        axes.set_title(name, fontsize=9)
    every[0].set_ylim(bottom=0)
    every[0].set_ylabel("shift (1: to the next track)", fontsize=8)
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.suptitle(f"{title}: {report.tracks} tracks, 95 % intervals over artists", fontsize=10)
    return figure


def _draw_attribute(axes: Axes, moved: list[Moved], amounts: list[str]) -> None:
    axes.axhline(1, color=FAINT, linestyle="--", linewidth=1)
    for row, kind in dict.fromkeys((m.row, m.kind) for m in moved):
        shifts = [m.measures["shift"] for m in moved if m.row == row]
        errors = [[max(0.0, s.value - s.low) for s in shifts], [max(0.0, s.high - s.value) for s in shifts]]
        values = [s.value for s in shifts]
        axes.errorbar(
            range(len(amounts)), values, errors, color=COLOURS[kind], marker="o", markersize=4, capsize=2, label=row
        )
    axes.set_xticks(range(len(amounts)), amounts, rotation=90, fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.margins(x=0.5 / len(amounts))
    axes.spines[["top", "right"]].set_visible(False)
