"""Figures to PNG files, without a display and without matplotlib's global state."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mirclr.files import write_atomic

INK, FAINT = "#222222", "#bbbbbb"
DPI = 144  # sharp on a screen of double density, small enough for a README


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches with a tight layout."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, path: Path) -> Path:
    """Write `figure` to `path` (its folder is made); the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = io.BytesIO()
    figure.savefig(page, format="png", dpi=DPI, metadata={"Software": None})  # the default names a version
    write_atomic(path, page.getvalue())
    return path
