"""Tables as people save them: every line end, delimiter and encoding that occurs, and errors that name a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirclr.datasets.sheet import read_lines, read_sheet
from mirclr.errors import DatasetError


def written(folder: Path, content: bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,x y\n2,z\n",
        b"\xef\xbb\xbfa,b\r\n1,x y\r\n2,z\r\n",
        b"a,b\r1,x y\r2,z",
        b'"a","b"\n"1","x y"\n\n2,z\n,\n',
        b"a\tb\n1\tx y\n2\tz\n",
        b"a;b\n1;x y\n2;z\n",
    ],
)
def test_the_same_table_however_it_was_saved(tmp_path: Path, content: bytes) -> None:
    sheet = read_sheet(written(tmp_path, content))
    assert sheet.columns == ("a", "b")
    assert sheet.column("a") == ["1", "2"]
    assert sheet.column("b") == ["x y", "z"]


def test_cells_stay_text(tmp_path: Path) -> None:
    sheet = read_sheet(written(tmp_path, b"artist,id\nNA,007\nNone,1e3\nnan,0x1\n"))
    assert sheet.column("artist") == ["NA", "None", "nan"]
    assert sheet.column("id") == ["007", "1e3", "0x1"]


def test_lines_are_those_of_the_file_also_behind_a_quoted_line_end(tmp_path: Path) -> None:
    sheet = read_sheet(written(tmp_path, 'a,b\n1,"two\nlines"\n\n2,\u2028\n'.encode()))
    assert sheet.lines == (3, 5)
    assert sheet.column("b") == ["two\nlines", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no rows under a header"),
        (b"a,b\n", "no rows under a header"),
        (b"a,b\n1,2\n1,2,3\n1\n", r"header has 2 columns but not 2 rows, at line 3, 4"),
        (b"a,a\n1,2\n", "the header names a twice"),
        (b'a,b\n1,"2\n', "line 2: unexpected end of data"),
        ("a,b\n1,2\n".encode("utf-16"), "save it as CSV in UTF-8"),
        (b"a,b\n1,\0\n", "save it as CSV in UTF-8"),
    ],
)
def test_damaged_tables_are_refused_by_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_sheet(written(tmp_path, content))


def test_latin_1_is_refused_in_text_but_kept_in_a_file_name(tmp_path: Path) -> None:
    sheet = read_sheet(written(tmp_path, b"path,artist\nok,ok\nBj\xf6rk.mp3,Bj\xf6rk\n"))
    with pytest.raises(DatasetError, match=r"column 'artist' is not UTF-8.*1 row, at line 3"):
        sheet.column("artist")
    assert sheet.paths("path") == ["ok", "Bj\udcf6rk.mp3"]


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    sheet = read_sheet(written(tmp_path, b"path,lable\na,b\n"))
    with pytest.raises(DatasetError, match=r"no column 'label'; columns found: path, lable. Did you mean 'lable'"):
        sheet.column("label")


def test_a_file_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.csv: cannot be read"):
        read_sheet(tmp_path / "gone.csv")


def test_published_lists_lose_blank_lines_comments_and_carriage_returns(tmp_path: Path) -> None:
    assert read_lines(written(tmp_path, b"a/b.wav\r\n\r\n# faults\nc.wav")) == ["a/b.wav", "c.wav"]
