"""Playlists and tags as other programs take them: the paths they want, scripts that run nothing else, recordings."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen import id3
from mutagen.flac import FLAC
from mutagen.mp4 import MP4

from mirclr.audio.musicbrainz import recording_id
from mirclr.errors import UsageError
from mirclr.library.beets_script import AT_ONCE, beets_script
from mirclr.library.listenbrainz import EXTENSION, listenbrainz_text
from mirclr.library.players import PLAYERS, hand_over, lists_of_tags, read_lists
from mirclr.library.playlist_read import Listed, read_playlist
from tests.support.audio_files import write_format

MBID = "e8f9b188-f819-4e98-ab0f-4bd26ce9ff56"


def tagged(path: str, label: str, confidence: float | None = 0.9, field: str = "mood") -> dict[str, Any]:
    tag = {"label": label, "confidence": confidence, "value": 3.0}
    return {"path": path, "artist": "A", "title": "T", "field": field, "tags": [tag] if label else [], "best": tag}


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    for name in ("a/x.mp3", "# b.mp3", "#c/y.mp3", "lists/z.mp3"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize("player", sorted(PLAYERS))
def test_every_player_finds_the_tracks_and_the_rest_is_listed(player: str, songs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere.mp3"
    (tmp_path / "in").mkdir()
    paths = [songs / "a/x.mp3", songs / "# b.mp3", outside, songs / "lists/z.mp3"]
    (tmp_path / "in" / "mine.m3u8").write_text("#EXTM3U\nhttp://radio/\n" + "".join(f"{path}\n" for path in paths))
    lists, lost = read_lists([tmp_path / "in" / "mine.m3u8"])
    assert [row["reason"] for row in lost] == ["stream"]
    done = hand_over(player, lists, songs, songs / "lists")
    ((place, count),) = done.files.items()
    assert {row["path"]: row["reason"] for row in done.quarantine}[str(outside)] == "outside"
    if player == "mpd":  # it reads lines from the music folder, and # as a comment
        assert place.read_text() == "#EXTM3U\na/x.mp3\nlists/z.mp3\n"
        assert count == 2
    else:
        assert [each.path for each in read_playlist(place).tracks] == [path for path in paths if path != outside]
        assert "\n../a/x.mp3\n" in place.read_text()
        assert count == 3
    assert hand_over(player, lists, songs, songs / "lists").files == done.files  # again, over the first


def test_a_link_to_the_music_is_the_music(songs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(songs)
    done = hand_over("mpd", {"l": [Listed(path=tmp_path / "link" / "a" / "x.mp3")]}, songs, tmp_path)
    assert done.quarantine == []
    assert (tmp_path / "l.m3u").read_text() == "#EXTM3U\na/x.mp3\n"


def test_every_tag_is_a_playlist_surest_first() -> None:
    rows = [tagged("/1", "calm", 0.5), tagged("/2", "calm", 0.9), tagged("/3", "a/c: d?", None), tagged("/4", "")]
    lists = lists_of_tags(rows)
    assert {name: [str(each.path) for each in listed] for name, listed in lists.items()} == {
        "mood a_c_ d_": ["/3"],
        "mood calm": ["/2", "/1"],
    }


def test_what_cannot_be_handed_over_is_said(songs: Path, tmp_path: Path) -> None:
    lists = {"l": [Listed(path=songs / "a/x.mp3")]}
    with pytest.raises(UsageError, match="inside the music folder only"):
        hand_over("navidrome", lists, songs, tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        hand_over("mpd", lists, songs, tmp_path / "nowhere")
    (tmp_path / "l.m3u").write_text("shopping list")
    with pytest.raises(UsageError, match="was not written by mirclr"):
        hand_over("mpd", lists, songs, tmp_path)
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.m3u").write_text("#EXTM3U\n")
    with pytest.raises(UsageError, match="two playlists are called 'same'"):
        read_lists([tmp_path / "1" / "same.m3u", tmp_path / "2" / "same.m3u"])


NAME = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\n\r"), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAME.filter(lambda n: not n.endswith(",")), min_size=1, max_size=4, unique=True), label=NAME)
def test_a_script_for_beets_runs_what_it_says_and_nothing_else(names: list[str], label: str, tmp_path: Path) -> None:
    """A stand-in for beets writes down its arguments, one a line with a NUL behind."""
    (tmp_path / "beet").write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" >> {shlex.quote(str(tmp_path / "said"))}\n')
    (tmp_path / "beet").chmod(0o755)
    (tmp_path / "said").unlink(missing_ok=True)
    script = beets_script([tagged(f"/m/{name}", label) for name in names])
    (tmp_path / "go.sh").write_text(script.text)
    ran = subprocess.run(
        ["sh", tmp_path / "go.sh"], env={**os.environ, "BEET": str(tmp_path / "beet")}, cwd=tmp_path, check=True,
        capture_output=True,
    )  # fmt: skip
    said = (tmp_path / "said").read_bytes().decode().split("\0")[:-1]
    queries = [word for name in names for word in (",", f"path:/m/{name}")][1:]
    assert said == ["modify", "--yes", "--nowrite", "--nomove", *queries, f"mirclr_mood={label}"]
    assert (ran.stdout, script.quarantine) == (b"", [])


def test_tracks_of_one_value_share_commands_and_what_has_no_tag_loses_it() -> None:
    rows = [tagged(f"/{n}", "calm") for n in range(AT_ONCE + 1)] + [tagged("/z", ""), tagged("/a\nb", "calm")]
    script = beets_script(rows)
    assert [command.count("path:") for command in script.commands] == [AT_ONCE, 1, 1]
    assert script.commands[-1].endswith("path:/z 'mirclr_mood!'")
    assert [row["reason"] for row in script.quarantine] == ["path_not_writable"]


def test_a_script_fails_when_beets_does(tmp_path: Path) -> None:
    (tmp_path / "go.sh").write_text(beets_script([tagged("/a", "calm"), tagged("/b", "loud")]).text)
    ran = subprocess.run(
        ["sh", tmp_path / "go.sh"], env={**os.environ, "BEET": "false"}, check=False, capture_output=True, text=True
    )
    assert (ran.returncode, "import them" in ran.stderr) == (1, True)


def _mp3(path: Path) -> None:
    tags = id3.ID3()
    tags.add(id3.UFID(owner="http://musicbrainz.org", data=MBID.encode()))
    tags.save(path)


def _flac(path: Path) -> None:
    tags = FLAC(path)
    tags["musicbrainz_trackid"] = MBID.upper()
    tags.save()


def _m4a(path: Path) -> None:
    tags = MP4(path)
    tags["----:com.apple.iTunes:MusicBrainz Track Id"] = [MBID.encode()]
    tags.save()


@pytest.mark.parametrize(("name", "write"), [("cbr.mp3", _mp3), ("lossless.flac", _flac), ("aac.m4a", _m4a)])
def test_recordings_are_found_where_taggers_put_them(name: str, write: Any, tmp_path: Path) -> None:
    path = write_format(tmp_path / name, name, seconds=0.2)
    assert recording_id(path) is None
    write(path)
    assert recording_id(path) == MBID


def test_listenbrainz_gets_recordings_and_no_paths(tmp_path: Path) -> None:
    with_id = write_format(tmp_path / "a.flac", "lossless.flac", seconds=0.2)
    _flac(with_id)
    without = write_format(tmp_path / "b.mp3", "cbr.mp3", seconds=0.2)
    (tmp_path / "words.mp3").write_text("words")
    listed = [Listed(path=with_id, artist="A", title="T"), Listed(path=without), Listed(path=tmp_path / "words.mp3")]
    text, bad = listenbrainz_text("Mine", listed)
    told = json.loads(text)["playlist"]
    assert told["track"] == [
        {"identifier": [f"https://musicbrainz.org/recording/{MBID}"], "title": "T", "creator": "A"}
    ]
    assert (told["title"], told["extension"][EXTENSION]) == ("Mine", {"public": False})
    assert str(tmp_path) not in text
    assert [row["reason"] for row in bad] == ["no_recording_id", "no_recording_id"]
