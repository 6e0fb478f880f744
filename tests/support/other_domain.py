"""The labelled tones through a wall: other chords of the same kinds, and of what lies above 500 Hz less and less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import butter, lfilter

from mirclr.audio.decode import decode
from mirclr.features.encoder_file import load_encoder
from mirclr.features.head_file import load_head
from tests.support.labelled_tones import KINDS, tone
from tests.support.tones import RATE

CUTOFF_HZ, ORDER = 500.0, 2


def other_folder(folder: Path, tracks: int = 6, seconds: float = 3.0) -> Path:
    """`tracks` of each kind that the labelled folder does not hold, named `kind-number.wav`."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for number in range(tracks):
            name = f"{kind}-{number}.wav"
            soundfile.write(folder / name, through_the_wall(tone(kind, f"other {name}", seconds)), RATE)
    return folder


def through_the_wall(samples: np.ndarray) -> np.ndarray:
    """`(T,)` to the same shape: 12 dB an octave above the cutoff."""
    return lfilter(*butter(ORDER, CUTOFF_HZ / (RATE / 2)), samples).astype(np.float32)


def accuracy(run: Path, folder: Path) -> float:
    """The share of tracks in `folder` that encoder and head of `run` call by their kind."""
    encoder = load_encoder(run, "cpu")
    saved = load_head(run, encoder.fingerprint)
    hits = []
    for path in sorted(folder.glob("*.wav")):
        segments, _ = encoder.segments(decode(path, encoder.sample_rate))
        scores = saved.head.scores(saved.head(torch.from_numpy(segments))).mean(0)
        hits.append(saved.vocabulary[int(scores.argmax())] == path.name.split("-")[0])
    return float(np.mean(hits))
