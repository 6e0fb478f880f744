"""A labelled collection that a tiny network learns in a second: low chords and high ones, one kind an artist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch

from mirclr.config import merged, validate
from mirclr.datasets.collection import Collection
from mirclr.datasets.table import load_collection
from mirclr.features.encoder_file import save_encoder
from mirclr.models.embedder import Embedder
from mirclr.seeds import generator
from mirclr.training.finetune_config import FinetuneConfig
from tests.support.tones import RATE

KINDS = {"high": (1500.0, 3500.0), "low": (100.0, 400.0)}
PLAN: dict[str, Any] = {
    "sample_rate": RATE,
    "clip_seconds": 1.0,
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
}
TINY: dict[str, Any] = {
    "optim": {"batch": 4, "learning_rate": 1e-2},
    "lora": {"rank": 2},
    "budget": {"steps": 12},
    "threads": 1,
    "workers": 0,
}


def tone(kind: str, name: str, seconds: float) -> np.ndarray:
    """Three partials within the kind's range, and a little noise."""
    rng, time = generator(0, kind, name), np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in rng.uniform(*KINDS[kind], 3))
    return (0.15 * chord + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def labelled_folder(folder: Path, artists: int = 8, tracks: int = 2, seconds: float = 3.0) -> Path:
    """labels.csv (path, label, artist, part) and its sound: the last two artists are the test part."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for artist in range(artists):
        kind = list(KINDS)[artist % 2]
        for number in range(tracks):
            name = f"{artist}-{number}.wav"
            soundfile.write(folder / name, tone(kind, name, seconds), RATE)
            part = "test" if artist >= artists - 2 else "valid" if artist >= artists - 4 else "train"
            rows.append({"path": name, "label": kind, "artist": f"Artist {artist}", "part": part})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def labelled(folder: Path) -> Collection:
    """The collection in a folder that `labelled_folder` wrote, with its published parts."""
    return load_collection(folder / "labels.csv", split="part")


def tiny_encoder(folder: Path, **plan: Any) -> Path:
    """An encoder folder with random weights and a normalisation."""
    torch.manual_seed(3)
    embedder = Embedder(merged(PLAN, plan))
    embedder.fit([torch.randn(4, 16, 60) * 3 - 8])
    save_encoder(folder / "encoder", embedder, {"name": "tiny", "notes": ["a note of the encoder"]})
    return folder


def tuning(cache: Path, **over: Any) -> FinetuneConfig:
    """A configuration that fine-tunes in a second, its cache in `cache`, sections of `over` laid on top."""
    base = merged(TINY, {"cache": {"folder": str(cache), "workers": 1}})
    return validate(FinetuneConfig, merged(base, over), "test")
