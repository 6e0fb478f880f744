"""A file that is not in the library, heard by the library's encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.audio.scan import scan_files
from mirclr.errors import AudioError
from mirclr.features.embed import embed_tracks
from mirclr.features.extractor import Extractor
from mirclr.library.index import HEARD_S
from mirclr.reports import finish


def embed_file(path: Path, extractor: Extractor) -> tuple[dict[str, Any], np.ndarray]:
    """The row of the track table and the (D,) vector of one audio file.

    Raises AudioError with the reason when it cannot be used.
    """
    found = finish(scan_files([path.absolute()], workers=1))
    _refuse(found.quarantine)
    done = finish(embed_tracks(extractor, found.tracks, workers=1, max_seconds=HEARD_S))
    _refuse(done.quarantine)
    row = done.tracks.iloc[0].items()
    return {str(name): None if pd.isna(value) else value for name, value in row}, done.vectors[0]


def _refuse(quarantine: pd.DataFrame) -> None:
    for row in quarantine.to_dict("records"):
        raise AudioError(row["path"], row["reason"], row["detail"])
