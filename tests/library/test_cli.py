"""The three commands on a small library of real files with an untrained encoder: what they print, write and refuse."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import soundfile
import torch
from click.testing import CliRunner, Result
from mutagen.flac import FLAC

from mirclr.cli.main import main
from mirclr.features.encoder_file import save_encoder
from mirclr.models.embedder import Embedder
from tests.support.audio_files import music_like

RATE = 8000
SMALL = {
    "sample_rate": RATE,
    "clip_seconds": 0.5,
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
}
SONGS = [  # artist, title, the sound's seed
    ("Björk", "Jóga", 0),
    ("Björk", "Hunter", 1),
    ("Björk", "Bachelorette", 2),
    ("Can", "Halleluwah", 3),
    ("Can", "Mushroom", 4),
    ("Neu!", "Hallogallo", 5),
    ("Neu!\n#EXTINF:0,x\n/etc/passwd", "../../../etc/passwd", 6),
    ("=cmd()", "Leb' wohl", 7),
]


def song(path: Path, artist: str, title: str, seed: int) -> None:
    soundfile.write(path, music_like(1.5, RATE, seed=seed), RATE, format="FLAC", subtype="PCM_16")
    tags = FLAC(path)
    tags["artist"], tags["title"] = artist, title
    tags.save()


def encoder(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    save_encoder(folder / "encoder", Embedder(SMALL), {"name": f"untrained {seed}"})
    return folder


def mirclr(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.stderr
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """music/ with eight songs, run/ with the encoder, library.db, and outside.flac, a ninth song."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "music").mkdir()
    for number, (artist, title, seed) in enumerate(SONGS):
        song(folder / "music" / f"{number}.flac", artist, title, seed)
    song(folder / "outside.flac", "Faust", "Krautrock", 8)
    store = folder / "library.db"
    made = mirclr("index", folder / "music", "--encoder", encoder(folder / "run", 0), "--store", store, "--json")
    assert json.loads(made.stdout) == {
        "store": str(store),
        "added": 8,
        "changed": 0,
        "moved": 0,
        "removed": 0,
        "unchanged": 0,
        "quarantined": 0,
    }
    return folder


def test_index_needs_no_encoder_the_second_time(place: Path) -> None:
    again = mirclr("index", place / "music", "--store", place / "library.db")
    assert again.stdout.splitlines() == [
        "added\tchanged\tmoved\tremoved\tunchanged\tquarantined",
        "0\t0\t0\t0\t8\t0",
    ]


def test_index_says_what_is_missing_and_refuses_another_encoder(place: Path, tmp_path: Path) -> None:
    first = mirclr("index", place / "music", "--store", tmp_path / "new.db", code=2)
    assert "with --encoder RUN" in first.stderr
    other = encoder(tmp_path / "other", 1)
    refused = mirclr("index", place / "music", "--store", place / "library.db", "--encoder", other, code=1)
    assert "'untrained 0'" in refused.stderr
    assert "'untrained 1'" in refused.stderr


