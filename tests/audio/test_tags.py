"""Six fields, the same for every format; broken tags cost nothing but themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutagen import id3
from mutagen.aiff import AIFF
from mutagen.asf import ASF
from mutagen.flac import FLAC
from mutagen.mp4 import MP4
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from mirclr.audio.sniff import sniff
from mirclr.audio.tags import Tags, read_tags
from tests.support.audio_files import write_format

EXPECTED = Tags("Björk", "Homogenic", "Jóga", "Electronic", 1997, 2)


def _frames(tags: Any) -> None:
    tags.add(id3.TPE1(encoding=3, text="Björk"))
    tags.add(id3.TALB(encoding=3, text="Homogenic"))
    tags.add(id3.TIT2(encoding=3, text="Jóga"))
    tags.add(id3.TCON(encoding=3, text="(52)"))  # ID3v1's number for Electronic
    tags.add(id3.TDRC(encoding=3, text="1997-09-22"))
    tags.add(id3.TRCK(encoding=3, text="2/10"))


def _mp3(path: Path) -> None:
    tags = id3.ID3()
    _frames(tags)
    tags.save(path)


def _chunk(reader: Callable[[Path], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        file = reader(path)
        file.add_tags()
        _frames(file.tags)
        file.save()

    return write


def _comments(reader: Callable[[Path], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        file = reader(path)
        file.update(artist="Björk", album="Homogenic", title="Jóga", genre="Electronic", date="22.9.1997")
        file["tracknumber"] = "02"
        file.save()

    return write


def _m4a(path: Path) -> None:
    file = MP4(path)
    names = {"\xa9ART": "Björk", "\xa9alb": "Homogenic", "\xa9nam": "Jóga", "\xa9gen": "Electronic", "\xa9day": "1997"}
    file.update({name: [value] for name, value in names.items()})
    file["trkn"] = [(2, 10)]
    file.save()


def _wma(path: Path) -> None:
    file = ASF(path)
    names = {"Author": "Björk", "WM/AlbumTitle": "Homogenic", "Title": "Jóga", "WM/Genre": "Electronic"}
    file.update({**names, "WM/Year": "1997", "WM/TrackNumber": "2"})
    file.save()


TAGGERS: dict[str, Callable[[Path], None]] = {
    "cbr.mp3": _mp3,
    "raw.aac": _mp3,
    "pcm.wav": _chunk(WAVE),
    "pcm.aiff": _chunk(AIFF),
    "lossless.flac": _comments(FLAC),
    "vorbis.ogg": _comments(OggVorbis),
    "opus.opus": _comments(OggOpus),
    "aac.m4a": _m4a,
    "alac.m4a": _m4a,
    "windows.wma": _wma,
}


def tags_of(path: Path) -> Tags:
    found = sniff(path)
    return read_tags(path, found.container or "", found.codec)


@pytest.mark.parametrize("name", TAGGERS)
def test_the_same_fields_from_every_format(tmp_path: Path, name: str) -> None:
    path = write_format(tmp_path / name, name, 0.3)
    assert tags_of(path) == Tags()
    TAGGERS[name](path)
    assert tags_of(path) == EXPECTED


@pytest.mark.parametrize("name", TAGGERS)
def test_damaged_tags_raise_nothing(tmp_path: Path, name: str) -> None:
    path = write_format(tmp_path / name, name, 0.1)
    TAGGERS[name](path)
    whole, found = path.read_bytes(), sniff(path)
    draw = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole)
        for place in draw.integers(4, min(len(data), 2000), 12):
            data[place] = draw.integers(256)
        path.write_bytes(data)
        tags = read_tags(path, found.container or "", found.codec)
        assert tags.year is None or 1000 <= tags.year < 3000


def vorbis(tmp_path: Path, **comments: str | list[str]) -> Tags:
    path = write_format(tmp_path / "a.flac", "lossless.flac", 0.1)
    file = FLAC(path)
    file.update(comments)
    file.save()
    return tags_of(path)


def test_a_tag_is_one_line_of_composed_text(tmp_path: Path) -> None:
    tags = vorbis(
        tmp_path, artist="Bjo\u0308rk\n\t Guðmundsdóttir\u2028", title="../../etc/passwd\r\n#EXTINF", album="  "
    )
    assert tags.artist == "Björk Guðmundsdóttir"
    assert tags.title == "../../etc/passwd #EXTINF"
    assert tags.album is None


def test_the_first_of_several_values_counts(tmp_path: Path) -> None:
    assert vorbis(tmp_path, artist=["Simon", "Garfunkel"]).artist == "Simon"


def test_the_album_artist_stands_in_for_a_missing_artist(tmp_path: Path) -> None:
    assert vorbis(tmp_path, albumartist="Miles Davis").artist == "Miles Davis"
    assert vorbis(tmp_path, albumartist="Various Artists", artist="Nina Simone").artist == "Nina Simone"


@pytest.mark.parametrize(
    ("date", "year"),
    [("1997", 1997), ("1997-09-22T10:00", 1997), ("19970922", 1997), ("c. 1650", 1650), ("0", None), ("99", None)],
)
def test_years(tmp_path: Path, date: str, year: int | None) -> None:
    assert vorbis(tmp_path, date=date).year == year


@pytest.mark.parametrize(("number", "track"), [("3/12", 3), ("03", 3), ("0", None), ("A1", None), ("99999", None)])
def test_track_numbers(tmp_path: Path, number: str, track: int | None) -> None:
    assert vorbis(tmp_path, tracknumber=number).track == track
