"""A playlist file holds the paths and nothing else a tag could smuggle in; read back by parsers that are not ours."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mirclr.errors import UsageError
from mirclr.library.playlist import Entry
from mirclr.library.playlist_file import write_playlist
from mirclr.library.playlist_formats import FORMATS
from mirclr.library.playlist_read import read_playlist
from mirclr.seeds import generator
from tests.support.library import track_row

HOSTILE = [
    "\n/etc/passwd",
    "\r\n../../../etc/passwd\r\n",
    "\n#EXTINF:1,x\nhttp://evil.example/x.mp3",
    "../../secret",
    "/etc/passwd",
    "#EXTM3U",
    "#",
    "",
    " ",
    "\x00\x1b[31m\x07",
    "a\u2028b\u2029c\x85d\x0be\x0cf",
    "=cmd|'/C calc'!A0",
    "-1+1",
    "+44",
    "@SUM(A1)",
    '"quoted", with; commas',
    "\ud800 lone",
    "日本語 ♥ עברית",
    "<script>alert(1)</script>",
    "file:///etc/passwd",
]
ODD_NAMES = [
    b"plain.mp3",
    b"#hash.mp3",
    b"# EXTM3U.mp3",
    b"-rf.mp3",
    b"=1+1.mp3",
    b"@home.mp3",
    b" leading space.mp3",
    b"\ttab.mp3",
    b"in\x0bside\x1b.mp3",
    b"http:",
    b"file:x.mp3",
    b"...dots.mp3",
    b".hidden.mp3",
    b"100%25 %n.mp3",
    b"back\\slash.mp3",
    b"quote\"'`,;.mp3",
    b"\xff\xfe latin \xe9.mp3",
    "é composed, é apart, 日本.mp3".encode(),
    "line\u2028separator\x85.mp3".encode(),
]
UNWRITABLE = [b"new\nline.mp3", b"\n#EXTM3U", b"carriage\rreturn.mp3", b"trailing space ", b"trailing tab.mp3\t"]


def m3u_of(path: Path) -> list[tuple[bytes, int, str]]:
    """(path, seconds, text) as players read M3U: lines end at \\n, are stripped, `#` begins a comment."""
    lines = [line.strip(b" \t\r\n\x0b\x0c") for line in path.read_bytes().split(b"\n")]
    assert lines[0] == b"#EXTM3U"
    found: list[tuple[bytes, int, str]] = []
    seconds, text = -1, ""
    for line in lines[1:]:
        if line.startswith(b"#EXTINF:"):
            number, _, name = line.removeprefix(b"#EXTINF:").partition(b",")
            seconds, text = int(number), name.decode("utf-8")
        elif line and not line.startswith(b"#"):
            assert b"://" not in line, "a player would take this for a stream"
            found.append((os.path.normpath(os.path.join(os.fsencode(path.parent), line)), seconds, text))
            seconds, text = -1, ""
    return found


def paths_in(target: Path) -> list[Path]:
    """The paths that our own reader finds."""
    return [track.path for track in read_playlist(target).tracks if track.path is not None]


def entry(path: str | bytes, **tags: Any) -> Entry:
    return Entry(track_row(os.fsdecode(path), **tags), 0.5)


def files_in(folder: Path, names: list[bytes]) -> list[bytes]:
    """Real files of those names, in a folder of their own."""
    (folder / "music").mkdir()
    paths = [os.path.join(os.fsencode(folder), b"music", name) for name in names]
    for path in paths:
        with open(path, "wb") as file:
            file.write(path)
    return paths


def test_an_m3u8_is_what_players_read(tmp_path: Path) -> None:
    entries = [
        entry(tmp_path / "sub" / "a.mp3", artist="Björk", title="Jóga", duration=304.6),
        entry(tmp_path.parent / "b.flac", title="Only a title", duration=float("nan")),
        entry("/far/away/c.ogg"),
    ]
    written = write_playlist(tmp_path / "list.m3u8", entries, story=["made by mirclr", "seed: Jóga\nhttp://x"])
    up = "../" * len(tmp_path.parts[1:])
    assert (tmp_path / "list.m3u8").read_text("utf-8") == (
        "#EXTM3U\n# made by mirclr\n# seed: Jóga http://x\n"
        "#EXTINF:305,Björk - Jóga\nsub/a.mp3\n"
        "#EXTINF:-1,Only a title\n../b.flac\n"
        f"#EXTINF:200,c.ogg\n{up}far/away/c.ogg\n"
    )
    assert written == (3, [])


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("where", [".", "music", "lists"])
def test_odd_names_lead_back_to_their_files(tmp_path: Path, absolute: bool, where: str) -> None:
    paths = files_in(tmp_path, ODD_NAMES)
    (tmp_path / "lists").mkdir()
    target = tmp_path / where / "list.m3u8"
    assert write_playlist(target, [entry(path) for path in paths], absolute=absolute) == (len(paths), [])
    assert [path for path, _, _ in m3u_of(target)] == paths
    assert [os.fsencode(path) for path in paths_in(target)] == paths


@pytest.mark.parametrize("absolute", [False, True])
def test_a_name_no_line_can_hold_is_left_out_and_listed(tmp_path: Path, absolute: bool) -> None:
    good, *bad = files_in(tmp_path, [b"good.mp3", *UNWRITABLE])
    written = write_playlist(tmp_path / "list.m3u8", [entry(path) for path in [*bad, good]], absolute=absolute)
    assert [os.fsencode(row["path"]) for row in written.quarantine] == bad
    assert {row["reason"] for row in written.quarantine} == {"path_not_writable"}
    assert written.tracks == 1
    assert [path for path, _, _ in m3u_of(tmp_path / "list.m3u8")] == [good]


@pytest.mark.parametrize("extension", [".json", ".csv"])
def test_json_and_csv_hold_every_name(tmp_path: Path, extension: str) -> None:
    paths = files_in(tmp_path, [*ODD_NAMES, *UNWRITABLE])
    target = tmp_path / f"list{extension}"
    assert write_playlist(target, [entry(path) for path in paths]) == (len(paths), [])
    if extension == ".json":
        found = [track["path"] for track in json.loads(target.read_text("utf-8"))["tracks"]]
        assert [os.fsencode(path) for path in paths_in(target)] == paths
    else:
        text = target.read_bytes().decode("utf-8", "surrogateescape")
        found = [row["path"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert [os.path.normpath(os.fsencode(tmp_path / path)) for path in found] == paths


def test_hostile_tags_add_no_line_to_an_m3u8(tmp_path: Path) -> None:
    draw = generator(0, "hostile")
    picks = draw.integers(0, len(HOSTILE), (400, 3))
    entries = [
        entry(tmp_path / f"{place}.mp3", artist=HOSTILE[a], title=HOSTILE[b], album=HOSTILE[c])
        for place, (a, b, c) in enumerate(picks)
    ]
    write_playlist(tmp_path / "list.m3u8", entries, story=HOSTILE)
    found = m3u_of(tmp_path / "list.m3u8")
    assert [path for path, _, _ in found] == [os.fsencode(e.track["path"]) for e in entries]
    text = (tmp_path / "list.m3u8").read_text("utf-8")
    assert len(text.splitlines()) == 1 + len(HOSTILE) + 2 * 400
    assert text.isprintable() or {c for c in text if not c.isprintable()} == {"\n"}


def test_hostile_tags_stay_in_their_cells(tmp_path: Path) -> None:
    entries = [entry(f"/{n}", artist=tag, title=tag, album=tag) for n, tag in enumerate(HOSTILE)]
    write_playlist(tmp_path / "list.csv", entries)
    write_playlist(tmp_path / "list.json", entries, absolute=True)
    with (tmp_path / "list.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    tracks = json.loads((tmp_path / "list.json").read_text("utf-8"))["tracks"]
    assert len(rows) == len(tracks) == len(HOSTILE)
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [row["title"].removeprefix("'") for row in rows] == [track["title"] or "" for track in tracks]
    assert [track["path"] for track in tracks] == [e.track["path"] for e in entries]


def test_the_csv_is_rfc_4180(tmp_path: Path) -> None:
    write_playlist(tmp_path / "a.csv", [entry(tmp_path / "x.mp3", artist='Q "q", r', title="T", album="L")])
    assert (tmp_path / "a.csv").read_bytes() == (
        b"position,artist,title,album,duration,similarity,seed,path,audio_id\r\n"
        b'1,"Q ""q"", r",T,L,200.4,0.5,0,x.mp3,%s\r\n' % track_row(str(tmp_path / "x.mp3"))["audio_id"].encode()
    )


def test_relative_paths_see_through_links(tmp_path: Path) -> None:
    """`lists` is a link to another place: `..` from there is not the folder the link lies in."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "lists").symlink_to(tmp_path / "deep" / "er")
    (song,) = files_in(tmp_path, [b"a.mp3"])
    write_playlist(tmp_path / "lists" / "list.m3u8", [entry(song)])
    (line,) = [x for x in (tmp_path / "deep/er/list.m3u8").read_text().splitlines() if not x.startswith("#")]
    assert line == "../../music/a.mp3"
    assert (tmp_path / "lists" / line).read_bytes() == song


