"""Figures to PNG files, without a display and without matplotlib's global state."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mirclr.errors import UsageError
from mirclr.files import write_atomic
from mirclr.units import printable

INK, FAINT = "#222222", "#bbbbbb"
# Colours that the colour-blind tell apart too (Okabe and Ito, "Color universal design", 2008); yellow is left out: it
# cannot be seen on white.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
DPI = 144  # sharp on a screen of double density, small enough for a README


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches with a tight layout."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(text: str) -> str:
    """A name from a file as text of a figure: on one line, and its dollars no formula."""
    return printable(text).replace("$", r"\$")


def save_svg(figure: Figure, path: Path) -> Path:
    """Write `figure` to `path` (its folder is made) as vectors; the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "mirclr"}):  # names of parts are drawn at random otherwise
        figure.savefig(page, format="svg", metadata={"Date": None, "Creator": None})
    write_atomic(path, page.getvalue())
    return path


def save_png(figure: Figure, path: Path) -> Path:
    """Write `figure` to `path` (its folder is made); the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = io.BytesIO()
    figure.savefig(page, format="png", dpi=DPI, metadata={"Software": None})  # the default names a version
    write_atomic(path, page.getvalue())
    return path


def saver(path: Path) -> Callable[[Figure, Path], Path]:
    """How a figure is written to a file called `path`. Raises UsageError unless it ends in .png or .svg."""
    savers = {".png": save_png, ".svg": save_svg}
    if path.suffix.lower() not in savers:
        raise UsageError(f"{path}: a picture is written to a name that ends in {' or '.join(savers)}")
    return savers[path.suffix.lower()]
