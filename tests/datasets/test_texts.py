"""Texts about tracks: from tags, from tables, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mirclr.datasets.texts import merged_fields, read_texts, tag_fields
from mirclr.errors import DatasetError


def test_tags_become_fields_and_a_year_says_its_decade_too() -> None:
    row = {"artist": "Neu!", "title": "Hallogallo", "album": None, "genre": " Krautrock ", "year": 1972, "track": 1}
    assert tag_fields(row) == {
        "artist": ("Neu!",),
        "title": ("Hallogallo",),
        "genre": ("Krautrock",),
        "year": ("1972 1970s",),
    }


@pytest.mark.parametrize("year", [None, pd.NA, float("nan"), "n.d.", "72", ""])
def test_what_is_no_year_says_nothing(year: object) -> None:
    assert tag_fields({"year": year}) == {}


def test_a_date_is_its_year() -> None:
    assert tag_fields({"year": "2005-11-30"}) == {"year": ("2005 2000s",)}


def test_several_ways_to_say_a_field_are_kept_each_once() -> None:
    parts = [{"text": ("calm",), "genre": ("jazz",)}, {"text": ("calm", "piano at night")}]
    assert merged_fields(parts) == {"text": ("calm", "piano at night"), "genre": ("jazz",)}


def test_a_table_is_read_by_real_path_with_several_rows_a_file(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    other = tmp_path / "elsewhere.wav"
    table = tmp_path / "music" / "texts.csv"
    table.write_text(f'path,text\na.wav,calm piano\n./a.wav,music for the night\n{other},\n../b.wav,"loud, fast"\n')
    read = read_texts(table)
    assert read == {
        str(tmp_path / "music" / "a.wav"): {"text": ("calm piano", "music for the night")},
        str(other): {},
        str(tmp_path / "b.wav"): {"text": ("loud, fast",)},
    }


def test_columns_of_a_collection_are_recognised_whatever_their_case(tmp_path: Path) -> None:
    table = tmp_path / "metadata.csv"
    table.write_text("Path,Label,Artist,date,tags\nx.mp3,rock,Can,1971-01-01,loud drums\n")
    (fields,) = read_texts(table).values()
    assert fields == {
        "artist": ("Can",),
        "genre": ("rock",),
        "year": ("1971 1970s",),
        "text": ("loud drums",),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,mood\na,b\n", r"needs a column path and one of artist, .*columns found: file, mood"),
        ("pth,text\na,b\n", r"columns found: pth, text\. Did you mean 'pth'\?"),
        ("path,txt\na,b\n", r"columns found: path, txt\. Did you mean 'txt'\?"),
        ("path,text\na,\nb,\n", "no row has a text; write some into text"),
        ("path,text\n", "no rows under a header line"),
    ],
)
def test_a_table_without_texts_says_what_is_missing(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DatasetError, match=said):
        read_texts(tmp_path / "t.csv")
