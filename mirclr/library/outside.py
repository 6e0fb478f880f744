"""A file that is not in the library, heard by the library's encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mirclr.audio.scan import scan_files
from mirclr.errors import AudioError
from mirclr.features.embed import embed_tracks
from mirclr.features.extractor import Extractor
from mirclr.features.measurer import Measurer
from mirclr.library.index import HEARD_S
from mirclr.reports import finish


class Outside(NamedTuple):
    """A file that was heard: `track`, its row of the track table with what was measured; `vector` (D,), `segments`
    (S, D) and their `starts` (S,) in seconds."""

    track: dict[str, Any]
    vector: np.ndarray
    segments: np.ndarray
    starts: np.ndarray


def hear_file(path: Path, extractor: Extractor) -> Outside:
    """One audio file as the library would have it. Raises AudioError with the reason when it cannot be used."""
    found = finish(scan_files([path.absolute()], workers=1))
    _refuse(found.quarantine)
    measurer = Measurer(extractor.sample_rate)
    done = finish(embed_tracks(extractor, found.tracks, workers=1, max_seconds=HEARD_S, measurer=measurer))
    _refuse(done.quarantine)
    row, measures = dict(done.tracks.iloc[0].items()), done.measures[0]
    row |= {name: getattr(measures, name, None) for name in ("tempo", "key", "energy")}
    track = {str(name): None if pd.isna(value) else value for name, value in row.items()}
    return Outside(track, done.vectors[0], done.segments[0], done.starts[0])


def _refuse(quarantine: pd.DataFrame) -> None:
    for row in quarantine.to_dict("records"):
        raise AudioError(row["path"], row["reason"], row["detail"])
