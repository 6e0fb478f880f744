"""The audio side of an alignment: the segments of every track by a frozen encoder, embedded once and kept beside the
run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save

from mirclr.errors import CheckpointError
from mirclr.features.described import read_tensors
from mirclr.features.embed import embed_tracks
from mirclr.features.extractor import Extractor
from mirclr.files import write_atomic
from mirclr.reports import Work

FILE = "segments.safetensors"
Segments = dict[str, np.ndarray]
"""Per sound (`audio_id`) its segments `(S, D)` float32, S >= 1."""


def heard(
    extractor: Extractor, tracks: pd.DataFrame, folder: Path, max_seconds: float | None, workers: int | None
) -> Work[tuple[Segments, pd.DataFrame]]:
    """The segments of `tracks`, and the quarantine table of those that could not be read.

    What `folder` keeps of this encoder and these seconds is not embedded again; what is new is added to it.
    """
    bound = {"encoder": extractor.fingerprint, "max_seconds": json.dumps(max_seconds)}
    kept = _read(folder / FILE, bound)
    new = tracks[~tracks["audio_id"].isin(list(kept))].reset_index(drop=True)
    done = yield from embed_tracks(extractor, new, workers, max_seconds)
    kept |= dict(zip(done.tracks["audio_id"], done.segments, strict=True))
    if len(done.tracks):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / FILE, kept, bound)
    return kept, done.quarantine


def _write(path: Path, segments: Segments, bound: Mapping[str, str]) -> None:
    tensors = {
        "vectors": torch.from_numpy(np.concatenate(list(segments.values()))),
        "counts": torch.tensor([len(rows) for rows in segments.values()]),
    }
    write_atomic(path, save(tensors, {**bound, "sounds": json.dumps(list(segments))}))


def _read(path: Path, bound: Mapping[str, str]) -> Segments:
    """What the file holds of this encoder; nothing when it is not there, damaged or another's: it can be made again."""
    try:
        tensors, metadata = read_tensors(path)
        if any(metadata.get(name) != value for name, value in bound.items()):
            return {}
        ends = np.cumsum(tensors["counts"].numpy())[:-1]
        parts = np.split(tensors["vectors"].numpy(), ends)
        return dict(zip(json.loads(metadata["sounds"]), parts, strict=True))
    except (CheckpointError, KeyError, ValueError):
        return {}
