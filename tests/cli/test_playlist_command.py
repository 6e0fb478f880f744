"""`mirclr playlist` and `mirclr adapt` as typed, on a store of random sound: what they print, write and repeat."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from mirclr.features.measures import SIZES, Measures
from mirclr.library.playlist_formats import FORMATS
from mirclr.library.playlist_read import read_playlist
from mirclr.library.store import Library
from mirclr.library.track_tags import put_tags
from mirclr.seeds import generator
from tests.support.library import Bands, track_row

KEYS = ["C major", "A minor", "F# minor", "Eb major"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`library.db`: 60 tracks of 12 artists under /mnt/music, measured."""
    folder = tmp_path_factory.mktemp("playlists")
    draw = generator(0, "command")
    described = {name: draw.normal(size=(60, size)).astype(np.float32) for name, size in SIZES.items()}
    with Library.open_or_create(folder / "library.db", Bands()) as library, library.batch():
        for n in range(60):
            row = track_row(
                f"/mnt/music/{n:02}.mp3",
                artist=f"Artist {n % 12}",
                title=f"Title {n:02}",
                genre=["Jazz", "Rock"][n % 2],
            )
            segments = draw.normal(size=(4, 8)).astype(np.float32)
            library.put_track(row)
            library.put_vectors(row["audio_id"], segments.mean(axis=0), segments, 10.0 * np.arange(4))
            measures = Measures(
                float(draw.uniform(60, 180)), KEYS[n % 4], float(draw.normal(-16, 4)),
                **{name: rows[n] for name, rows in described.items()},
            )  # fmt: skip
            library.put_measures(row["audio_id"], measures, "test")
            put_tags(library, row["id"], {"mood": ["calm", "dark"] if n % 3 else ["wild"]})
    return folder


@pytest.fixture(autouse=True)
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def mirclr(*words: object, code: int = 0, stdin: str | None = None) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words], input=stdin)
    assert done.exit_code == code, done.output
    return done


def paths_in(file: str) -> list[str]:
    return [str(track.path) for track in read_playlist(Path(file)).tracks]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--shape", "journey", "--length", "9"],
        ["--shape", "walk", "--seed", "4", "--temperature", "1", "--drift", "0.8"],
        ["--arc", "tempo=70,150", "--weight", "key=1", "--weight", "join=0"],
        ["--minutes", "30-36", "--artist-run", "1", "--where", "genre = 'Jazz'", "--must", "title 08", "--no-seeds"],
    ],
)
def test_a_playlist_file_tells_how_to_make_it_again(words: list[str]) -> None:
    mirclr("playlist", "title 03", "title 40", *words, "-o", "one.m3u8")
    text = Path("one.m3u8").read_bytes()
    (command,) = re.findall(rb"^# again: mirclr (.*)$", text, re.MULTILINE)
    Path("one.m3u8").unlink()
    mirclr(*shlex.split(command.decode()))
    assert Path("one.m3u8").read_bytes() == text


def test_rules_typed_are_rules_kept() -> None:
    words = ["--where", "genre = 'Jazz'", "--must", "title 08", "--artist-run", 1, "--length", 8, "--json"]
    shown = json.loads(mirclr("playlist", "title 04", *words).stdout)
    numbers = [int(row["title"].split()[1]) for row in shown]
    assert len(numbers) == 8
    assert all(number % 2 == 0 for number in numbers)
    assert {4, 8} <= set(numbers)
    mirclr("playlist", "title 04", "--length", 40, "--per-artist", 5, "-o", "heard.csv")
    after = mirclr("playlist", "title 04", "--played", "heard.csv", "--length", 10, "--per-artist", 5, "--json")
    assert not {row["path"] for row in json.loads(after.stdout)[1:]} & set(paths_in("heard.csv"))
    minutes = mirclr("playlist", "title 04", "--minutes", 30, "--json")
    assert len(json.loads(minutes.stdout)) == 8  # of 200 s: more than 28.5 minutes, not more than 30, is 9 - 1


def test_every_list_can_be_of_a_tag() -> None:
    wild = ["--where", "tag.mood = 'wild'", "--per-artist", 9]
    made = mirclr("playlist", "title 03", *wild, "--length", 6, "--json", "-o", "wild.m3u8").stdout
    assert {int(row["title"].split()[1]) % 3 for row in json.loads(made)} == {0}
    mirclr("playlist", "extend", "wild.m3u8", "--by", 4, *wild, "-o", "wilder.m3u8")
    assert len(paths_in("wilder.m3u8")) == 10
    assert {int(Path(path).stem) % 3 for path in paths_in("wilder.m3u8")} == {0}
    heard = mirclr("playlist", "radio", "title 03", *wild[:2], "--count", 5).stdout.split()
    assert {int(Path(path).stem) % 3 for path in heard} == {0}
    said = mirclr("playlist", "title 03", "--where", "tag.mod = 'wild'", code=2).stderr
    assert "no track has a tag 'mod'. Did you mean tag.mood?" in said


