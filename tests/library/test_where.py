"""Filters: every answer is that of a plain loop, every mistake is shown with its place, and nothing is run."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirclr.errors import UsageError
from mirclr.library.columns import TagColumn
from mirclr.library.where import FIELDS, Where

ROWS: list[dict[str, Any]] = [
    {"artist": "Miles Davis", "genre": "Jazz", "year": 1959, "tempo": 136.0, "title": "So What", "key": "D minor"},
    {"artist": "miles  davis", "genre": "Fusion", "year": 1970, "tempo": None, "title": "Spanish Key", "key": None},
    {"artist": "Björk", "genre": None, "year": None, "tempo": 90.5, "title": 'It\'s 100% "odd"', "key": "A minor"},
    {"artist": None, "genre": "jazz", "year": 2001, "tempo": 90.5, "title": None, "key": "C major"},
]
TABLE = pd.DataFrame(ROWS, dtype=object).astype({"year": "Int64", "tempo": "float64"})


def rows(text: str) -> list[int]:
    return [row for row, met in enumerate(Where.parse(text).mask(TABLE).tolist()) if met]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("genre = 'jazz'", [0, 3]),
        ("genre = 'jazz' and year < 1970", [0]),
        ("GENRE == 'JAZZ' AND YEAR <= 1959", [0]),
        ("genre != 'jazz'", [1]),
        ("not genre = 'jazz'", [1, 2]),
        ("artist = 'Miles Davis'", [0, 1]),
        ("year >= 1970 or tempo < 100", [1, 2, 3]),
        ("year > 1959 and (genre = 'jazz' or key is missing)", [1, 3]),
        ("genre = 'fusion' or genre = 'jazz' and year = 2001", [1, 3]),
        ("genre in ('jazz', 'fusion')", [0, 1, 3]),
        ("genre not in ('jazz')", [1]),
        ("year in (1959, 2001)", [0, 3]),
        ("year not in (1959)", [1, 3]),
        ("artist like 'miles%'", [0, 1]),
        ("artist not like 'miles%'", [2]),
        ("artist like 'bj_rk'", [2]),
        ("title like '%100%%'", [2]),
        ("title = 'it''s 100% \"odd\"'", [2]),
        ('title = "it\'s 100% ""odd"""', [2]),
        ("key like '% minor' and tempo <> 90.5", [0]),
        ("genre is missing", [2]),
        ("genre is not missing and not (year < 1970)", [1, 3]),
        ("not not year = 1959", [0]),
        ("tempo > -1e", None),
    ],
)
def test_a_filter_finds_what_it_says(text: str, found: list[int] | None) -> None:
    if found is None:
        with pytest.raises(UsageError, match="no part of a filter"):
            rows(text)
    else:
        assert rows(text) == found


@pytest.mark.parametrize(
    ("text", "complaint", "place"),
    [
        ("gnre = 'jazz'", r"no name 'gnre'. Did you mean 'genre'\?", 0),
        ("year < 1970 and colour = 'red'", "no name 'colour'. Known: album, artist", 16),
        ("genre = jazz", "expected a text in quotes", 8),
        ("genre = 3", "genre is text: put it in quotes", 8),
        ("year = '1970'", "year is a number: no quotes", 7),
        ("genre < 'jazz'", "genre is text: compare it with =", 6),
        ("year like '19%'", "year is a number: compare it", 5),
        ("genre = 'jazz", "a quote is not closed", 8),
        ("(year = 1970", "a bracket is not closed", 12),
        ("year = 1970)", "expected `and`, `or` or the end", 11),
        ("genre in 'jazz'", "expected a list in brackets", 9),
        ("genre in ('a' 'b')", "a bracket is not closed, or a comma is missing", 14),
        ("genre is jazz", "expected `missing`", 9),
        ("year", "expected a comparison", 4),
        ("", "expected a name", 0),
        ("year = 1; DROP TABLE tracks", "this is no part of a filter", 8),
        ("__import__('os')", "no name '__import__'", 0),
        ("(" * 60 + "year = 1" + ")" * 60, "more than 50 brackets", None),
    ],
)
def test_a_mistake_is_shown_with_its_place(text: str, complaint: str, place: int | None) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        Where.parse(text)
    if place is not None:
        assert str(caught.value).splitlines()[-1] == "  " + " " * place + "^"


