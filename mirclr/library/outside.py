"""A file that is not in the library, heard by the library's encoder, and the recording of it that the library has."""

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
from mirclr.features.same_music import SAME_RECORDING, Heard, correlation
from mirclr.library.duplicates import listen
from mirclr.library.index import HEARD_S
from mirclr.library.search import Catalogue, best
from mirclr.reports import finish

ASKED = 5  # rows nearest to a file in sound, which are opened: another encoding or mastering of it is among the first


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


def own_row(catalogue: Catalogue, heard: Outside) -> int | None:
    """The row of the catalogue that holds this recording: the same sound, or of the rows most like it the first whose
    file is the same recording by ear (`mirclr.features.same_music`); None where there is none, or none can be opened.
    """
    same = catalogue.row_of_audio(heard.track["audio_id"])
    if same is not None:
        return same
    nearest = best(catalogue.similarities(catalogue.space.unit(heard.vector[None])[0]), min(ASKED, len(catalogue.unit)))
    paths, own = catalogue.tracks["path"], listen(heard.track["path"])
    return next((int(row) for row in nearest if _same_recording(own, paths.iloc[row])), None)


def _same_recording(sound: Heard, path: str) -> bool:
    try:
        return correlation(sound.bands, listen(path).bands)[0] >= SAME_RECORDING
    except AudioError:  # perhaps the library lies on a disk that is not here
        return False


def _refuse(quarantine: pd.DataFrame) -> None:
    for row in quarantine.to_dict("records"):
        raise AudioError(row["path"], row["reason"], row["detail"])
