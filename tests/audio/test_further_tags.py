"""Every text tag by one name in every format, with all its values; what strangers write stays within bounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen import id3
from mutagen.aiff import AIFF
from mutagen.asf import ASF
from mutagen.flac import FLAC, Picture
from mutagen.mp4 import MP4, AtomDataType, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from mirclr.audio.further_tags import LONGEST, MOST, FurtherTags, bounded, further_tags_of, read_further_tags
from mirclr.audio.scan import TRACK_COLUMNS, scan_files
from mirclr.audio.sniff import sniff
from mirclr.audio.tag_names import KNOWN, LONGEST_NAME, tag_name
from mirclr.audio.tag_writer import prepare
from mirclr.reports import finish
from tests.audio.test_tags import TAGGERS
from tests.support.audio_files import write_format

SAID: FurtherTags = {
    "composer": ["Bach", "Gounod"], "albumartist": ["Various"], "mood": ["calm"], "bpm": ["120"], "initialkey": ["Am"],
    "label": ["ECM"], "language": ["deu"], "comment": ["first take"], "grouping": ["Suite"], "conductor": ["Jochum"],
    "lyricist": ["Picander"], "remixer": ["Nobody"], "isrc": ["DEABC1234567"], "compilation": ["1"], "rating": ["196"],
    "danceability": ["high"], "genre": ["Folk", "Drone"], "date": ["1997-09-22"], "artist": ["Björk"],
    "tracknumber": ["2/10"], "discnumber": ["1"], "musicbrainz_trackid": ["de305d54-75b4-431b-adb2-eb6b9e546014"],
}  # fmt: skip
FRAMES = {"composer": "TCOM", "albumartist": "TPE2", "bpm": "TBPM", "initialkey": "TKEY", "label": "TPUB",
          "language": "TLAN", "grouping": "TIT1", "conductor": "TPE3", "lyricist": "TEXT", "remixer": "TPE4",
          "isrc": "TSRC", "compilation": "TCMP", "genre": "TCON", "date": "TDRC", "artist": "TPE1",
          "tracknumber": "TRCK", "discnumber": "TPOS"}  # fmt: skip
ATOMS = {"composer": "\xa9wrt", "albumartist": "aART", "comment": "\xa9cmt", "grouping": "\xa9grp", "genre": "\xa9gen",
         "date": "\xa9day", "artist": "\xa9ART"}  # fmt: skip
ATTRIBUTES = {"composer": "WM/Composer", "albumartist": "WM/AlbumArtist", "mood": "WM/Mood", "label": "WM/Publisher",
              "bpm": "WM/BeatsPerMinute", "initialkey": "WM/InitialKey", "language": "WM/Language",
              "comment": "Description", "grouping": "WM/ContentGroupDescription", "conductor": "WM/Conductor",
              "lyricist": "WM/Writer", "remixer": "WM/ModifiedBy", "isrc": "WM/ISRC", "artist": "Author",
              "genre": "WM/Genre", "date": "WM/Year", "tracknumber": "WM/TrackNumber", "discnumber": "WM/PartOfSet",
              "rating": "WM/SharedUserRating", "musicbrainz_trackid": "MusicBrainz/Track Id"}  # fmt: skip


def _add_frames(tags: Any, version: int) -> None:
    """The frames of ID3 2.3 or 2.4, which alone knows a mood; and what is no text beside them."""
    for name, frame in FRAMES.items():
        tags.add(getattr(id3, frame)(encoding=1, text=SAID[name]))
    tags.add(id3.TMOO(encoding=1, text="calm") if version == 4 else id3.TXXX(encoding=1, desc="MOOD", text="calm"))
    tags.add(id3.COMM(encoding=1, lang="eng", desc="", text="first take"))
    tags.add(id3.POPM(email="me@home", rating=196, count=3))
    tags.add(id3.POPM(email="nobody", rating=0, count=0))
    tags.add(id3.TXXX(encoding=1, desc="Danceability", text="high"))
    tags.add(id3.UFID(owner="http://musicbrainz.org", data=SAID["musicbrainz_trackid"][0].encode()))
    tags.add(id3.APIC(encoding=1, mime="image/png", type=3, desc="front", data=b"\x89PNG"))
    tags.add(id3.USLT(encoding=1, lang="eng", desc="", text="la la la"))
    tags.add(id3.PRIV(owner="somebody", data=b"\x00\x01"))


def _mp3(version: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        tags = id3.ID3()
        _add_frames(tags, version)
        tags.save(path, v2_version=version, v23_sep=None)

    return write


def _chunk(reader: Callable[[Path], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        file = reader(path)
        file.add_tags()
        _add_frames(file.tags, 4)
        file.save()

    return write


def _comments(reader: Callable[[Path], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        file = reader(path)
        for name, values in SAID.items():
            file[{"albumartist": "ALBUM ARTIST", "initialkey": "KEY"}.get(name, name.upper())] = values
        file["LYRICS"] = "la la la"
        file["METADATA_BLOCK_PICTURE"] = "AAAA"
        if isinstance(file, FLAC):
            file.add_picture(Picture())
        file.save()

    return write


def _m4a(path: Path) -> None:
    file = MP4(path)
    for name in set(SAID) - {"bpm", "compilation", "tracknumber", "discnumber"}:
        free = [MP4FreeForm(text.encode(), AtomDataType.UTF8) for text in SAID[name]]
        file[ATOMS.get(name, f"----:com.apple.iTunes:{name}")] = SAID[name] if name in ATOMS else free
    file.update({"tmpo": [120], "cpil": True, "trkn": [(2, 10)], "disk": [(1, 0)], "\xa9lyr": "la la la"})
    file["covr"] = [MP4Cover(b"\x89PNG", MP4Cover.FORMAT_PNG)]
    file["----:com.apple.iTunes:Blob"] = [MP4FreeForm(b"\xff\x00", AtomDataType.JPEG)]
    file.save()


def _wma(path: Path) -> None:
    file = ASF(path)
    for name in set(SAID) - {"compilation"}:
        file[ATTRIBUTES.get(name, name.upper())] = SAID[name]
    file["WM/IsCompilation"] = True
    file["WM/Lyrics"] = "la la la"
    file["WM/Blob"] = b"\xff\x00"
    file.save()


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "mp3 2.3": ("cbr.mp3", _mp3(3)),
    "mp3 2.4": ("cbr.mp3", _mp3(4)),
    "aac": ("raw.aac", _mp3(4)),
    "wav": ("pcm.wav", _chunk(WAVE)),
    "aiff": ("pcm.aiff", _chunk(AIFF)),
    "flac": ("lossless.flac", _comments(FLAC)),
    "ogg": ("vorbis.ogg", _comments(OggVorbis)),
    "opus": ("opus.opus", _comments(OggOpus)),
    "m4a": ("aac.m4a", _m4a),
    "wma": ("windows.wma", _wma),
}
OF_THE_ENCODER = {"encoder", "encodedby", "encodersettings", "major_brand", "minor_version", "compatible_brands"}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_names_and_all_values_from_every_format(tmp_path: Path, kind: str) -> None:
    name, write = WRITERS[kind]
    path = write_format(tmp_path / name, name, 0.3)
    assert set(further_tags_of(path)) <= OF_THE_ENCODER
    write(path)
    found = {name: values for name, values in further_tags_of(path).items() if name not in OF_THE_ENCODER}
    assert found == SAID
    assert set(SAID) - {"danceability"} <= KNOWN


def test_a_scan_carries_them_where_it_is_asked_to(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.flac", "lossless.flac", 0.3)
    _comments(FLAC)(path)
    table = finish(scan_files([path], workers=1, further=True)).tracks
    assert list(table.columns) == [*TRACK_COLUMNS, "further_tags"]
    assert table["further_tags"][0]["composer"] == ["Bach", "Gounod"]
    assert list(finish(scan_files([path], workers=1)).tracks.columns) == list(TRACK_COLUMNS)


@pytest.mark.parametrize("name", sorted(TAGGERS))
def test_what_a_tagger_writes_is_found_by_the_same_name(tmp_path: Path, name: str) -> None:
    path = write_format(tmp_path / name, name, 0.3)
    new = {"genre": ["Folk rock", "Drone"], "mood": ["calm", "träumerisch"], "danceability": ["high"], "key": ["C"],
           "bpm": ["90"], "a__b_": ["x"], "publisher": ["ECM"]}  # fmt: skip
    prepare(path, new).commit()
    found = further_tags_of(path)
    assert {field: found[tag_name(field)] for field in new} == new


def people(tmp_path: Path) -> FurtherTags:
    path = write_format(tmp_path / "a.mp3", "cbr.mp3", 0.3)
    tags = id3.ID3()
    tags.add(id3.TIPL(encoding=3, people=[["producer", "Eno"], ["DJ-mix", "Vath"], ["mix", "Plank"]]))
    tags.add(id3.TMCL(encoding=3, people=[["piano", "Jarrett"], ["", "Motian"]]))
    tags.add(id3.COMM(encoding=3, lang="eng", desc="iTunNORM", text=" 0001"))
    tags.add(id3.COMM(encoding=3, lang="eng", desc="ID3v1 Comment", text="old"))
    tags.save(path)
    return further_tags_of(path)


def test_people_go_by_what_they_did_and_notes_of_programs_are_no_comments(tmp_path: Path) -> None:
    assert people(tmp_path) == {
        "producer": ["Eno"], "djmixer": ["Vath"], "mixer": ["Plank"], "performer": ["Jarrett (piano)", "Motian"],
        "comment_itunnorm": ["0001"], "comment": ["old"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Album Artist", "albumartist"), ("ALBUM_ARTIST", "albumartist"), ("albumartist", "albumartist"),
        ("  My own   tag! ", "my_own_tag"), ("Année", "annee"), ("ﬁne", "fine"), ("Straße", "strasse"),
        ("MusicBrainz Album Id", "musicbrainz_albumid"), ("MUSICBRAINZ_ALBUMID", "musicbrainz_albumid"),
        ("Publisher", "label"), ("Content Group", "grouping"), ("4u", "4u"), ("評価", ""), ("", ""), ("--", ""),
        ("unsynced lyrics", ""), ("Cover Art", ""), ("x" * LONGEST_NAME, "x" * LONGEST_NAME), ("x" * 61, ""),
        ("x" * 10_000_000, ""), ("' or 1=1; --", "or_1_1"), ("../../etc/passwd", "etc_passwd"),
        ("a\x00b\x1b[31m", "a_b_31m"),
    ],
)  # fmt: skip
def test_a_name_is_small_letters_whoever_wrote_it(text: str, name: str) -> None:
    assert tag_name(text) == name


@given(st.text(max_size=80))
def test_any_name_is_one_or_none_and_a_name_names_itself(text: str) -> None:
    name = tag_name(text)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert tag_name(name) == name


pairs = st.lists(st.tuples(st.text(max_size=8), st.one_of(st.text(max_size=40), st.integers(), st.none())), max_size=30)


@given(pairs)
def test_whatever_is_written_comes_out_clean_and_bounded(found: list[tuple[str, Any]]) -> None:
    tags = bounded(found)
    assert bounded([(name, value) for name, values in tags.items() for value in values]) == tags
    for name, values in tags.items():
        assert name == tag_name(name) != ""
        assert len(values) == len(set(values))
        for value in values:
            assert value == " ".join(value.split()) != ""
            assert not {unicodedata.category(letter) for letter in value} & {"Cc", "Zl", "Zp"}


def test_thousands_of_huge_tags_are_a_few_short_ones_and_the_known_stay(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.flac", "lossless.flac", 0.1)
    file = FLAC(path)
    file.update({f"junk{n}": f"value {n}\x1b[2J" for n in range(5000)})
    file.update(
        {"essay": "long " * 100_000, "composer": ["Bach\r\n#EXTINF", "\x00", " "] + [f"c{n}" for n in range(20)]}
    )
    file.save()
    tags = further_tags_of(path)
    assert sum(map(len, tags.values())) == MOST
    assert tags["composer"][:2] == ["Bach #EXTINF", "c0"]
    assert "essay" not in tags  # unknown, and behind two hundred others
    assert tags["junk0"] == ["value 0 [2J"]
    file.clear()
    file["essay"] = "long " * 100_000
    file.save()
    (essay,) = further_tags_of(path)["essay"]
    assert essay == ("long " * 100_000)[:LONGEST].rstrip()


@pytest.mark.parametrize("kind", WRITERS)
def test_damaged_tags_raise_nothing(tmp_path: Path, kind: str) -> None:
    name, write = WRITERS[kind]
    path = write_format(tmp_path / name, name, 0.1)
    write(path)
    whole, found = path.read_bytes(), sniff(path)
    draw = np.random.default_rng(0)
    seen = 0
    for _ in range(60):
        data = bytearray(whole)
        for place in draw.integers(4, min(len(data), 2000), 12):
            data[place] = draw.integers(256)
        path.write_bytes(data)
        tags = read_further_tags(path, found.container or "", found.codec)
        assert bounded([(name, value) for name, values in tags.items() for value in values]) == tags
        seen += bool(tags)
    assert seen  # one broken tag does not always cost the others


def test_a_file_without_tags_or_of_another_kind_has_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("composer=Bach")
    assert further_tags_of(tmp_path / "notes.txt") == {}
    assert read_further_tags(tmp_path / "notes.txt", "mp3") == {}
    assert read_further_tags(tmp_path / "gone.mp3", "mp3") == {}
