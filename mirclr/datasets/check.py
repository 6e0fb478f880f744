"""What is on disk beside what was promised: counts per label, missing and invalid files apart, leaks, splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.audio.scan import ScanResult, quarantine_table, scan_files
from mirclr.datasets.collection import Collection
from mirclr.datasets.leakage import Leak, audit
from mirclr.datasets.partial import differences
from mirclr.datasets.splits import Split
from mirclr.datasets.targets import per_label
from mirclr.reports import Work


@dataclass(frozen=True, eq=False)
class Findings:
    """A collection as found, its tracks with their `audio_id`. `invalid`: columns path, reason, detail, one row a file
    that is there and is no sound. `leaks`: all of them, allowed or not. `differences`: sentences on counts and
    annotation files that are not the declared ones. `flags`: how many files are silent, clipped, ...
    (`mirclr.audio.reasons.FLAGS`)."""

    collection: Collection
    invalid: pd.DataFrame
    leaks: tuple[Leak, ...]
    differences: tuple[str, ...]
    flags: dict[str, int]

    @property
    def is_complete(self) -> bool:
        """Nothing is missing, broken or different from the declaration."""
        return not (self.collection.missing or len(self.invalid) or self.differences)

    def label_rows(self) -> list[dict[str, object]]:
        """Per label: `declared` (None where datasets.yaml names no number), `listed`, `on_disk`, `invalid`."""
        found, size = self.collection, len(self.collection.vocabulary)
        broken = found.tracks["path"].isin(self.invalid["path"]).to_numpy()
        counts = zip(
            found.vocabulary,
            found.listed,
            per_label(found.targets, found.task, size).tolist(),
            per_label(found.targets[broken], found.task, size).tolist(),
            strict=True,
        )
        names = ("label", "declared", "listed", "on_disk", "invalid")
        declared = found.expected.labels
        return [dict(zip(names, (label, declared.get(label), *rest), strict=True)) for label, *rest in counts]

    def split_rows(self) -> list[dict[str, object]]:
        """Per split and part: `tracks`, `artists` (an unknown artist counts as one), `labels` that occur in it."""
        return split_rows(self.collection)


def split_rows(collection: Collection, splits: Sequence[Split] | None = None) -> list[dict[str, object]]:
    """Per split (default: the collection's) and part: `tracks`, `artists`, `labels`; see `Findings.split_rows`."""
    return list(_split_rows(collection, collection.splits if splits is None else splits))


def _split_rows(collection: Collection, splits: Sequence[Split]) -> Iterator[dict[str, object]]:
    for split in splits:
        for part, rows in split.parts.items():
            counts = per_label(collection.targets[rows], collection.task, len(collection.vocabulary))
            artists = len(np.unique(collection.groups[rows]))
            labels = int((counts > 0).sum())
            yield {"split": split.name, "part": part, "tracks": len(rows), "artists": artists, "labels": labels}


def _invalid(collection: Collection, scanned: ScanResult) -> pd.DataFrame:
    """The quarantine of a scan, and the files it passed over because neither name nor content is sound: listed as
    tracks, they are faults here."""
    seen = {*scanned.tracks["path"], *scanned.quarantine["path"]}
    other = [path for path in collection.tracks["path"] if path not in seen]
    rows = [{"path": path, "reason": "not_audio", "detail": "listed as a track, holds no sound"} for path in other]
    return pd.concat([scanned.quarantine, quarantine_table(rows)], ignore_index=True)


def check_collection(collection: Collection, workers: int | None = None) -> Work[Findings]:
    """Hear every file of a collection (as `mirclr.audio.scan` does, in `workers` processes) and audit its splits, now
    also for recordings that are the same sound in other bytes."""
    scanned = yield from scan_files([Path(path) for path in collection.tracks["path"]], workers=workers)
    heard = collection.with_audio_ids(scanned.tracks)
    flags = Counter(flag for flags in scanned.tracks["flags"] for flag in flags.split(",") if flag)
    return Findings(heard, _invalid(heard, scanned), tuple(audit(heard)), differences(heard), dict(flags))
