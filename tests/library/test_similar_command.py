"""`mirclr similar` with several likes, dislikes, artists, moments, filters: what it prints and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.library.test_cli import encoder, mirclr, song


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of six songs of three artists, and outside.flac beside it."""
    folder = tmp_path_factory.mktemp("similar")
    (folder / "music").mkdir()
    for number, artist in enumerate(["Can", "Can", "Neu!", "Neu!", "Faust", "Faust"]):
        song(folder / "music" / f"{number}.flac", artist, f"Song {number}", number)
    song(folder / "outside.flac", "Cluster", "Outside", 9)
    mirclr("index", folder / "music", "--encoder", encoder(folder / "run", 0), "--store", folder / "library.db")
    return folder / "library.db"


def asked(store: Path, *arguments: object) -> tuple[list[dict[str, object]], str]:
    done = mirclr("similar", *arguments, "--store", store, "--json")
    return json.loads(done.stdout), done.stderr


def test_several_likes_and_a_dislike_are_said_and_are_no_answers(store: Path) -> None:
    rows, said = asked(store, "Song 0", "--like", "Song 1:0.5", "--unlike", "Song 4")
    assert said.splitlines()[0] == "like Can - Song 0; like Can - Song 1 (weight 0.5); unlike Faust - Song 4"
    assert {row["title"] for row in rows} == {"Song 2", "Song 3", "Song 5"}


def test_an_artist_and_a_filter(store: Path) -> None:
    rows, said = asked(store, "--artist", "can", "--where", "artist != 'Faust' and energy > -70")
    assert said.splitlines()[0] == "like can; among 4 track(s)"
    assert {row["title"] for row in rows} == {"Song 2", "Song 3"}


def test_a_filter_on_a_tag(store: Path) -> None:
    rows, said = asked(store, "Song 0", "--where", "tag.title like 'song %' and tag.artist != 'can'")
    assert said.splitlines()[0] == "like Can - Song 0; among 4 track(s)"
    assert {row["title"] for row in rows} == {"Song 2", "Song 3", "Song 4", "Song 5"}


def test_moments_have_times_and_a_moment_can_be_asked_for(store: Path) -> None:
    rows, said = asked(store, "Song 0", "--at", "0:01", "--moments", "-k", 3)
    assert said.startswith("like Can - Song 0 at 0:0")
    assert len(rows) == 3
    assert all(row["at"] in ("0:00", "0:01") and 0 <= float(str(row["seconds"])) < 1.5 for row in rows)
    table = mirclr("similar", "Song 0", "--moments", "--store", store).stdout.splitlines()
    assert table[0].split("\t") == ["rank", "similarity", "at", "artist", "title", "path"]


def test_a_moment_of_a_file_outside_the_library(store: Path) -> None:
    rows, said = asked(store, store.parent / "outside.flac", "--at", "1")
    assert said.startswith("like Cluster - Outside at 0:0")
    assert len(rows) == 6


def test_correcting_hubs_changes_the_order_and_not_the_cosines(store: Path) -> None:
    plain, _ = asked(store, "Song 0", "--no-correct-hubs")
    corrected, _ = asked(store, "Song 0", "--correct-hubs")
    key = lambda row: row["title"]  # noqa: E731
    strip = lambda rows: [{**row, "rank": 0} for row in sorted(rows, key=key)]  # noqa: E731
    assert strip(plain) == strip(corrected)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to be like"),
        (["--at", "1:00"], "--at is a moment of TRACK"),
        (["Song 0", "--at", "9:00"], "the track ends at 0:01"),
        (["--words", "calm"], "--words and --joint go together"),
        (["--artist", "Cann"], r"no track of the library has this artist. Nearest: can"),
        (["Song 0", "--where", "tag.tilte = 'x'"], "no track has a tag 'tilte'. Did you mean tag.title"),
        (["Song 0", "--where", "gener = 'jazz'"], "no name 'gener'. Did you mean 'genre'?"),
        (["Song 0", "--words", "calm", "--joint", "x", "--moments"], "knows whole tracks only"),
        (["Song 0", "--like", "Song 1:0"], "a weight of 0 says nothing"),
    ],
)
def test_what_does_not_fit_together_is_refused(store: Path, arguments: list[str], complaint: str) -> None:
    assert complaint in mirclr("similar", *arguments, "--store", store, code=2).stderr
