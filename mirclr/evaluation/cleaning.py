"""What would spoil a collection: files that are no sound, flaws that a scan hears, and tracks that sound alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mirclr.audio.scan import scan_files
from mirclr.evaluation.retrieval import near_duplicates
from mirclr.features.embed import embed_tracks
from mirclr.features.handcrafted import MfccStatistics
from mirclr.reports import Work


@dataclass(frozen=True, eq=False)
class Heard:
    """`tracks` and `quarantine` as a scan gives them; `pairs` of paths that sound alike."""

    tracks: pd.DataFrame
    quarantine: pd.DataFrame
    pairs: tuple[tuple[str, str], ...]


def hear(paths: Sequence[str], workers: int | None = None, near: bool = True) -> Work[Heard]:
    """Scan files and, if `near`, search all pairs whose MFCC statistics are closer than `NEAR_DUPLICATE`.

    Statistics are standardised over the files heard, so a pair is near against the variety of this collection.
    """
    scanned = yield from scan_files([Path(path) for path in paths], workers=workers)
    if not near or len(scanned.tracks) < 2:
        return Heard(scanned.tracks, scanned.quarantine, ())
    embedded = yield from embed_tracks(MfccStatistics(), scanned.tracks, workers)
    names = embedded.tracks["path"].tolist()
    pairs = tuple((names[i], names[j]) for i, j in near_duplicates(embedded.vectors, most=None))
    lost = pd.concat([scanned.quarantine, embedded.quarantine], ignore_index=True)
    kept = scanned.tracks[scanned.tracks["path"].isin(names)].reset_index(drop=True)
    return Heard(kept, lost, pairs)
