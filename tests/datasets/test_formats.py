"""Published formats: what each reader makes of a file, and what it says of a damaged one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.datasets.columns import filled, joined, kept_rows, together, with_pattern
from mirclr.datasets.formats import READERS
from mirclr.datasets.sheet import Sheet, read_lines
from mirclr.errors import DatasetError


def read(
    folder: Path, format: str, content: str | bytes, name: str = "file.txt", wanted: tuple[str, ...] = ()
) -> Sheet:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return READERS[format](path, wanted)


def test_ragged_rows_keep_every_tag_and_lose_the_carriage_return(tmp_path: Path) -> None:
    sheet = read(tmp_path, "ragged", "ID\tPATH\tTAGS\r\n1\ta.mp3\tx\r\n\r\n2\tb.mp3\tx\ty z\tw\r\n")
    assert sheet.column("TAGS") == ["x", "x\ty z\tw"]
    assert sheet.lines == (2, 4)
    with pytest.raises(DatasetError, match=r"file\.txt: too short a row: .* 3 columns \(1 row, at line 3\)"):
        read(tmp_path, "ragged", "ID\tPATH\tTAGS\n1\ta\tx\n2\tb\n")


def test_two_header_rows_as_pandas_writes_them(tmp_path: Path) -> None:
    columns = pd.MultiIndex.from_tuples([("set", "split"), ("track", "genre_top"), ("track", "title")])
    rows = [["training", "Rock", 'two\nlines, "quoted"'], ["test", None, "b"]]
    frame = pd.DataFrame(rows, index=pd.Index([2, 10], name="track_id"), columns=columns)
    sheet = read(tmp_path, "two-row-header", frame.to_csv(), wanted=("track_id", "track.genre_top"))
    assert sheet.columns == ("track_id", "track.genre_top")
    assert sheet.rows == (("2", "Rock"), ("10", ""))
    assert sheet.lines == (5, 6)
    with pytest.raises(DatasetError, match=r"no column 'track.genre'.* Did you mean 'track.genre_top'"):
        read(tmp_path, "two-row-header", frame.to_csv(), wanted=("track.genre",))
    with pytest.raises(DatasetError, match=r"line 4: 1 cells, the header has 2 columns"):
        read(tmp_path, "two-row-header", ",a\n,b\nid,\n7\n")
    with pytest.raises(DatasetError, match="not two header rows"):
        read(tmp_path, "two-row-header", "a,b\n1,2\n3,4\n")


def test_a_value_per_file_and_a_list_of_paths(tmp_path: Path) -> None:
    sheet = read(tmp_path, "value", "C minor", "10.LOFI.key")
    assert dict(zip(sheet.columns, sheet.rows[0], strict=True)) == {
        "value": "C minor", "name": "10.LOFI.key", "stem": "10.LOFI", "suffix": ".key", "folder": tmp_path.name
    }  # fmt: skip
    for content in ("", "1\n2\n"):
        with pytest.raises(DatasetError, match="lines, one value was expected"):
            read(tmp_path, "value", content)
    listed = read(tmp_path, "paths", "./blues/blues.0.wav\r\njazz/x.wav\n")
    assert (listed.column("path"), listed.column("folder")) == (["blues/blues.0.wav", "jazz/x.wav"], ["blues", "jazz"])


def test_json_of_records_by_id_gzipped_and_nested(tmp_path: Path) -> None:
    data = {"7": {"y": ["a", "b"], "extra": {"artist": "Ana"}}, "8": {"y": None, "pitch": 3}}
    sheet = read(tmp_path, "json", gzip.compress(json.dumps(data).encode()), "m.json.gz")
    assert sheet.columns == ("id", "y", "extra.artist", "pitch")
    assert sheet.rows == (("7", "a\tb", "Ana", ""), ("8", "", "", "3"))
    assert read(tmp_path, "json", '[{"p": 1}]').rows == (("1", "1"),)
    for wrong in ("{", "3", "[]", '{"a": 1}', b"\x1f\x8b broken"):
        with pytest.raises(DatasetError, match=r"JSON|records by id"):
            read(tmp_path, "json", wrong)


def test_jams_gives_the_most_confident_value_and_all_of_them(tmp_path: Path) -> None:
    about = {"title": "T", "artist": "Ana", "release": "R", "duration": 9.5}
    listed = [{"time": 0, "duration": 9, "value": 127.0, "confidence": 0.2}, {"value": 64.0, "confidence": 0.8}]
    columns = {"time": [0, 1], "value": ["jig", "reel"], "confidence": [None, None]}
    annotations = [{"namespace": "tempo", "data": listed}, {"namespace": "tag_open", "data": columns}]
    sheet = read(tmp_path, "jams", json.dumps({"file_metadata": about, "annotations": annotations}), "a.jams")
    row = dict(zip(sheet.columns, sheet.rows[0], strict=True))
    assert (row["tempo"], row["tempo.all"], row["tag_open"], row["tag_open.all"]) == (
        "64.0", "127.0\t64.0", "jig", "jig\treel",
    )  # fmt: skip
    assert (row["title"], row["artist"], row["album"], row["stem"]) == ("T", "Ana", "R", "a")
    with pytest.raises(DatasetError, match=r"b\.jams: not a JAMS file"):
        read(tmp_path, "jams", "{}", "b.jams")


def test_xml_attributes_under_their_label(tmp_path: Path) -> None:
    sheet = read(tmp_path, "xml", "<r><Jive><song id='1' bpm='90'/></Jive><Waltz><song id='2'/></Waltz></r>")
    assert sheet.columns == ("id", "bpm", "parent")
    assert sheet.rows == (("1", "90", "Jive"), ("2", "", "Waltz"))
    for wrong in ("<r>", "<r><Jive/></r>"):
        with pytest.raises(DatasetError, match=r"XML|no element"):
            read(tmp_path, "xml", wrong)


def test_numpy_lists_are_strings_and_never_objects(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(["5\tc/x.mp3", "7\tc/y.mp3"]))
    assert read_lines(tmp_path / "a.npy") == ["c/x.mp3", "c/y.mp3"]
    np.save(tmp_path / "b.npy", np.array([{"run": "me"}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "c.npy", np.arange(3))
    for name in ("b.npy", "c.npy", "gone.npy"):
        with pytest.raises(DatasetError, match=name):
            read_lines(tmp_path / name)


def sheet(file: str = "t.csv", /, **columns: list[str]) -> Sheet:
    rows = tuple(zip(*columns.values(), strict=True))
    return Sheet(Path(file), tuple(columns), rows, tuple(range(2, 2 + len(rows))))


def test_templates_pad_cut_and_take_a_column_to_the_letter() -> None:
    assert filled("{id:0>6|.3}/{id:0>6}.mp3", {"id": "2"}) == "000/000002.mp3"
    assert filled("{id:0>6|.3}/{id:0>6}.mp3", {"id": "133297"}) == "133/133297.mp3"
    assert filled("a/{x.y}", {"x.y": "{z}"}) == "a/{z}"


def test_patterns_make_columns_and_name_the_rows_that_do_not_fit() -> None:
    found = with_pattern(sheet(name=["gtzan_jazz_00054.bpm"]), "name", r"gtzan_(?P<genre>[a-z]+)_(?P<n>\d+)\.bpm")
    assert (found.column("genre"), found.column("n")) == (["jazz"], ["00054"])
    with pytest.raises(DatasetError, match=r"column 'name' is not of the form .* \(1 row, at line 3\)"):
        with_pattern(sheet(name=["a1", "b"]), "name", r"(?P<x>[a-z]\d)")


def test_a_joined_file_gives_its_columns_and_names_what_it_lacks_or_has_twice() -> None:
    songs = sheet(song_id=["2", "9"], y=["0.1", "0.2"])
    info = sheet("info.csv", song_id=["9", "2", "5"], y=["no", "no", "no"], artist=["Ben", "Ana", "Eva"])
    assert joined(songs, info, "song_id").column("artist") == ["Ana", "Ben"]
    assert joined(songs, info, "song_id").column("y") == ["0.1", "0.2"]
    with pytest.raises(DatasetError, match=r"t\.csv: no such song_id in info\.csv \(1 row, at line 3\)"):
        joined(songs, sheet("info.csv", song_id=["2"], artist=["Ana"]), "song_id")
    with pytest.raises(DatasetError, match=r"info\.csv: song_id is listed twice \(1 row, at line 3\)"):
        joined(songs, sheet("info.csv", song_id=["2", "2"], artist=["Ana", "Ben"]), "song_id")


def test_several_files_are_one_sheet_whose_complaints_name_the_file() -> None:
    both = together([sheet("a.tsv", x=["1", "2"]), sheet("b.tsv", x=["3"], z=["q"])], "part", ["train", "test"])
    assert both.columns == ("x", "z", "part")
    assert both.rows == (("1", "", "train"), ("2", "", "train"), ("3", "q", "test"))
    with pytest.raises(DatasetError, match=r"^a\.tsv: odd \(1 row, at line 3; 1 more in other files\)$"):
        both.refuse([False, True, True], "odd")
    with pytest.raises(DatasetError, match=r"^b\.tsv: odd \(1 row, at line 2\)$"):
        both.keep([False, True, True]).refuse([False, True], "odd")
    assert kept_rows(both, {"part": ("train",), "x": ("2", "3")}).column("x") == ["2"]