class Said:
    """Tags of the four rows, as the store would give them."""

    def __init__(self, **tags: list[list[str]]) -> None:
        self.tags = tags

    def column(self, name: str) -> TagColumn:
        pairs = [(row, text) for row, texts in enumerate(self.tags.get(name, [])) for text in texts]
        texts = np.array([text for _, text in pairs], dtype=object)
        return TagColumn(len(ROWS), np.array([row for row, _ in pairs], np.int64), texts)

    def names(self) -> list[str]:
        return list(self.tags)


TAGS = Said(
    composer=[["Davis", "Evans"], ["davis "], ["Björk"], []],
    bpm=[["136"], ["090.50", "fast"], ["fast"], []],
    rating=[["196"], ["0.8"], [], ["3/5"]],
    mood=[["calm", "sad"], ["Calm"], [], ["wild"]],
    albumartist=[[], ["Various"], [], []],
    huge=[["9" * 999], ["-1e5"], ["nan"], ["+.5"]],
)


def tagged(text: str) -> list[int]:
    return [row for row, met in enumerate(Where.parse(text).mask(TABLE, TAGS).tolist()) if met]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tag.composer = 'davis'", [0, 1]),
        ("TAG.Composer == 'DAVIS' and year < 1960", [0]),
        ("tag.composer = 'evans' or tag.mood = 'wild'", [0, 3]),
        ("tag.composer != 'evans'", [1, 2]),  # of those that have one, those of which none is
        ("not tag.composer = 'evans'", [1, 2, 3]),
        ("tag.composer in ('evans', 'björk')", [0, 2]),
        ("tag.composer not in ('evans', 'björk')", [1]),
        ("tag.mood like 'c%'", [0, 1]),
        ("tag.mood not like 's%'", [1, 3]),
        ("tag.mood is missing", [2]),
        ("tag.mood is not missing", [0, 1, 3]),
        ("tag.mood is missing or tag.rating is missing", [2]),
        ("tag.bpm > 100", [0]),
        ("tag.bpm = 90.5", [1]),
        ("tag.bpm != 136", [1]),  # "fast" is no number: it meets no comparison with one
        ("tag.bpm = 'fast'", [1, 2]),
        ("tag.bpm != 'fast'", [0]),
        ("tag.bpm <= 136", [0, 1]),
        ("tag.bpm in (136, 'fast')", [0, 1, 2]),
        ("tag.bpm not in (136, 'slow')", [1, 2]),
        ("tag.bpm not in (136)", [1]),
        ("tag.rating > 0", [0, 1]),
        ("tag.album_artist = 'various'", [1]),
        ("tag.ALBUMARTIST='various'", [1]),
        ("tag.huge > -1000000", [3]),
        ("genre = 'jazz' and (tag.mood = 'sad' or tag.mood = 'wild')", [0, 3]),
    ],
)
def test_a_filter_on_tags_finds_what_it_says(text: str, found: list[int]) -> None:
    assert tagged(text) == found


@pytest.mark.parametrize(
    ("text", "complaint", "place"),
    [
        ("year < 1970 and tag.compsoer = 'x'", "no track has a tag 'compsoer'. Did you mean tag.composer?", 16),
        ("tag.xyzzy is missing", "no track has a tag 'xyzzy'. There are tag.composer, tag.bpm", 0),
        ("tag.mood < 'm'", "texts have no order: compare tag.mood with a number, or with =", 9),
        ("tag.mood like 3", "expected a text in quotes", 14),
        ("tag.mood = calm", "expected a number, or a text in quotes", 11),
        ("tag.mood", "expected a comparison", 8),
        ("tag.lyrics = 'la'", "tags of this name are not kept", 0),
        ("tag.", "this is no part of a filter", 3),
        ("mood = 'calm'", "no name 'mood'. Did you mean 'tag.mood'", 0),
        ("Album_Artist = 'x'", "no name 'Album_Artist'. Did you mean 'tag.albumartist'", 0),
        ("danceability = 'x'", r"no name 'danceability'. Known: .* Any tag of the files is tag.NAME", 0),
        ("genre.x = 'y'", "no name 'genre.x'", 0),
        ("tag.a.b = 'y'", "this is no part of a filter", 5),
    ],
)
def test_a_mistake_about_tags_is_shown_with_its_place(text: str, complaint: str, place: int) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        tagged(text)
    assert str(caught.value).splitlines()[-1] == "  " + " " * place + "^"


