"""Short tracks for tests of training: every track is a chord of its own in noise, written as FLAC."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

RATE = 8_000


def tone_track(number: int, seconds: float = 4.0) -> np.ndarray:
    """A chord of three partials that no other number has, tremolo at its own speed, and a little noise."""
    rng = np.random.default_rng(number)
    time = np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in rng.uniform(80, 3500, 3))
    tremolo = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 6) * time)
    return (0.15 * chord * tremolo + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def tone_folder(folder: Path, count: int = 8, seconds: float = 4.0) -> pd.DataFrame:
    """`count` files in `folder` and their track table; artists have two tracks each."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        path = folder / f"{number:02}.flac"
        soundfile.write(path, tone_track(number, seconds), RATE)
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        rows.append({"id": digest, "path": str(path), "artist": f"artist {number // 2}", "duration": seconds})
    return pd.DataFrame(rows)
