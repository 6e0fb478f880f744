"""From a track table to what the loop reads: samples in a store, log-mel in a second one where that is enough."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirclr.audio.cache import CacheSettings, build, build_derived, default_folder
from mirclr.audio.store import RaggedStore
from mirclr.config import PretrainConfig
from mirclr.errors import TrainingError
from mirclr.models.frontend_base import Frontend
from mirclr.models.table import build_frontend
from mirclr.reports import Work
from mirclr.training.check import spectrogram_level
from mirclr.units import samples_of


@dataclass(frozen=True)
class Material:
    """`tracks`: one row per distinct sound, in the order of their ids; `store`: their rows; `clip`: length of a crop in
    the store's steps; `step_s`: seconds of one step; `level`: "samples" or "mel"; `quarantine`: what failed; `labels`
    `(n, C)` float32, a row of NaN for a track without one, where an objective learns from labels."""

    tracks: pd.DataFrame
    store: RaggedStore
    clip: int
    step_s: float
    level: str
    quarantine: pd.DataFrame
    labels: np.ndarray | None = None

    @property
    def collection(self) -> str:
        """Digest of the tracks, their artists and labels: the same folder gives the same runs."""
        artists = self.tracks["artist"].fillna("") if "artist" in self.tracks else [""] * len(self.tracks)
        lines = "\n".join(f"{i} {a}" for i, a in zip(self.tracks["id"], artists, strict=True))
        digest = hashlib.blake2b(lines.encode("utf-8", "surrogateescape"), digest_size=16)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).tobytes())
        return digest.hexdigest()

    def without(self, rows: np.ndarray) -> Material:
        """The same without some rows of the table."""
        kept = np.delete(np.arange(len(self.tracks)), rows)
        tracks = self.tracks.iloc[kept].reset_index(drop=True)
        return replace(self, tracks=tracks, labels=None if self.labels is None else self.labels[kept])


def _transform(frontend: Frontend, samples: np.ndarray) -> np.ndarray:
    """`(T,)` float32 to `(N, F)`, frames first as the store keeps them."""
    return frontend.track(torch.from_numpy(samples)).T.numpy()


def prepare(tracks: pd.DataFrame, config: PretrainConfig) -> Work[Material]:
    """Decode what is not decoded yet, and transform what is not transformed yet.

    The same sound found twice is one track: as two it would be its own negative. Raises TrainingError when fewer than
    two tracks are left.
    """
    folder = Path(config.cache.folder) if config.cache.folder else default_folder()
    settings = CacheSettings(config.audio.sample_rate, config.audio.max_seconds, max(30.0, 2 * config.views.seconds))
    cached = yield from build(tracks, folder, settings, config.cache.workers)
    kept = _distinct(tracks, cached.store)
    if len(kept) < 2:
        raise TrainingError(f"{len(kept)} usable track(s): contrast needs at least 2; see the quarantine list for why")
    rate = config.audio.sample_rate
    if not spectrogram_level(config):
        clip = samples_of(config.views.seconds, rate)
        return Material(kept, cached.store, clip, 1 / rate, "samples", cached.quarantine)
    frontend = build_frontend(config.frontend.name, rate, **config.frontend.options)
    about = {"sample_rate": rate, "max_seconds": config.audio.max_seconds, "frontend": config.frontend.model_dump()}
    store = yield from build_derived(
        cached.store, list(kept["id"]), folder, about, lambda samples: _transform(frontend, samples), hop=frontend.hop
    )
    clip = max(1, round(config.views.seconds * rate / frontend.hop))
    return Material(kept, store, clip, frontend.hop / rate, "mel", cached.quarantine)


def _distinct(tracks: pd.DataFrame, store: RaggedStore) -> pd.DataFrame:
    """Rows with sound in the store, one per id and decoded content, sorted by id: the order of files is no input."""
    kept = tracks[[i in store for i in tracks["id"]]].drop_duplicates("id").sort_values("id")
    if "audio_id" in kept:
        again = kept["audio_id"].notna() & kept.duplicated("audio_id")
        kept = kept[~again]
    return kept.reset_index(drop=True)
