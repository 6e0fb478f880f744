"""Embeddings in the plane, coloured by label or any tag: a row of panels a tag, a column a method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mirclr.plots.figure import FAINT, PALETTE, new_figure, plain

Tags = Mapping[str, np.ndarray]
"""Name of a tag to the `(N,)` values of the tracks: numbers (nan: unknown), or objects str (None: unknown)."""
MARKERS = "os^DvPX"  # beside the colour: two cues for the eye, and more values than colours
MOST_VALUES = 14  # a legend longer than that is not read; rarer values are drawn as "other"
MOST_TAGS = 4
OTHER, UNKNOWN = "(other)", "(unknown)"  # in brackets: a genre may be called other


def target_tags(targets: np.ndarray, vocabulary: Sequence[str]) -> dict[str, np.ndarray]:
    """The targets of a collection as tags: its label; up to four labels with and without; or up to four numbers.

    `targets`: `(N,)` class numbers, `(N, K)` zeros and ones, or `(N, K)` values. Of several labels the most frequent
    are taken, of several numbers the first.
    """
    if targets.ndim == 1:
        return {"label": np.array(vocabulary, object)[targets]}
    if not np.isin(targets, (0, 1)).all():
        return {name: targets[:, k].astype(float) for k, name in enumerate(vocabulary[:MOST_TAGS])}
    frequent = np.argsort(-targets.sum(axis=0), kind="stable")[:MOST_TAGS]
    words = np.array(["without", "with"], object)
    return {vocabulary[k]: words[(targets[:, k] > 0.5).astype(int)] for k in frequent}


def draw_embeddings(maps: Mapping[str, np.ndarray], tags: Tags, title: str) -> Figure:
    """`maps`: name of a method to the `(N, 2)` places of the tracks; `tags` as in `Tags`.

    Up to 14 values of a tag have a colour and a shape each, most frequent first; the others are grey.
    """
    figure = new_figure(3.9 * len(maps) + 1.8, 3.5 * len(tags) + 0.4)
    grid = figure.subplots(len(tags), len(maps), squeeze=False)
    for row, (tag, values) in zip(grid, tags.items(), strict=True):
        draw = _draw_numbers if values.dtype.kind == "f" else _draw_words
        for axes, (method, places) in zip(row, maps.items(), strict=True):
            draw(axes, places, values, tag, last=axes is row[-1])
            axes.set_title(f"{method}, by {plain(tag)}", fontsize=9, loc="left")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_color(FAINT)
    figure.suptitle(plain(title), fontsize=10)
    return figure


def _draw_words(axes: Axes, places: np.ndarray, values: np.ndarray, tag: str, *, last: bool) -> None:
    kinds = shown_values(values.tolist())
    told = np.array([UNKNOWN if value is None else value if value in kinds else OTHER for value in values], object)
    # From the second round of colours on another shape each, so that no two values look alike.
    looks = {
        name: (PALETTE[k % len(PALETTE)], MARKERS[(k + k // len(PALETTE)) % len(MARKERS)])
        for k, name in enumerate(kinds)
    }
    looks |= {name: (FAINT, ".") for name in (OTHER, UNKNOWN) if name in told}
    for name, (colour, marker) in reversed(looks.items()):
        x, y = places[told == name].T
        axes.scatter(x, y, s=16, color=colour, marker=marker, alpha=0.75, linewidths=0)
    if last:
        handles = [Line2D([], [], color=c, marker=m, linestyle="", label=plain(n)) for n, (c, m) in looks.items()]
        axes.legend(handles=handles, title=plain(tag), loc="upper left", bbox_to_anchor=(1.02, 1), fontsize=8,
                    title_fontsize=8, frameon=False, borderaxespad=0)  # fmt: skip


def shown_values(values: Sequence[str | None]) -> list[str]:
    """The values that get a colour, most frequent first, of equals by name."""
    counts = Counter(value for value in values if value is not None)
    return sorted(counts, key=lambda value: (-counts[value], value))[:MOST_VALUES]


def _draw_numbers(axes: Axes, places: np.ndarray, values: np.ndarray, tag: str, *, last: bool) -> None:
    known = ~np.isnan(values)
    x, y = places.T
    axes.scatter(x[~known], y[~known], s=8, color=FAINT, linewidths=0)
    if not known.any():
        return
    low, high = values[known].min(), values[known].max()
    dots = axes.scatter(x[known], y[known], s=16, c=values[known], cmap="viridis", vmin=low, vmax=high, linewidths=0)
    if last and axes.figure is not None:
        axes.figure.colorbar(dots, ax=axes, shrink=0.8, label=plain(tag))
