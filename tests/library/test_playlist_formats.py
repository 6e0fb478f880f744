"""Every format there and back: whatever the tags and names, nothing is lost, added or run. Hypothesis draws them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirclr.errors import UsageError
from mirclr.library.names import one_line
from mirclr.library.playlist import Entry
from mirclr.library.playlist_file import PathMap, write_playlist
from mirclr.library.playlist_formats import FORMATS, XSPF
from mirclr.library.playlist_read import READERS, read_playlist
from tests.support.library import track_row

LINES = (".m3u8", ".m3u", ".pls")  # formats that hold an artist and a title in one text
TAG = st.one_of(
    st.none(), st.text(max_size=20), st.sampled_from(["]]>", "<!DOCTYPE x>", "&amp;", "=1+1", "a - b", "'=x"])
)
NAME = st.binary(min_size=1, max_size=20).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
WHOLE_NAME = NAME.filter(lambda raw: raw not in (b".", b".."))
TRACKS = st.lists(st.tuples(WHOLE_NAME, TAG, TAG, TAG, st.floats(0, 1e5)), max_size=6)


def entry(path: str | bytes, **tags: Any) -> Entry:
    return Entry(track_row(os.fsdecode(path), **tags), 0.25)


def test_every_format_is_read() -> None:
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("extension", list(FORMATS))
@given(tracks=TRACKS, story=st.lists(st.text(max_size=30), max_size=3), absolute=st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back(extension: str, tracks: list[Any], story: list[str], absolute: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(os.path.realpath(place))
        paths = [os.path.join(os.fsencode(folder), b"music", name) for name, *_ in tracks]
        entries = [
            entry(path, artist=artist, title=title, album=album, duration=seconds)
            for path, (_, artist, title, album, seconds) in zip(paths, tracks, strict=True)
        ]
        target = folder / f"list{extension}"
        written = write_playlist(target, entries, absolute=absolute, story=story)
        lost = {row["path"] for row in written.quarantine}
        kept = [e for e in entries if e.track["path"] not in lost]
        read = read_playlist(target)
        assert [os.fsencode(t.path or "") for t in read.tracks] == [os.fsencode(e.track["path"]) for e in kept]
        assert extension in LINES or not lost
        for track, made in zip(read.tracks, kept, strict=True):
            if extension not in LINES:
                for name in ("artist", "title", "album"):
                    assert clean(getattr(track, name), extension) == clean(made.track[name], extension)
                assert track.audio_id == made.track["audio_id"]
                assert track.duration == pytest.approx(made.track["duration"], abs=1e-3)
            else:
                assert track.duration == pytest.approx(made.track["duration"], abs=0.501)  # milliseconds come first


def clean(tag: str | None, extension: str) -> str:
    """A tag as a format can hold it at best: on one line; XML has no letter for some code points."""
    text = one_line(tag or "")
    text = text[1:] if extension == ".csv" and text[:2] in ("'=", "'+", "'-", "'@") else text
    return "".join("\ufffd" if c in "\ufffe\uffff" else c for c in text) if extension == ".xspf" else text


@pytest.mark.parametrize("extension", list(FORMATS))
@given(data=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_a_playlist_or_a_named_error(extension: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / f"in{extension}"
        target.write_bytes(data)
        try:
            tracks = read_playlist(target).tracks
        except UsageError:
            return
        assert all(track.path is None or track.path.is_absolute() for track in tracks)


def test_an_xspf_is_what_other_parsers_read(tmp_path: Path) -> None:
    path = tmp_path / "music" / os.fsdecode(b"50% \xe9 #1?.mp3")
    write_playlist(tmp_path / "a.xspf", [entry(path, artist="A & B", title="<T>")], absolute=True, story=["x < y"])
    root = ElementTree.parse(tmp_path / "a.xspf").getroot()
    names = {"x": XSPF}
    assert root.attrib == {"version": "1"}
    location = root.findtext("x:trackList/x:track/x:location", None, names) or ""
    assert location.startswith("file:///")
    assert location.endswith("/50%25%20%E9%20%231%3F.mp3")
    assert unquote_to_bytes(location.removeprefix("file://")) == os.fsencode(path)
    assert root.findtext("x:trackList/x:track/x:creator", None, names) == "A & B"
    assert root.findtext("x:annotation", None, names) == "x < y"


ATTACKS = {
    "entities": '<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><playlist xmlns="%s"><a>&b;</a></playlist>',
    "a file": '<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/hosts">]><playlist xmlns="%s"><title>&a;</title></playlist>',
    "a DTD": '<!DOCTYPE p SYSTEM "http://example.org/p.dtd"><playlist xmlns="%s"/>',
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_xml_that_wants_more_than_to_be_read_is_refused(tmp_path: Path, attack: str) -> None:
    (tmp_path / "in.xspf").write_text(attack % XSPF)
    with pytest.raises(UsageError, match="not a playlist that can be read"):
        read_playlist(tmp_path / "in.xspf")


@pytest.mark.parametrize(
    ("theirs", "there"),
    [
        ("/music", "/music/a b/ü.mp3"),
        ("Z:\\Music", "Z:\\Music\\a b\\ü.mp3"),
        ("\\\\nas\\music", "\\\\nas\\music\\a b\\ü.mp3"),
        ("http://nas/music", "http://nas/music/a%20b/%C3%BC.mp3"),
    ],
)
@pytest.mark.parametrize("extension", list(FORMATS))
def test_a_map_names_tracks_as_they_are_named_there_and_back(
    tmp_path: Path, extension: str, theirs: str, there: str
) -> None:
    path = "/mnt/disk/a b/ü.mp3"
    maps = [PathMap.parse(f"/mnt/disk={theirs}")]
    target = tmp_path / f"a{extension}"
    write_playlist(target, [entry(path), entry("/elsewhere/b.mp3")], maps=maps, absolute=True)
    if extension in LINES:
        assert there in target.read_text("utf-8")
    back = read_playlist(target, maps).tracks
    assert [str(track.path) for track in back] == [path, "/elsewhere/b.mp3"]


@pytest.mark.parametrize("text", ["", "/a", "=/b", "/a=", "relative=/b"])
def test_a_map_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give OURS=THEIRS"):
        PathMap.parse(text)


def test_uris_of_files_are_paths_and_others_are_not(tmp_path: Path) -> None:
    lines = ["file:///a%20b.mp3", "file://localhost/c.mp3", "file://server/d.mp3", "https://x/e.mp3", "100%.mp3"]
    (tmp_path / "in.m3u").write_text("\n".join(lines))
    tracks = read_playlist(tmp_path / "in.m3u").tracks
    assert [str(t.path) for t in tracks if t.path] == ["/a b.mp3", "/c.mp3", str(tmp_path / "100%.mp3")]
    assert [t.url for t in tracks if t.url] == ["file://server/d.mp3", "https://x/e.mp3"]


def test_tables_of_other_programs_are_read(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("Artist;Track;Album\nCan;Halleluwah;Tago Mago\n")
    (track,) = read_playlist(tmp_path / "in.csv").tracks
    assert (track.artist, track.title, track.album, track.path) == ("Can", "Halleluwah", "Tago Mago", None)
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no column path"):
        read_playlist(tmp_path / "no.csv")
