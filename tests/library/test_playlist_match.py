"""A playlist from anywhere is found in the library: by path, sound, file, tags; what fits nothing is listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.audio.track import content_id
from mirclr.library.playlist_match import Finder
from mirclr.library.playlist_read import Listed
from mirclr.library.search import Catalogue
from mirclr.seeds import generator
from tests.support.library import catalogue_of, track_row

ROWS = [
    ("/m/0.mp3", "Can", "Halleluwah", "Tago Mago", 1111.0),
    ("/m/1.mp3", "Can", "Halleluwah", "Anthology", 300.0),
    ("/m/2.mp3", "Björk", "Jóga", "Homogenic", 304.0),
    ("/m/3.mp3", None, None, None, 10.0),
    ("/m/café.mp3", "X", "Y", None, 10.0),
]


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    (tmp_path / "moved.mp3").write_bytes(b"the bytes of track 3")
    (tmp_path / "store").mkdir()
    rows = [track_row(p, artist=a, title=t, album=b, duration=d) for p, a, t, b, d in ROWS]
    rows[3]["id"] = content_id(tmp_path / "moved.mp3")
    return catalogue_of(tmp_path / "store", rows, generator(0).normal(size=(len(rows), 4)))


@pytest.mark.parametrize(
    ("listed", "row", "how"),
    [
        (Listed(Path("/m/2.mp3"), artist="Can", title="Halleluwah"), 2, "path"),
        (Listed(Path("/gone/x.mp3"), audio_id=track_row("/m/2.mp3")["audio_id"]), 2, "sound"),
        (Listed(Path("MOVED")), 3, "file"),
        (Listed(Path("/gone/x.mp3"), artist="BJORK", title="joga"), 2, "tags"),
        (Listed(Path("/gone/x.mp3"), label="Björk - Jóga"), 2, "tags"),
        (Listed(url="http://radio/x", label="Can - Halleluwah", duration=1100.0), 0, "tags"),
        (Listed(label="Can - Halleluwah", duration=301.0), 1, "tags"),
        (Listed(artist="Can", title="Halleluwah", album="anthology", duration=1111.0), 1, "tags"),
        (Listed(Path("/m/caf\udce9.mp3")), 4, "path"),
    ],
)
def test_ways_to_be_found(tmp_path: Path, catalogue: Catalogue, listed: Listed, row: int, how: str) -> None:
    if listed.path == Path("MOVED"):
        listed = Listed(tmp_path / "moved.mp3")
    found = Finder(catalogue).match([listed], "list")
    assert found.lost == []
    assert ([seed.row for seed in found.tracks], found.by) == ([row], [how])
    np.testing.assert_array_equal(found.tracks[0].unit, catalogue.unit[row])


def test_what_fits_nothing_is_listed_and_an_outside_file_is_heard(tmp_path: Path, catalogue: Catalogue) -> None:
    (tmp_path / "new.mp3").write_bytes(b"other bytes")
    listed = [Listed(url="http://radio/x"), Listed(Path("/gone.mp3")), Listed(tmp_path / "new.mp3")]
    found = Finder(catalogue).match(listed, "list.m3u")
    assert [(row["path"], row["reason"]) for row in found.lost] == [
        ("http://radio/x", "stream"),
        ("/gone.mp3", "missing_file"),
        (str(tmp_path / "new.mp3"), "missing_file"),
    ]
    assert all(row["detail"].startswith("in list.m3u: ") for row in found.lost)
    outside = track_row(str(tmp_path / "new.mp3"), artist="New")
    heard = Finder(catalogue, lambda path: (outside, np.ones(4, np.float32), None)).match(listed, "list.m3u")
    assert [(seed.track["artist"], seed.row) for seed in heard.tracks] == [("New", None)]
    assert heard.by == ["outside"]
