"""A small library of real sound to look at: known places in sound space, and tags and names that mean harm."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mirclr.library.store import Library
from tests.support.audio_files import music_like
from tests.support.library import Bands, fill, track_row

RATE = 8000
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
# file name, artist, title, genre, year
SONGS: list[tuple[bytes, str | None, str | None, str | None, int | None]] = [
    (b"00 plain.flac", "Bj\u00f6rk", "J\u00f3ga", "pop", 1997),
    (b"01 plain.flac", "Bj\u00f6rk", "Hunter", "pop", 1997),
    (b"02 100% #1?.flac", "Can", "Halleluwah", "rock", 1971),
    (b"03 plain.flac", "Can", "Mushroom", "rock", 1971),
    (b"04 plain.flac", HOSTILE, HOSTILE, HOSTILE, 1),
    (b"05 '\"<b>.flac", "=cmd()", "line\u2028end\u2029here", "pop", 2001),
    (b"06 \xff bytes.flac", None, None, None, None),
    (b"07 line\nbreak.flac", "Neu!", "Hallogallo\n#EXTINF:1,x", "rock", 1972),
    (b"08 \xc3\xa9t\xc3\xa9.flac", "Fran\u00e7oise Hardy", "L'\u00e9t\u00e9", "pop", 1966),
    (b"09 plain.flac", "Neu!", "Hero", "rock", 1975),
    (b"10 plain.flac", "Faust", "Krautrock", "rock", 1973),
    (b"11 plain.flac", "Faust", "The Sad Skinhead", "rock", 1973),
]


def rows(folder: Path) -> list[dict[str, Any]]:
    """The table rows; files that `sound` writes."""
    return [
        track_row(
            os.fsdecode(os.fsencode(folder / "music") + b"/" + name),
            container="flac",
            duration=3.0,
            artist=artist,
            title=title,
            genre=genre,
            year=year,
        )
        for name, artist, title, genre, year in SONGS
    ]


def make_library(folder: Path) -> Path:
    """`folder`/library.db of the songs in `folder`/music, with vectors drawn from a seed."""
    (folder / "music").mkdir()
    listed = rows(folder)
    for seed, row in enumerate(listed):
        soundfile.write(os.fsencode(row["path"]), music_like(3.0, RATE, seed=seed), RATE, format="FLAC")
    vectors = np.random.default_rng(3).normal(size=(len(listed), 8)).astype(np.float32)
    with Library.open_or_create(folder / "library.db", Bands()) as library:
        fill(library, listed, vectors)
    return folder / "library.db"


def lines_of(playlist: Path) -> list[str]:
    """The paths of an M3U8 as a player reads them."""
    lines = playlist.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    assert lines[0] == "#EXTM3U"
    return [line for line in lines if line and not line.startswith("#")]
