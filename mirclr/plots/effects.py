"""What an augmentation does, as a picture: log-mel spectrograms before and after, side by side in one colour scale."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirclr.augment.spectrogram import LOG_POWER_PER_DB
from mirclr.plots.figure import new_figure

SPAN_DB = 80.0
"""Below the loudest cell; what lies deeper has one colour."""

TICKS_HZ = (100, 300, 1000, 3000, 10_000)


def draw_effect(before: np.ndarray, after: np.ndarray, title: str, *, hop_s: float, hertz: np.ndarray) -> Figure:
    """`(F, N)` natural-log mel power before and after an effect, with the same colours for the same decibels.

    `hop_s`: seconds from frame to frame; `hertz`: (F,) rising centre frequencies of the bands.
    Raises ValueError when the two shapes differ.
    """
    if before.shape != after.shape or before.ndim != 2:
        raise ValueError(f"before and after must be two spectrograms of one shape, got {before.shape}, {after.shape}")
    decibels = [part / LOG_POWER_PER_DB for part in (before, after)]
    top = max(float(part.max()) for part in decibels)
    figure = new_figure(10, 3.4)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, part, name in zip(panels, decibels, ("before", "after"), strict=True):
        extent = (-hop_s / 2, (part.shape[1] - 0.5) * hop_s, -0.5, part.shape[0] - 0.5)
        image = axes.imshow(
            part, origin="lower", aspect="auto", cmap="magma", vmin=top - SPAN_DB, vmax=top, extent=extent
        )
        axes.set_title(name, fontsize=9, loc="left")
        axes.set_xlabel("seconds", fontsize=8)
        axes.tick_params(labelsize=8)
    _mark_frequencies(panels[0], hertz)
    bar = figure.colorbar(image, ax=panels, shrink=0.9)
    bar.set_label("dB", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    figure.suptitle(title, fontsize=10, wrap=True)
    return figure


def _mark_frequencies(axes: Axes, hertz: np.ndarray) -> None:
    """Ticks at round frequencies between the lowest and the highest band."""
    shown = [tick for tick in TICKS_HZ if hertz[0] <= tick <= hertz[-1]]
    axes.set_yticks(np.interp(shown, hertz, np.arange(len(hertz))), [f"{tick:g}" for tick in shown])
    axes.set_ylabel("Hz", fontsize=8)
