"""Labelled collections written to a folder, with a few milliseconds of sound a file; Emotify as it is published."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from mirclr.seeds import generator

EMOTIONS = ["amazement", "solemnity", "tenderness", "nostalgia", "calmness", "power", "joyful_activation"]
EMOTIONS += ["tension", "sadness"]
GENRES = ("classical", "electronic", "pop", "rock")
RATE = 8_000


def write_sound(path: Path, seed: int | str, seconds: float = 0.05) -> Path:
    """A wav of noise that differs with `seed`, 8 kHz mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = generator(0, str(seed)).uniform(-0.5, 0.5, round(seconds * RATE))
    soundfile.write(path, noise.astype(np.float32), RATE, format="WAV", subtype="PCM_16")
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, object]], delimiter: str = ",") -> Path:
    """Rows as a table with a header line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def labelled_rows(
    artists: int = 6, tracks_each: int = 2, labels: Sequence[str] = ("jig", "reel")
) -> list[dict[str, object]]:
    """Rows `path, label, artist` of a small collection: every artist plays one label, labels in turn."""
    return [
        {"path": f"{a}-{t}.wav", "label": labels[a % len(labels)], "artist": f"Artist {a}"}
        for a in range(artists)
        for t in range(tracks_each)
    ]


def write_table(folder: Path, rows: Sequence[Mapping[str, object]], name: str = "labels.csv") -> Path:
    """A table and the sound of every row beside it."""
    for row in rows:
        write_sound(folder / str(row["path"]), str(row["path"]))
    return write_csv(folder / name, rows)


def _emotify_row(genre: str, number: int) -> dict[str, object]:
    draw = generator(3, genre, number)
    return {
        "path": f"{genre}/{number}.mp3",
        "label": genre,
        "artist": f"{genre} band {number % 5}",
        "album": 'Suite, "quoted"',
        "title": f"Title {number}",
        "tag_genre": genre.title(),
        "date": 2008,
        "duration": 60.04,
        "fold5": number % 5,
        "n_annot": 17,
        **{emotion: round(float(draw.uniform()), 4) for emotion in EMOTIONS},
        "licence": "CC BY-NC-SA",
        "source": "made up",
    }


def emotify_table(folder: Path) -> None:
    """metadata.csv and a folder per genre, ten files each; the sound is wav under an .mp3 name."""
    rows = [_emotify_row(genre, number) for genre in GENRES for number in range(1, 11)]
    write_table(folder, rows, "metadata.csv")


def emotify_archive(folder: Path) -> None:
    """The published archive: a folder per genre, files named by number, nothing else."""
    for genre in GENRES:
        for number in range(1, 7):
            write_sound(folder / genre / f"{number}.mp3", f"{genre}{number}")