def test_an_encoder_that_was_moved_is_asked_for(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    shutil.copy(place / "library.db", tmp_path / "library.db")
    mirclr("index", place / "music", "--store", tmp_path / "library.db", "--encoder", tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    for command in ("index", "similar"):
        lost = mirclr(command, place / "outside.flac", "--store", tmp_path / "library.db", code=1)
        assert "say where it is now, with --encoder RUN" in lost.stderr
    found = place / "outside.flac", "--store", tmp_path / "library.db", "--encoder", tmp_path / "moved"
    assert len(mirclr("similar", *found).stdout.splitlines()) == 9


def test_index_lists_bad_files_and_exits_with_three(place: Path, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    shutil.copy(place / "music" / "0.flac", tmp_path / "music")
    (tmp_path / "music" / "bad.mp3").write_text("no music")
    done = mirclr("index", tmp_path / "music", "--encoder", place / "run", "--store", tmp_path / "a.db", code=3)
    assert "not_audio" in done.stderr
    assert "bad.mp3" in done.stderr
    assert done.stdout.splitlines()[1] == "1\t0\t0\t0\t0\t1"


def test_similar_prints_a_table_of_the_others(place: Path) -> None:
    shown = mirclr("similar", place / "music" / "0.flac", "--store", place / "library.db", "-k", 3).stdout
    rows = list(csv.DictReader(io.StringIO(shown), delimiter="\t"))
    assert list(rows[0]) == ["rank", "similarity", "artist", "title", "path"]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    likeness = [float(row["similarity"]) for row in rows]
    assert likeness == sorted(likeness, reverse=True)
    assert str(place / "music" / "0.flac") not in {row["path"] for row in rows}


@pytest.mark.parametrize("words", ["joga", "BJÖRK - JÓGA", "björk jóga", "Jóga"])
def test_similar_takes_words_of_a_name(place: Path, words: str) -> None:
    by_path = mirclr("similar", place / "music" / "0.flac", "--store", place / "library.db").stdout
    assert mirclr("similar", words, "--store", place / "library.db").stdout == by_path


def test_similar_lists_the_candidates_of_ambiguous_words(place: Path) -> None:
    said = mirclr("similar", "björk", "--store", place / "library.db", code=2).stderr
    assert "3 tracks have this name; give a path or more words" in said
    assert all(title in said for title in ("Jóga", "Hunter", "Bachelorette"))
    assert (
        "Nearest names: Can - Mushroom"
        in mirclr("similar", "Can - Mushrom", "--store", place / "library.db", code=2).stderr
    )


def test_similar_takes_a_file_outside_the_library(place: Path, tmp_path: Path) -> None:
    shown = json.loads(mirclr("similar", place / "outside.flac", "--store", place / "library.db", "--json").stdout)
    assert len(shown) == 8
    shutil.copy(place / "music" / "3.flac", tmp_path / "copy.flac")
    same = json.loads(mirclr("similar", tmp_path / "copy.flac", "--store", place / "library.db", "--json").stdout)
    known = json.loads(mirclr("similar", "halleluwah", "--store", place / "library.db", "--json").stdout)
    assert [hit["path"] for hit in same] == [hit["path"] for hit in known]
    (tmp_path / "no.mp3").write_text("no music")
    assert "not_audio" in mirclr("similar", tmp_path / "no.mp3", "--store", place / "library.db", code=1).stderr


def test_playlist_writes_a_file_that_leads_to_the_music(place: Path) -> None:
    target = place / "list.m3u8"
    options = ("--store", place / "library.db", "--length", 6, "-o", target)
    done = mirclr("playlist", "hunter", "mushroom", *options)
    lines = target.read_text("utf-8").splitlines()
    paths = [line for line in lines if not line.startswith("#")]
    assert lines[0] == "#EXTM3U"
    assert lines[lines.index("music/1.flac") - 1] == "#EXTINF:2,Björk - Hunter"
    assert paths[:2] == ["music/1.flac", "music/4.flac"]
    assert len(paths) == len(set(paths)) == 6
    assert all((place / path).is_file() for path in paths)
    assert "wrote 6 track(s)" in done.stderr
    before = target.read_bytes()
    mirclr("playlist", "hunter", "mushroom", *options)
    assert target.read_bytes() == before


def test_hostile_tags_of_real_files_cannot_break_a_playlist(place: Path) -> None:
    target = place / "all.m3u8"
    mirclr("playlist", "hunter", "--store", place / "library.db", "-o", target)
    lines = target.read_text("utf-8").splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == [f"music/{n}.flac" for n in range(8)]
    assert sum(line.startswith("#EXTINF:2,") for line in lines) == 8


def test_playlist_leaves_seeds_out_and_writes_absolute_paths(place: Path) -> None:
    target = place / "list.json"
    options = ("--no-seeds", "--absolute", "--per-artist", 1, "-o", target)
    done = mirclr("playlist", "hunter", "--store", place / "library.db", *options, "--json")
    tracks = json.loads(target.read_text("utf-8"))["tracks"]
    assert [track["path"] for track in tracks] == [row["path"] for row in json.loads(done.stdout)]
    assert str(place / "music" / "1.flac") not in {track["path"] for track in tracks}
    artists = [track["artist"] for track in tracks]
    assert len(artists) == len(set(artists))
    assert "track(s) instead of 20" in done.stderr


def test_playlist_goes_on_from_a_playlist_and_lists_what_it_could_not_find(place: Path) -> None:
    (place / "mine.m3u").write_text("music/5.flac\noutside.flac\nhttp://radio/stream\ngone.mp3\n")
    done = mirclr("playlist", place / "mine.m3u", "--store", place / "library.db", "--length", 4, "--json", code=3)
    shown = json.loads(done.stdout)
    assert [row["path"] for row in shown[:2]] == [str(place / "music" / "5.flac"), str(place / "outside.flac")]
    assert len(shown) == 4
    assert "stream" in done.stderr
    assert "missing_file" in done.stderr
    assert "gone.mp3" in done.stderr


def test_playlist_refuses_before_it_works(place: Path, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("artist,title\n")
    refused = mirclr("playlist", "hunter", "--store", place / "library.db", "-o", tmp_path / "metadata.csv", code=2)
    assert "exists and is not a playlist" in refused.stderr
    assert refused.stdout == ""
    assert (
        "Did you mean '.m3u'"
        in mirclr("playlist", "hunter", "--store", place / "library.db", "-o", tmp_path / "a.m3u9", code=2).stderr
    )
    assert "no library store here" in mirclr("playlist", "x", "--store", tmp_path / "no.db", code=1).stderr
