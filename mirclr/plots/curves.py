"""Training curves from a run's metrics.jsonl: the loss, and beside it what a falling loss does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirclr.plots.figure import FAINT, INK, new_figure, save_png
from mirclr.training.journal import read_journal

Journal = Sequence[Mapping[str, Any]]

# Panels after the loss: title, and the columns of report rows drawn in it with their legend.
PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "held-out tracks finding their own second crop",
        (("held_out_recall_at_1", "first"), ("held_out_reciprocal_rank", "mean 1/rank")),
    ),
    (
        "effective rank",
        (("held_out_effective_rank", "held-out embeddings"), ("batch_effective_rank", "batch projections")),
    ),
    (
        "alignment and uniformity (both best when low)",
        (("batch_alignment", "alignment"), ("batch_uniformity", "uniformity")),
    ),
    ("learning rate", (("learning_rate", "learning rate"),)),
    ("clips per second", (("clips_per_s", "clips/s"),)),
)
# A rate reads as a trend only against its zero.
FROM_ZERO = ("clips per second",)


def draw_curves(journal: Journal, title: str) -> Figure:
    """A panel for the loss and one for every group of `PANELS` that the rows of metrics.jsonl hold something of.

    A number that is missing or not finite is a gap in its line. Raises ValueError when no row has a step and a loss.
    """
    panels = [
        (name, kept) for name, lines in PANELS if (kept := [(k, t) for k, t in lines if _points(journal, k)[0].size])
    ]
    if not _points(journal, "loss")[0].size:
        raise ValueError(f"{title}: metrics.jsonl has no loss to draw; the run ended before its first step")
    rows = (len(panels) + 2) // 2
    figure = new_figure(10, 2.6 * rows + 0.4)
    grid = figure.subplots(rows, 2, squeeze=False, sharex=True).ravel()
    figure.suptitle(title, fontsize=11)
    _draw_loss(grid[0], journal)
    for axes, (name, lines) in zip(grid[1:], panels, strict=False):
        _draw_lines(axes, journal, name, lines)
    for axes in grid[len(panels) + 1 :]:
        axes.set_visible(False)
    grid[0].set_xlim(left=0)
    return figure


def draw_run(run: Path, path: Path) -> Path | None:
    """The curves of a run folder written to `path`; None when the run left no metrics."""
    journal = read_journal(run / "metrics.jsonl")
    return save_png(draw_curves(journal, run.resolve().name), path) if _points(journal, "loss")[0].size else None


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean of `(N,)` values over `window` of them, narrower at the ends so that no edge is invented."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    reach = np.minimum(np.minimum(centre, len(values) - 1 - centre), window // 2)
    return np.asarray((total[centre + reach + 1] - total[centre - reach]) / (2 * reach + 1))


def _points(journal: Journal, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values `(N,)` of the rows that have `key`, by step; of single steps where these were written, else of
    reports, never both on one line. A value that is not finite is nan."""
    rows = [row for row in journal if isinstance(row.get(key), int | float) and "step" in row]
    rows = [row for row in rows if row.get("kind") == "step"] or rows
    steps, values = (np.array([row[name] for row in rows], float) for name in ("step", key))
    order = np.argsort(steps, kind="stable")
    return steps[order], np.where(np.isfinite(values), values, np.nan)[order]


def _draw_loss(axes: Axes, journal: Journal) -> None:
    """The loss as it was, faint, and its running mean."""
    steps, values = _points(journal, "loss")
    known = ~np.isnan(values)
    axes.plot(steps, values, color=FAINT, linewidth=0.6)
    axes.plot(steps[known], smoothed(values[known], max(1, known.sum() // 25)), color=INK, linewidth=1.6)
    _dress(axes, "loss")


def _draw_lines(axes: Axes, journal: Journal, name: str, lines: Sequence[tuple[str, str]]) -> None:
    for key, legend in lines:
        steps, values = _points(journal, key)
        axes.plot(steps, values, marker="." if len(steps) < 30 else "", linewidth=1.4, label=legend)
    if len(lines) > 1:
        axes.legend(fontsize=8, frameon=False)
    if name in FROM_ZERO:
        axes.set_ylim(bottom=0)
    _dress(axes, name)


def _dress(axes: Axes, name: str) -> None:
    axes.set_title(name, fontsize=9, loc="left")
    axes.set_xlabel("step", fontsize=8)
    axes.tick_params(labelsize=8, labelbottom=True)  # every panel its own steps, though they share one axis
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
