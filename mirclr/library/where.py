"""Filters in words: `genre = 'jazz' and year < 1970`, read by a grammar of our own and applied to a whole table.

    filter     = and ("or" and)...
    and        = not ("and" not)...
    not        = "not" not | "(" filter ")" | comparison
    comparison = NAME ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") VALUE
               | NAME ["not"] "in" "(" VALUE ("," VALUE)... ")"
               | NAME ["not"] "like" TEXT            (% any letters, _ one letter)
               | NAME "is" ["not"] "missing"
    NAME       = a column of the table | "tag." any tag of the files
    VALUE      = NUMBER | TEXT                       (TEXT in 'single' or "double" quotes, doubled inside)

Texts are compared as a person compares them: case, width and spacing do not count. A track without the value meets no
comparison, whichever its sign; `is missing` finds it, and `not` turns any answer round.

A tag may have several values. A track meets a comparison where any of them does, and `!=`, `not in` and `not like`
where it has one and none is what they say. Compared with a number, those values count that are one. A tag that no
track has is a mistake, not an empty answer.

Nothing of a filter is run: it becomes comparisons of columns.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from mirclr.audio.tag_names import KNOWN, tag_name
from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.library.columns import NUMBER, TEXT, Table, Tags, Test
from mirclr.library.names import folded

TAG = "tag."  # in front of a tag's name, so that no column, now or later, can be in its way
FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("path", "artist", "album", "title", "genre", "key", "container", "codec", "flags"), TEXT),
    **dict.fromkeys(("year", "track", "duration", "tempo", "energy", "size", "sample_rate", "channels"), NUMBER),
}
"""What can be asked of a track table, and what it is: tags, file facts and what was measured (tempo in beats a minute,
energy in LUFS, duration in seconds, size in bytes)."""
DEEPEST = 50  # brackets and nots inside each other
TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?![\w.]))|(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<word>[^\W\d]\w*(?:\.\w+)?)|(?P<sign>==|!=|<>|<=|>=|[=<>(),]))""",
    re.VERBOSE,
)
COMPARE: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
EQUAL, UNEQUAL = ("=", "=="), ("!=", "<>")
SHOWN = 8  # tags that a complaint names
Mask = Callable[[Table], np.ndarray]


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


