"""How far a change of tempo, key or timbre moves a track, measured on the same changed sound for many encoders.

The invariance card (mirclr.evaluation.invariance) changes the sound anew for every encoder it is asked about. Where
encoders of one sample rate are compared by the dozen, the sound is changed once here and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mirclr.audio.decode import decode
from mirclr.errors import AudioError
from mirclr.evaluation.changes import Change, changes_for
from mirclr.evaluation.invariance import chosen_tracks, excerpt, shift_of
from mirclr.features.extractor import Extractor, track_vector

ASKED = {"tempo": ("-6 %", "+6 %"), "key": ("-2 st", "+2 st"), "timbre": ("±12 dB",)}
"""The changes that stand for an attribute: of tempo and key those that listeners notice and still call the same piece;
of timbre the strong equaliser."""


@dataclass(frozen=True)
class Versions:
    """`sounds`: per track its excerpt as it is, then under each of `changes`, `(T,)` float32 at `sample_rate` Hz."""

    sample_rate: int
    attributes: tuple[str, ...]
    sounds: tuple[tuple[np.ndarray, ...], ...]


def asked_changes(sample_rate: int) -> list[tuple[str, Change]]:
    """The changes of `ASKED` with the attribute each stands for."""
    lines = {("timbre" if c.attribute == "eq" else c.attribute, c.amount): c for c in changes_for(sample_rate)}
    return [(attribute, lines[attribute, amount]) for attribute, amounts in ASKED.items() for amount in amounts]


def heard_versions(
    tracks: pd.DataFrame, sample_rate: int, *, count: int = 40, seconds: float = 20.0, seed: int = 0
) -> Versions:
    """Excerpts of `seconds` of `count` tracks (column `path`) chosen by `seed`, and all their changed versions.

    Memory: `count` x 6 x `seconds` x `sample_rate` floats, 300 MB by default at 16 kHz. Files that cannot be decoded
    are left out: whoever compares encoders has listed them already.
    """
    asked, sounds = asked_changes(sample_rate), []
    for path in chosen_tracks(tracks, count, seed)["path"]:
        try:
            samples = decode(path, sample_rate)
        except AudioError:
            continue
        around, kept = excerpt(samples, sample_rate, seconds)
        sounds.append(tuple(version[kept] for version in (around, *(change(around, seed) for _, change in asked))))
    return Versions(sample_rate, tuple(attribute for attribute, _ in asked), tuple(sounds))


def sensitivity(extractor: Extractor, versions: Versions) -> dict[str, float]:
    """Per attribute the mean over its changes of the *shift* (mirclr.evaluation.invariance): 0, the track stays where
    it is; 1, it moves as far as to the next track.

    Raises ValueError where the extractor wants another sample rate, DatasetError as `shift_of`.
    """
    if extractor.sample_rate != versions.sample_rate:
        raise ValueError(f"{extractor.name} wants {extractor.sample_rate} Hz, the sound has {versions.sample_rate} Hz")
    vectors = np.stack([_vectors(extractor, sounds) for sounds in versions.sounds], axis=1)
    shifts = shift_of(extractor.name, vectors[0], vectors[1:])
    frame = pd.Series(shifts, index=list(versions.attributes))
    return {str(name): float(value) for name, value in frame.groupby(level=0, sort=False).mean().items()}


def _vectors(extractor: Extractor, sounds: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([track_vector(extractor.segments(sound)[0]) for sound in sounds])