def test_a_track_behind_a_link_is_written_where_it_lies(tmp_path: Path) -> None:
    """So that a list beside the music stays beside it, whatever link the library was indexed through."""
    (song,) = files_in(tmp_path, [b"a.mp3"])
    (tmp_path / "nas").symlink_to(tmp_path / "music")
    write_playlist(tmp_path / "music" / "list.m3u8", [entry(tmp_path / "nas" / "a.mp3")])
    assert (tmp_path / "music" / "list.m3u8").read_text().endswith("\na.mp3\n")
    assert [path for path, _, _ in m3u_of(tmp_path / "music" / "list.m3u8")] == [song]


def test_a_linked_playlist_is_written_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.m3u8").symlink_to(tmp_path / "real" / "list.m3u8")
    write_playlist(tmp_path / "link.m3u8", [entry(tmp_path / "a.mp3")])
    assert (tmp_path / "link.m3u8").is_symlink()
    assert "\n../a.mp3\n" in (tmp_path / "real" / "list.m3u8").read_text()


@pytest.mark.parametrize("extension", list(FORMATS))
def test_a_playlist_replaces_a_playlist_and_nothing_else(tmp_path: Path, extension: str) -> None:
    target = tmp_path / f"list{extension}"
    write_playlist(target, [entry("/old"), entry("/b")])
    write_playlist(target, [entry("/b")], absolute=True)
    assert b"/old" not in target.read_bytes()
    for content in (b"artist,title\nA,B\n", b'{"my": "notes"}', b"\x00\x01\x02", b"/one/path.mp3\n"):
        target.write_bytes(content)
        with pytest.raises(UsageError, match="exists and is not a playlist of this kind"):
            write_playlist(target, [entry("/a")])
        assert target.read_bytes() == content
    target.write_bytes(b"")
    write_playlist(target, [entry("/a")])
    target.unlink()
    target.mkdir()
    with pytest.raises(UsageError, match="not a file"):
        write_playlist(target, [entry("/a")])
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_an_unknown_extension_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no playlist format '.m3u9'. Did you mean '.m3u'"):
        write_playlist(tmp_path / "list.m3u9", [])
    with pytest.raises(UsageError, match=r"the folder .*nowhere does not exist"):
        write_playlist(tmp_path / "nowhere" / "list.m3u8", [])


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_playlists_of_other_programs_are_read(tmp_path: Path, ending: str) -> None:
    lines = [
        "\ufeff#EXTM3U",
        "#EXTINF:3,x",
        "a.mp3",
        "",
        "  b c.mp3 ",
        "/abs/d.mp3",
        "../e.mp3",
        "http://radio/x",
        "f.mp3",
    ]
    (tmp_path / "in.m3u").write_bytes(ending.join(lines).encode())
    inside = [tmp_path / "a.mp3", tmp_path / "b c.mp3"]
    assert paths_in(tmp_path / "in.m3u") == [*inside, Path("/abs/d.mp3"), tmp_path.parent / "e.mp3", tmp_path / "f.mp3"]
    assert [t.url for t in read_playlist(tmp_path / "in.m3u").tracks if t.url] == ["http://radio/x"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"tracks": [1]}'])
def test_a_damaged_playlist_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"in.json: not a playlist that can be read"):
        read_playlist(tmp_path / "in.json")
    with pytest.raises(UsageError, match=r"nowhere.m3u8: not a playlist that can be read"):
        read_playlist(tmp_path / "nowhere.m3u8")