def test_a_table_without_tags_has_none() -> None:
    with pytest.raises(UsageError, match="no track has a tag 'mood'"):
        Where.parse("tag.mood = 'calm'").mask(TABLE)


SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
simple = st.tuples(st.sampled_from(["year", "tempo"]), st.sampled_from(sorted(SIGNS)), st.integers(1950, 2010))
trees = st.recursive(
    simple,
    lambda inside: st.one_of(
        st.tuples(st.just("not"), inside), st.tuples(st.sampled_from(["and", "or"]), inside, inside)
    ),
    max_leaves=8,
)


def written(tree: Any) -> str:
    """A tree as a filter with every bracket."""
    match tree:
        case ("not", inside):
            return f"not ({written(inside)})"
        case ("and" | "or", left, right):
            return f"({written(left)}) {tree[0]} ({written(right)})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def holds(tree: Any, row: dict[str, Any]) -> bool:
    """The definition, on one row."""
    match tree:
        case ("not", inside):
            return not holds(inside, row)
        case ("and", left, right):
            return holds(left, row) and holds(right, row)
        case ("or", left, right):
            return holds(left, row) or holds(right, row)
    return row[tree[0]] is not None and bool(SIGNS[tree[1]](row[tree[0]], tree[2]))


@given(trees)
def test_any_filter_is_a_loop_over_the_rows(tree: Any) -> None:
    assert rows(written(tree)) == [place for place, row in enumerate(ROWS) if holds(tree, row)]


values = st.lists(st.sampled_from(["a", "A ", "b", "12", "012", "7.5", "x"]), max_size=3)
compared = st.one_of(
    st.tuples(st.just("number"), st.sampled_from(sorted(SIGNS)), st.sampled_from([7.5, 12, 9])),
    st.tuples(st.just("text"), st.sampled_from(["=", "!="]), st.sampled_from(["a", "b", "12"])),
)


@given(st.tuples(values, values, values, values), compared)
def test_any_comparison_with_a_tag_is_a_loop_over_its_values(
    tags: tuple[list[str], ...], comparison: tuple[str, str, Any]
) -> None:
    kind, sign, value = comparison
    said = Said(x=list(tags), other=[["there"]] * 4)

    def meets(texts: list[str]) -> bool:
        read = [float(text) for text in texts if text[0].isdigit()] if kind == "number" else map(str.strip, texts)
        mine = [each.lower() if isinstance(each, str) else each for each in read]
        if sign == "!=":
            return bool(mine) and value not in mine
        return any(SIGNS[sign](each, value) for each in mine)

    text = f"tag.x {sign} {value!r}"
    if not any(tags):
        with pytest.raises(UsageError, match="no track has a tag 'x'"):
            Where.parse(text).mask(TABLE, said)
    else:
        assert Where.parse(text).mask(TABLE, said).tolist() == [meets(texts) for texts in tags]


pieces = st.lists(
    st.sampled_from(["tag.mood", "tag.bpm", "tag.", "year", "=", "!=", "<", "in", "not", "like", "is", "missing", "(",
                     ")", ",", "'calm'", "3", "and", "or", "tag.nothing"]),
    max_size=12,
)  # fmt: skip


@given(pieces)
def test_no_heap_of_pieces_does_anything_but_filter_or_complain(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        assert Where.parse(" ".join(words)).mask(TABLE, TAGS).shape == (len(TABLE),)


@given(st.text(max_size=30))
def test_no_text_does_anything_but_filter_or_complain(text: str) -> None:
    known = {name: kind for name, kind in FIELDS.items() if name in TABLE}
    with contextlib.suppress(UsageError):
        assert len(Where.parse(text, known).mask(TABLE, TAGS)) == len(TABLE)
