"""Small libraries with known vectors, and an extractor that hears only band energies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.library.search import Catalogue
from mirclr.library.store import Library


class Bands:
    """Band energies of one-second segments: an `Extractor` without weights, so that tests know what it hears."""

    def __init__(self, name: str = "bands", dim: int = 8, sample_rate: int = 8000) -> None:
        self.name, self.dim, self.sample_rate = name, dim, sample_rate
        self.fingerprint = hashlib.blake2b(f"{name} {dim} {sample_rate}".encode(), digest_size=16).hexdigest()
        self.heard = 0

    def segments(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T,) to (S, D) log band energies and (S,) start seconds."""
        self.heard += 1
        whole = np.resize(samples, max(len(samples), self.sample_rate)).astype(np.float64)
        clips = whole[: len(whole) // self.sample_rate * self.sample_rate].reshape(-1, self.sample_rate)
        power = np.abs(np.fft.rfft(clips))[:, : self.sample_rate // 2] ** 2
        bands = np.stack([band.sum(axis=1) for band in np.array_split(power, self.dim, axis=1)], axis=1)
        return np.log(bands + 1e-6).astype(np.float32), np.arange(len(clips), dtype=np.float64)


def track_row(path: str, audio: str = "", **fields: Any) -> dict[str, Any]:
    """A row of the contract's track table; `audio` names the sound, so equal names are copies."""
    digest = hashlib.blake2b((audio or path).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    row = {
        "id": digest,
        "path": path,
        "container": "wav",
        "codec": "pcm_s16le",
        "sample_rate": 44100,
        "channels": 2,
        "duration": 200.4,
        "artist": None,
        "album": None,
        "title": None,
        "genre": None,
        "year": None,
        "track": None,
        "size": 1000,
        "mtime_ns": 1,
        "audio_id": digest,
        "flags": "",
    }
    return row | fields


def fill(library: Library, rows: Sequence[Mapping[str, Any]], vectors: np.ndarray) -> None:
    """Store rows with one vector each, which is also their only segment."""
    with library.batch():
        for row, vector in zip(rows, vectors, strict=True):
            library.put_track(row)
            library.put_vectors(row["audio_id"], vector, vector[None], np.zeros(1))


def catalogue_of(folder: Path, rows: Sequence[Mapping[str, Any]], vectors: np.ndarray) -> Catalogue:
    """A library of `rows` and `vectors` in a new file of `folder`, loaded."""
    path = folder / f"{len(list(folder.iterdir()))}.db"
    with Library.open_or_create(path, Bands(dim=vectors.shape[1])) as library:
        fill(library, rows, np.asarray(vectors, np.float32))
        return Catalogue.load(library)
