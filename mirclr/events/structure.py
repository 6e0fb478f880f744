"""The sections of a track, from how much its moments resemble each other. Nothing is trained for it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

STEP_S = 0.5
"""Features are averaged over so many seconds: a section is a matter of bars, and the matrix grows with the square."""
KERNEL_S = 16.0
"""Width of the kernel: two phrases of eight seconds, one on each side."""
LEAST_S = 4.0
"""Boundaries nearer than this are one, the stronger one."""
PROMINENCE = 0.1
"""How far a peak of the novelty has to stand out, of its range over the track."""
ALIKE = 0.5
"""Cosine distance of mean features up to which two sections have one label."""


def sections(features: np.ndarray, step: float) -> pd.DataFrame:
    """Sections `start`, `end`, `label` (A, B, ...) of a track from `(N, C)` features every `step` seconds.

    Boundaries are peaks of Foote's novelty: a checkerboard with a Gaussian taper slid along the diagonal of the matrix
    of cosines ("Automatic audio segmentation using a measure of audio novelty", ICME 2000). Sections whose mean
    features are alike get one letter (average linkage), in the order they appear.
    """
    end = len(features) * step
    rows, width = _pooled(features, step)
    novelty = checkerboard_novelty(rows, max(2, round(KERNEL_S / 2 / width)))
    bounds = [0, *_boundaries(novelty, width), len(rows)]
    means = np.stack([rows[a:b].mean(axis=0) for a, b in pairwise(bounds)])
    times = [*(bound * width for bound in bounds[:-1]), end]
    return pd.DataFrame({"start": times[:-1], "end": times[1:], "label": _letters(means)})


def _pooled(features: np.ndarray, step: float) -> tuple[np.ndarray, float]:
    """Standardised means `(M, C)` of blocks of about STEP_S, and the seconds of a block."""
    size = max(1, round(STEP_S / step))
    count = max(1, len(features) // size)
    blocks = np.array_split(features[: count * size].astype(np.float64), count)
    rows = np.stack([block.mean(axis=0) for block in blocks])
    spread = rows.std(axis=0)
    return (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, np.inf), size * step


def checkerboard_novelty(rows: np.ndarray, half: int) -> np.ndarray:
    """`(M,)`: at k how unlike the `half` rows before k are to those from k on, and how alike each side is in itself.

    What lies beyond the ends of the track resembles nothing and weighs nothing.
    """
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    padded = np.pad(unit @ unit.T, half)
    place = np.arange(-half, half) + 0.5
    taper = np.exp(-2 * (place / half) ** 2)
    kernel = np.outer(np.sign(place) * taper, np.sign(place) * taper)
    size = 2 * half
    return np.array([(padded[k : k + size, k : k + size] * kernel).sum() for k in range(len(rows))])


def _boundaries(novelty: np.ndarray, width: float) -> list[int]:
    from scipy.signal import find_peaks

    span = float(np.ptp(novelty))
    if span == 0:
        return []
    found, _ = find_peaks(novelty, prominence=PROMINENCE * span, distance=max(1, round(LEAST_S / width)))
    return [int(k) for k in found]


def _letters(means: np.ndarray) -> list[str]:
    """A letter for each of `(S, C)` sections."""
    if len(means) == 1:
        return ["A"]
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=ALIKE)
    groups = model.fit_predict(means + 1e-9)  # a section of nothing but means has no direction of its own
    order = {group: place for place, group in enumerate(dict.fromkeys(groups.tolist()))}
    return [_letter(order[group]) for group in groups.tolist()]


def _letter(number: int) -> str:
    """A .. Z, then A1, B1, ..."""
    turn, place = divmod(number, 26)
    return chr(ord("A") + place) + (str(turn) if turn else "")
