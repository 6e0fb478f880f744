"""Tracks whose sound is what their texts say: every word is a direction, a track's segments lie near the sum of its
words. And the same as real files, for the command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from mirclr.audio.scan import track_table
from mirclr.config import merged, validate
from mirclr.reports import Progress
from mirclr.seeds import generator
from mirclr.training import align_run
from mirclr.training.align_config import AlignConfig
from mirclr.training.align_tracks import Listed
from tests.support.labelled_tones import tone
from tests.support.library import track_row
from tests.support.tones import RATE

WORDS = ("calm", "loud", "sad", "joyful", "piano", "guitar", "strings", "drums", "slow", "fast")
TINY: dict[str, Any] = {
    "text": {"buckets": 512, "width": 16, "drop_words": 0.0},
    "space": {"width": 32, "common": 16, "hidden": 32, "dim": 16, "dropout": 0.1},
    "optim": {"batch": 16, "learning_rate": 3e-3},
    "budget": {"steps": 12},
    "threads": 1,
    "workers": 1,
    "device": "cpu",
}
NOTHING = pd.DataFrame(columns=["path", "reason", "detail"])


def config(encoder: Path, **over: Any) -> AlignConfig:
    """A configuration that aligns in a second, sections of `over` laid on top."""
    return validate(AlignConfig, merged(merged(TINY, {"encoder": str(encoder)}), over), "test")


def words_of_track(number: int) -> list[str]:
    """Three different words."""
    return [WORDS[i] for i in generator(7, "words", number).permutation(len(WORDS))[:3]]


def listed_pairs(artists: int = 20, tracks: int = 4, **fields: Any) -> Listed:
    """Tracks by artists whose names say nothing, their words as the genre; `fields` of every row laid on top."""
    rows = [
        track_row(f"/music/{a}-{t}.wav", artist=f"Artist {a}", genre=" ".join(words_of_track(a * tracks + t))) | fields
        for a in range(artists)
        for t in range(tracks)
    ]
    return Listed(track_table(rows), {}, NOTHING)


def without_text(listed: Listed, rows: list[int]) -> Listed:
    """The same, `rows` of it without a tag."""
    table = listed.tracks.copy()
    table.loc[rows, ["artist", "genre"]] = None
    return Listed(table, listed.given, listed.quarantine)


def segments_of(listed: Listed, dim: int, noise: float = 0.3) -> dict[str, np.ndarray]:
    """Per sound two to four segments `(S, dim)`: the sum of its words' directions, and noise."""
    ways = {word: generator(3, "way", word).standard_normal(dim) for word in WORDS}
    out = {}
    for number, row in enumerate(listed.tracks.sort_values("path").to_dict("records")):
        rng = generator(5, "sound", row["path"])
        words = (row["genre"] or " ".join(words_of_track(number))).split()
        middle = np.sum([ways[word] for word in words if word in ways], axis=0)
        shape = (int(rng.integers(2, 5)), dim)
        out[row["audio_id"]] = (middle + noise * rng.standard_normal(shape)).astype(np.float32)
    return out


def hear(patch: pytest.MonkeyPatch, noise: float = 0.3) -> None:
    """The sound of a track is what `segments_of` says, and no file is opened."""

    def heard(extractor: Any, tracks: pd.DataFrame, folder: Path, *_: Any) -> Iterator[Progress]:
        yield Progress("embed", len(tracks), len(tracks))
        return segments_of(Listed(tracks, {}, NOTHING), extractor.dim, noise), NOTHING

    patch.setattr(align_run, "heard", heard)


def tagged_tones(folder: Path, artists: int = 6, tracks: int = 2) -> Path:
    """Real files of low and high chords under `folder`, by artists of one kind each, with tags that say so."""
    import mutagen

    folder.mkdir(parents=True, exist_ok=True)
    for artist in range(artists):
        kind = ("high", "low")[artist % 2]
        for number in range(tracks):
            path = folder / f"{artist}-{number}.flac"
            soundfile.write(path, tone(kind, path.stem, 2.0), RATE)
            tags = mutagen.File(path)
            tags.update({"artist": f"Artist {artist}", "title": f"Song {artist}{number}", "genre": f"{kind} chords"})
            tags.save()
    return folder


def real(path: str | Path) -> str:
    """The path as tables are joined by it."""
    return os.path.realpath(path)
