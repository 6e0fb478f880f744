"""What a reader of a result has to know about the collection behind it, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirclr.datasets.collection import Collection
from mirclr.datasets.sheet import SHOWN
from mirclr.datasets.targets import per_label, with_label
from mirclr.units import printable


def _names(labels: Sequence[str]) -> str:
    more = f", ... ({len(labels)} in all)" if len(labels) > SHOWN else ""
    return ", ".join(printable(label) for label in labels[:SHOWN]) + more


def _empty_labels(collection: Collection) -> list[str]:
    counts = per_label(collection.targets, collection.task, len(collection.vocabulary))
    empty = [label for label, count in zip(collection.vocabulary, counts, strict=True) if count == 0]
    return [f"no track has the label(s) {_names(empty)}"] if empty else []


def _lone_artists(collection: Collection) -> list[str]:
    """A label of one artist is either learnt or tested, never both, when artists stay together."""
    rows = with_label(collection.targets, collection.task, len(collection.vocabulary))
    artists = [len(set(collection.groups[has].tolist())) for has in rows]
    alone = [label for label, count in zip(collection.vocabulary, artists, strict=True) if count == 1]
    return [f"label(s) with a single artist, never both learnt and tested: {_names(alone)}"] if alone else []


def _unknown_artists(collection: Collection) -> list[str]:
    unknown, count = int(collection.tracks["artist"].isna().sum()), len(collection.tracks)
    return [f"{unknown} of {count} tracks name no single artist: overlap cannot be judged there"] if unknown else []


def _unused(collection: Collection) -> list[str]:
    used = np.unique(np.concatenate([rows for split in collection.splits for rows in split.parts.values()]))
    count = len(collection.tracks) - len(used)
    return [f"{count} track(s) are in no part of the split"] if count else []


def notes_on(collection: Collection) -> tuple[str, ...]:
    """Sentences on files left out, labels that cannot be judged, unknown artists and unused tracks."""
    out = [f"{len(collection.missing)} listed file(s) are missing"] if collection.missing else []
    out += [f"{len(collection.excluded)} known-bad file(s) are left out"] if collection.excluded else []
    out += _empty_labels(collection) + _lone_artists(collection) + _unknown_artists(collection)
    return tuple(out + _unused(collection))