@dataclass(frozen=True)
class Where:
    """A filter that was read. `text` is what was typed, `tags` are the tags it names, and where."""

    text: str
    tags: tuple[tuple[str, int], ...]
    _mask: Mask

    @classmethod
    def parse(cls, text: str, fields: Mapping[str, str] = FIELDS) -> Where:
        """Read a filter over columns `fields` (name to `TEXT` or `NUMBER`).

        Raises UsageError that shows the place, says what was expected, and knows the nearest name.
        """
        parser = _Parser(text, fields)
        mask = parser.filter()
        return cls(text, tuple(parser.tags), mask)

    def mask(self, tracks: pd.DataFrame, tags: Tags | None = None) -> np.ndarray:
        """`(N,)` bool: which rows of a track table meet it; `tags` are asked for those it names.

        Raises UsageError, with the nearest names there are, on a tag that no row has, and what `tags` raises.
        """
        for name, place in self.tags:
            if tags is None or not len(tags.column(name).rows):
                raise _wrong(self.text, f"no track has a tag {name!r}.{_near(name, tags)}", place)
        return self._mask(Table(tracks, tags))


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str, fields: Mapping[str, str]) -> None:
        self.text, self.fields = text, fields
        self.tokens, self.at, self.depth = self._tokens(), 0, 0
        self.tags: list[tuple[str, int]] = []

    def _tokens(self) -> list[_Token]:
        out, place = [], 0
        while self.text[place:].strip():
            found = TOKEN.match(self.text, place)
            if found is None:
                start = len(self.text) - len(self.text[place:].lstrip())
                open_quote = self.text[start] in "'\""
                raise self._wrong("a quote is not closed" if open_quote else "this is no part of a filter", start)
            kind = str(found.lastgroup)
            out.append(_Token(kind, found[kind], found.start(kind)))
            place = found.end()
        return [*out, _Token("end", "", len(self.text))]

    def filter(self) -> Mask:
        """The whole text."""
        mask = self._either()
        if self._now.kind != "end":
            raise self._wrong("expected `and`, `or` or the end")
        return mask

    def _either(self) -> Mask:
        parts = [self._both()]
        while self._took("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda t: np.logical_or.reduce([part(t) for part in parts])

    def _both(self) -> Mask:
        parts = [self._not()]
        while self._took("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda t: np.logical_and.reduce([part(t) for part in parts])

    def _not(self) -> Mask:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} brackets and nots inside each other")
        mask = self._one()
        self.depth -= 1
        return mask

    def _one(self) -> Mask:
        if self._took("not"):
            inside = self._not()
            return lambda tracks: ~inside(tracks)
        if self._took("("):
            inside = self._either()
            self._need(")", "a bracket is not closed")
            return inside
        return self._comparison()

    def _comparison(self) -> Mask:
        name = self._name()
        if self._took("is"):
            there = self._took("not")
            self._need("missing", "expected `missing`")
            return lambda table: table.known(name) == there
        if self._now.text in COMPARE:
            return self._compared(name, self._next().text)
        turned = self._took("not")
        if self._took("in"):
            return _meets(name, self._among(name), turned)
        if self._took("like"):
            return _meets(name, [(TEXT, self._like(name))], turned)
        raise self._wrong("expected a comparison: = != < <= > >= in like is")

    def _compared(self, name: str, sign: str) -> Mask:
        place = self.tokens[self.at - 1].place
        if self.fields.get(name) == TEXT and sign not in (*EQUAL, *UNEQUAL):
            raise self._wrong(f"{name} is text: compare it with =, !=, in or like", place)
        value = self._value(name)
        if isinstance(value, str):
            if sign not in (*EQUAL, *UNEQUAL):
                raise self._wrong(
                    f"texts have no order: compare {name} with a number, or with =, !=, in or like", place
                )
            return _meets(name, [(TEXT, lambda text: text == value)], sign in UNEQUAL)
        compare = COMPARE["=" if sign in UNEQUAL else sign]
        return _meets(name, [(NUMBER, lambda numbers: compare(numbers, value))], sign in UNEQUAL)

    def _among(self, name: str) -> list[tuple[str, Test]]:
        self._need("(", "expected a list in brackets: in ('a', 'b')")
        values = [self._value(name)]
        while self._took(","):
            values.append(self._value(name))
        self._need(")", "a bracket is not closed, or a comma is missing")
        texts = frozenset(value for value in values if isinstance(value, str))
        numbers = [value for value in values if not isinstance(value, str)]
        tests: list[tuple[str, Test]] = [(TEXT, texts.__contains__)] if texts else []
        return tests + ([(NUMBER, lambda column: np.isin(column, numbers))] if numbers else [])

    def _like(self, name: str) -> Test:
        place = self.tokens[self.at - 1].place
        if self.fields.get(name) == NUMBER:
            raise self._wrong(f"{name} is a number: compare it with = != < <= > >= or in", place)
        value = self._value(name)
        if not isinstance(value, str):
            raise self._wrong("expected a text in quotes", self.tokens[self.at - 1].place)
        kinds = {"%": ".*?", "_": "."}
        pattern = re.compile(
            "".join(kinds.get(part) or re.escape(part) for part in re.split("([%_])", value)), re.DOTALL
        )
        return lambda text: pattern.fullmatch(text) is not None

    def _name(self) -> str:
        """The next name: a column, or TAG and a tag's own name."""
        token = self._next()
        if token.kind != "word":
            raise self._wrong(f"expected a name: {', '.join(self.fields)}, or {TAG}NAME", token.place)
        name = token.text.lower()
        if name.startswith(TAG):
            tag = tag_name(name.removeprefix(TAG))
            if not tag:
                raise self._wrong("tags of this name are not kept: no lyrics, pictures and the like", token.place)
            self.tags.append((tag, token.place))
            return TAG + tag
        if name not in self.fields:
            hint = f" Did you mean '{TAG}{tag_name(name)}'?" if tag_name(name) in KNOWN else nearest(name, self.fields)
            further = "" if "Did you mean" in hint else f" Any tag of the files is {TAG}NAME."
            raise self._wrong(f"no name {token.text!r}.{hint}{further}", token.place)
        return name

    def _value(self, name: str) -> str | float:
        """The next value: a number, or a text folded and without its quotes. A tag may be compared with either."""
        token, kind = self._next(), self.fields.get(name)
        if token.kind not in (TEXT, NUMBER):
            expected = {TEXT: "text in quotes", NUMBER: "number", None: "number, or a text in quotes"}[kind]
            raise self._wrong(f"expected a {expected}", token.place)
        if kind is not None and token.kind != kind:
            example = f"{name} is text: put it in quotes" if kind == TEXT else f"{name} is a number: no quotes"
            raise self._wrong(example, token.place)
        quote = token.text[0]
        return float(token.text) if token.kind == NUMBER else folded(token.text[1:-1].replace(quote * 2, quote))

    @property
    def _now(self) -> _Token:
        return self.tokens[self.at]

    def _next(self) -> _Token:
        token = self._now
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def _took(self, word: str) -> bool:
        """Step over a word or sign if it is next."""
        if self._now.kind not in ("word", "sign") or self._now.text.lower() != word:
            return False
        self.at += 1
        return True

    def _need(self, word: str, complaint: str) -> None:
        if not self._took(word):
            raise self._wrong(complaint)

    def _wrong(self, complaint: str, place: int | None = None) -> UsageError:
        return _wrong(self.text, complaint, self._now.place if place is None else place)


def _meets(name: str, tests: Sequence[tuple[str, Test]], turned: bool) -> Mask:
    """One of the tests is met; `turned`: none is, by the rows that have a value the tests could be of."""

    def met(table: Table) -> np.ndarray:
        return np.logical_or.reduce([table.met(name, kind, test) for kind, test in tests])

    def unmet(table: Table) -> np.ndarray:
        return np.logical_or.reduce([table.known(name, kind) for kind, _ in tests]) & ~met(table)

    return unmet if turned else met


def _near(name: str, tags: Tags | None) -> str:
    """The tags there are that are written most like `name`, or else the commonest."""
    names = [] if tags is None else list(tags.names())
    close = [near for near in difflib.get_close_matches(name, names) if tags and len(tags.column(near).rows)]
    shown = ", ".join(TAG + each for each in close or names[:SHOWN])
    more = "; mirclr library tags lists them all" if len(names) > SHOWN else ""
    return f" Did you mean {shown}?" if close else f" There are {shown}{more}" if names else ""


def _wrong(text: str, complaint: str, place: int) -> UsageError:
    return UsageError(f"--where: {complaint}\n  {text}\n  {' ' * place}^")
