"""A collection whose onsets a tiny network learns in a second: bursts at known times, one loudness an artist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from mirclr.audio.annotations import write_annotation
from mirclr.seeds import generator
from tests.support.tones import RATE

PARTS = ("train", "train", "train", "train", "valid", "valid", "test", "test")


def burst_times(name: str, seconds: float) -> np.ndarray:
    """Between 0.2 s and the end, 0.25 to 0.6 s apart."""
    gaps = generator(1, name).uniform(0.25, 0.6, round(seconds / 0.25))
    times = 0.2 + np.cumsum(gaps)
    return times[times < seconds - 0.1]


def sound(times: np.ndarray, seconds: float, name: str) -> np.ndarray:
    """Decaying noise at every time over a quieter hiss."""
    rng = generator(2, name)
    out = 0.003 * rng.standard_normal(round(seconds * RATE))
    burst = rng.standard_normal(RATE // 10) * np.exp(-np.arange(RATE // 10) / (0.02 * RATE))
    for time in times:
        start = round(time * RATE)
        out[start : start + len(burst)] += 0.2 * burst[: len(out) - start]
    return out.astype(np.float32)


def clicks_folder(folder: Path, seconds: float = 5.0) -> Path:
    """labels.csv (path, artist, part, onsets) and its sound, one track an artist."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for artist, part in enumerate(PARTS):
        times = burst_times(f"{artist}", seconds)
        soundfile.write(folder / f"{artist}.wav", sound(times, seconds, f"{artist}"), RATE)
        write_annotation(folder / "truth" / f"{artist}.csv", "onsets", pd.DataFrame({"time": times}))
        row = {"path": f"{artist}.wav", "artist": f"Artist {artist}", "part": part, "onsets": f"truth/{artist}.csv"}
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"
