"""Collections by procedural bands: factors independent where asked, files tagged, the table true, bytes repeatable."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pandas as pd
import pytest
import soundfile

from mirclr.audio.synth import KEYS, STYLES, Song, render
from mirclr.audio.synth_catalogue import (
    FACTORS,
    artist_names,
    catalogue,
    make_collection,
    write_collection,
    write_songs,
)
from mirclr.errors import UsageError
from mirclr.reports import finish


def explained(values: list[float], groups: list[str]) -> float:
    """The share of the variance of `values` that `groups` explain, less what chance explains (omega squared)."""
    table = pd.DataFrame({"value": values, "group": groups})
    between = table.groupby("group")["value"].transform("mean").var(ddof=0) / table["value"].var(ddof=0)
    n, k = len(table), table["group"].nunique()
    return float(1 - (1 - between) * (n - 1) / (n - k))


def test_free_factors_are_balanced_over_artists() -> None:
    songs = catalogue(10, 16, seed=1, independent=FACTORS)
    for artist in {s.artist for s in songs}:
        own = Counter(s.style for s in songs if s.artist == artist)
        assert own == dict.fromkeys(STYLES, 2)
    keys = Counter(s.key for s in songs)
    assert set(keys) == set(KEYS)
    assert max(keys.values()) - min(keys.values()) <= 1


def test_free_factors_explain_nothing_of_each_other() -> None:
    songs = catalogue(20, 16, seed=2, independent=FACTORS)
    tempi = list(np.log([s.tempo for s in songs]))
    tonics = [float(KEYS.index(s.key)) for s in songs]
    for values in (tempi, tonics):
        for groups in ([s.style for s in songs], [s.artist for s in songs]):
            assert abs(explained(values, groups)) < 0.06
    assert abs(np.corrcoef(tempi, tonics)[0, 1]) < 0.12


def test_bound_factors_go_together_as_in_the_world() -> None:
    songs = catalogue(16, 6, seed=3)
    styles = {a: {s.style for s in songs if s.artist == a} for a in {s.artist for s in songs}}
    assert all(len(own) == 1 for own in styles.values())
    assert Counter(next(iter(own)) for own in styles.values()) == dict.fromkeys(STYLES, 2)
    for song in songs:
        low, high = STYLES[song.style].tempo
        assert low - 0.1 <= song.tempo <= high + 0.1
    assert explained([s.tempo for s in songs], [s.style for s in songs]) > 0.7
    assert all(len({s.key for s in songs if s.artist == a}) <= 4 for a in styles)


def test_a_catalogue_follows_from_its_seed() -> None:
    assert catalogue(3, 4, seed=5) == catalogue(3, 4, seed=5)
    assert catalogue(3, 4, seed=5) != catalogue(3, 4, seed=6)
    songs = catalogue(30, 20, seed=0)
    assert len({s.seed for s in songs}) == 600
    assert len(set(artist_names(576, 0))) == 576


def test_mistakes_in_a_catalogue_are_said() -> None:
    with pytest.raises(ValueError, match="independent must be of"):
        catalogue(2, 2, 0, independent=("mood",))
    with pytest.raises(ValueError, match="at least 1 artist"):
        catalogue(0, 2, 0)
    with pytest.raises(ValueError, match="names for 576 artists"):
        artist_names(577, 0)
    with pytest.raises(UsageError, match="synth: need tempo"):
        finish(make_collection("nowhere", seconds=0.1))


SONGS = [
    Song("house", "The Test Tubes", 120, "C major", 1, 2.0),
    Song("waltz", "../AC/DC\n", 150, "A minor", 2, 2.0),
    Song("rock", "The Test Tubes", 130, "D major", 3, 2.0),
]


def tag(path: Path, vorbis: str, frame: str) -> str:
    file: Any = mutagen.File(path)
    return str(file[vorbis][0] if vorbis in file else file[frame].text[0])


def test_files_hold_what_the_table_says(tmp_path: Path) -> None:
    table = write_collection(tmp_path, SONGS, 16_000)
    pd.testing.assert_frame_equal(table, pd.read_csv(tmp_path / "labels.csv"), check_dtype=False)
    assert table["label"].tolist() == ["house", "waltz", "rock"]
    for row, song in zip(table.itertuples(), SONGS, strict=True):
        path = (tmp_path / str(row.path)).resolve()
        assert path.is_relative_to(tmp_path.resolve())
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == 16_000
        np.testing.assert_allclose(samples, render(song, 16_000).samples, atol=1 / 32_000)
        assert tag(path, "artist", "TPE1") == song.artist
        assert tag(path, "title", "TIT2") == row.title
        assert tag(path, "genre", "TCON") == song.style
    assert sorted(tmp_path.rglob(".new*")) == []


@pytest.mark.parametrize("format", ["wav", "ogg", "mp3"])
def test_other_formats_are_tagged_too(tmp_path: Path, format: str) -> None:
    table = write_collection(tmp_path, SONGS[:1], 16_000, format)
    path = tmp_path / table["path"][0]
    assert tag(path, "artist", "TPE1") == "The Test Tubes"
    assert tag(path, "tracknumber", "TRCK") == "1"
    assert soundfile.info(path).duration == pytest.approx(2.0, abs=0.1)


def test_the_same_songs_are_the_same_bytes_in_one_process_or_two(tmp_path: Path) -> None:
    write_collection(tmp_path / "a", SONGS)
    finish(write_songs(tmp_path / "b", SONGS, workers=2))
    written = [f.relative_to(tmp_path / "a") for f in sorted((tmp_path / "a").rglob("*.*")) if f.is_file()]
    assert len(written) == 4
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write 'wma'; known: flac"):
        write_collection(tmp_path, SONGS, format="wma")
