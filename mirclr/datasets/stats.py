"""What a collection is made of, from its annotations alone: labels, artists and parts counted, targets summed up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mirclr.datasets.collection import Collection
from mirclr.datasets.targets import with_label
from mirclr.datasets.tasks import spoken

QUANTILES = {"min": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75, "max": 1.0}


def label_stats(collection: Collection) -> list[dict[str, Any]]:
    """A row per label: `tracks`, their `share` in 0..1, `artists` (an unknown one counts as one), `largest`, the share
    of its tracks by its most frequent artist. For numbers a row per target: `mean`, `deviation`, quantiles,
    in the unit people use (tempi: beats per minute)."""
    if collection.task == "regression":
        return list(_target_rows(collection))
    rows = with_label(collection.targets, collection.task, len(collection.vocabulary))
    return [_label_row(collection, label, has) for label, has in zip(collection.vocabulary, rows, strict=True)]


def _label_row(collection: Collection, label: str, has: np.ndarray) -> dict[str, Any]:
    count = int(has.sum())
    artists = np.unique(collection.groups[has], return_counts=True)[1]
    largest = float(artists.max() / count) if count else 0.0
    return {
        "label": label,
        "tracks": count,
        "share": count / len(has),
        "artists": len(artists),
        "largest": largest,
    }


def _target_rows(collection: Collection) -> Iterator[dict[str, Any]]:
    for name, column in zip(
        collection.vocabulary, spoken(collection.kind, collection.targets).T.astype(np.float64), strict=True
    ):
        quantiles = {key: float(np.quantile(column, at)) for key, at in QUANTILES.items()}
        yield {"label": name, "mean": float(column.mean()), "deviation": float(column.std()), **quantiles}


def summary(collection: Collection) -> dict[str, Any]:
    """`tracks`, `artists` known by name, `unknown` tracks of no single artist, `labels` in use; for multilabel also
    `labels_per_track` (mean) and `unlabelled` tracks."""
    known = collection.tracks["artist"].notna().to_numpy()
    out: dict[str, Any] = {
        "tracks": len(known),
        "artists": len(np.unique(collection.groups[known])),
        "unknown": int((~known).sum()),
        "labels": int(with_label(collection.targets, collection.task, len(collection.vocabulary)).any(axis=1).sum()),
    }
    if collection.task == "multilabel":
        per_track = collection.targets.sum(axis=1)
        out |= {"labels_per_track": float(per_track.mean()), "unlabelled": int((per_track == 0).sum())}
    return out