def test_reasons_are_shown_and_written() -> None:
    shown = json.loads(mirclr("playlist", "title 05", "--length", 4, "--explain", "--json", "-o", "why.json").stdout)
    kept = json.loads(Path("why.json").read_text())["tracks"]
    assert [track["why"]["to_seed"] for track in kept] == [row["to_seed"] for row in shown]
    assert 0.98 < sum(shown[1][name] or 0 for name in ("timbre", "rhythm", "harmony", "tags")) < 1.02
    assert re.fullmatch(r"0:[0-3]0", shown[1]["moment"])
    header = mirclr("playlist", "title 05", "--length", 4, "--explain", "-o", "why.csv").stdout.splitlines()[0]
    assert header.split("\t")[4:6] == ["to_seed", "to_previous"]
    assert "why_timbre" in Path("why.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("extension", list(FORMATS))
def test_a_list_goes_through_every_format_and_place(extension: str) -> None:
    mirclr("playlist", "title 01", "--length", 6, "-o", "start.json")
    mirclr("playlist", "convert", "start.json", "-o", f"there{extension}", "--map", "/mnt/music=Z:\\Tunes")
    mirclr("playlist", "convert", f"there{extension}", "-o", "back.json", "--map-in", "/mnt/music=Z:\\Tunes")
    assert paths_in("back.json") == paths_in("start.json")


def test_orders_and_extends_what_is_there() -> None:
    mirclr("playlist", "title 09", "--length", 12, "--order", "ranked", "-o", "list.xspf")
    mirclr("playlist", "order", "list.xspf", "-o", "ordered.pls")
    assert sorted(paths_in("ordered.pls")) == sorted(paths_in("list.xspf"))
    assert paths_in("ordered.pls")[0] == paths_in("list.xspf")[0]
    mirclr("playlist", "extend", "ordered.pls", "--by", 5, "-o", "longer.m3u")
    assert paths_in("longer.m3u")[:12] == paths_in("ordered.pls")
    assert len(set(paths_in("longer.m3u"))) == 17
    mirclr("playlist", "extend", "list.xspf", "--shape", "journey", code=2)


def test_what_a_playlist_names_in_vain_is_listed() -> None:
    Path("vain.m3u").write_text(
        "/mnt/music/03.mp3\n/gone.mp3\nhttp://radio/x\n#EXTINF:1,Artist 4 - Title 04\n/old/4.mp3\n"
    )
    done = mirclr("playlist", "order", "vain.m3u", "--json", code=3)
    assert {row["title"] for row in json.loads(done.stdout)} == {"Title 03", "Title 04"}
    assert "1 by tags" in done.stderr
    assert "missing_file: /gone.mp3" in done.stderr
    assert "stream: http://radio/x" in done.stderr


def test_cards_are_shown_and_compared() -> None:
    mirclr("playlist", "title 02", "--length", 10, "-o", "a.m3u8")
    mirclr("playlist", "title 02", "--length", 10, "--order", "ranked", "-o", "b.m3u8")
    card = {row["measure"]: row["value"] for row in json.loads(mirclr("playlist", "score", "a.m3u8", "--json").stdout)}
    both = json.loads(mirclr("playlist", "compare", "a.m3u8", "b.m3u8", "--json").stdout)
    assert {row["measure"]: row["a"] for row in both} == card
    (smooth,) = [row for row in both if row["measure"] == "smoothness"]
    assert smooth["difference"] == pytest.approx(smooth["b"] - smooth["a"], abs=1e-3)


def test_radio_hears_what_is_said() -> None:
    def played(said: str) -> list[str]:
        return mirclr("playlist", "radio", "title 20", "--temperature", 0, stdin=said).stdout.split()

    plain, skipping = played("\n" * 9), played("\n" + "skip\n" * 8)
    assert len(plain) == len(skipping) == 10
    assert plain[:2] == skipping[:2]
    assert plain != skipping
    assert played("\nquit\n\n") == plain[:2]
    assert "not understood" in mirclr("playlist", "radio", "title 20", stdin="louder\nquit\n").stderr
    many = mirclr("playlist", "radio", "title 20", "--count", 100).stdout.split()
    assert len(many) == 100
    assert all(len(set(many[start : start + 25])) == 25 for start in range(76))


def test_mistakes_are_named() -> None:
    for words, said in (
        (["--shape", "journey"], "give two seeds or more"),
        (["--arc", "energy=up"], "none of rise"),
        (["--minutes", "long"], "give one number of minutes"),
        (["--where", "genre = 'Polka'"], "no track of the library is left"),
        (["--map", "x=y"], "give OURS=THEIRS"),
        (["--weight", "tmpo=1"], "Did you mean 'tempo'"),
    ):
        done = mirclr("playlist", "title 01", *words, code=2)
        assert said in done.stderr
        assert done.stdout == ""
    assert "say which, with -o" in mirclr("playlist", "convert", "a.m3u8", code=2).stderr


def test_help_stays_short_and_every_command_is_listed() -> None:
    shown = mirclr("playlist", "--help").stdout
    assert all(name in shown for name in ("make", "extend", "order", "convert", "score", "compare", "radio"))
    assert len(shown.splitlines()) < 25
    sections = re.findall(r"^(\w+):$", mirclr("playlist", "make", "--help").stdout, re.MULTILINE)
    assert sections == ["Shape", "Rules", "File", "Library", "Answer"]


def test_a_taste_is_learned_judged_kept_and_forgotten(place: Path) -> None:
    mirclr("playlist", "title 02", "--length", 12, "-o", "likes.m3u8")
    mirclr("playlist", "title 33", "--length", 6, "-o", "skips.m3u8")
    before = mirclr("similar", "title 02", "--json").stdout
    judged = json.loads(mirclr("adapt", "likes.m3u8", "--dislikes", "skips.m3u8", "--json").stdout)
    assert judged["kept"] == judged["helped"] == (judged["low"] > 0)
    mirclr("adapt", "--forget")
    assert mirclr("similar", "title 02", "--json").stdout == before
    kept = mirclr("adapt", "likes.m3u8", "--anyway")
    assert "kept in library.db.taste" in kept.stderr
    used = mirclr("similar", "title 02", "--json")
    assert "by the taste in" in used.stderr
    assert used.stdout != before
    mirclr("adapt", "--forget")
    assert mirclr("similar", "title 02", "--json").stdout == before
    assert "there was nothing to forget" in mirclr("adapt", "--forget").stderr
    mirclr("adapt", code=2)
    mirclr("adapt", "likes.m3u8", "--forget", code=2)
