"""The confusion matrix: who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirclr.plots.figure import INK, new_figure, plain

COUNTED = 20  # up to this many classes the count is written into its cell; beyond, only the colour is legible


def draw_confusion(counts: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """`(K, K)` counts, true class down and predicted class across, as a figure.

    Colour is the share of the true class (rows add up to one), so that a rare class is as visible as a common one;
    the number in a cell is the count. A class without a track has an empty row.
    """
    support = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    side = float(np.clip(0.55 * len(labels), 2.6, 16))
    figure = new_figure(side + 2.4, side + 1.2)
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    _name_axes(axes, labels, title)
    if len(labels) <= COUNTED:
        _write_counts(axes, counts, share)
    return figure


def _name_axes(axes: Axes, labels: Sequence[str], title: str) -> None:
    labels = [plain(label) for label in labels]
    size = 9 if len(labels) <= COUNTED else 6
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(range(len(labels)), labels, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(plain(title), fontsize=10, wrap=True)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write_counts(axes: Axes, counts: np.ndarray, share: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.5 else INK
            axes.text(column, row, str(int(count)), ha="center", va="center", color=colour, fontsize=9)
