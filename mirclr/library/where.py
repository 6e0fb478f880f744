"""Filters in words: `genre = 'jazz' and year < 1970`, read by a grammar of our own and applied to a whole table.

    filter     = and ("or" and)...
    and        = not ("and" not)...
    not        = "not" not | "(" filter ")" | comparison
    comparison = NAME ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") VALUE
               | NAME ["not"] "in" "(" VALUE ("," VALUE)... ")"
               | NAME ["not"] "like" TEXT            (% any letters, _ one letter)
               | NAME "is" ["not"] "missing"
    VALUE      = NUMBER | TEXT                       (TEXT in 'single' or "double" quotes, doubled inside)

Texts are compared as a person compares them: case, width and spacing do not count. A track without the value meets no
comparison, whichever its sign; `is missing` finds it, and `not` turns any answer round. Nothing of a filter is run: it
becomes comparisons of columns.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from mirclr.config import nearest
from mirclr.errors import UsageError
from mirclr.library.names import folded

TEXT, NUMBER = "text", "number"
FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("path", "artist", "album", "title", "genre", "key", "container", "codec", "flags"), TEXT),
    **dict.fromkeys(("year", "track", "duration", "tempo", "energy", "size", "sample_rate", "channels"), NUMBER),
}
"""What can be asked of a track table, and what it is: tags, file facts and what was measured (tempo in beats a minute,
energy in LUFS, duration in seconds, size in bytes)."""
DEEPEST = 50  # brackets and nots inside each other
TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?![\w.]))|(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<word>[^\W\d]\w*)|(?P<sign>==|!=|<>|<=|>=|[=<>(),]))""",
    re.VERBOSE,
)
COMPARE: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
Mask = Callable[[pd.DataFrame], np.ndarray]


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


@dataclass(frozen=True)
class Where:
    """A filter that was read. `text` is what was typed."""

    text: str
    _mask: Mask

    @classmethod
    def parse(cls, text: str, fields: Mapping[str, str] = FIELDS) -> Where:
        """Read a filter over columns `fields` (name to `TEXT` or `NUMBER`).

        Raises UsageError that shows the place, says what was expected, and knows the nearest name.
        """
        return cls(text, _Parser(text, fields).filter())

    def mask(self, tracks: pd.DataFrame) -> np.ndarray:
        """`(N,)` bool: which rows of a track table meet it."""
        return self._mask(tracks)


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str, fields: Mapping[str, str]) -> None:
        self.text, self.fields = text, fields
        self.tokens, self.at, self.depth = self._tokens(), 0, 0

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
            return lambda tracks: tracks[name].notna().to_numpy() == there
        if self._now.text in COMPARE:
            return self._compared(name, self._next().text)
        turned = self._took("not")
        if self._took("in"):
            return self._turned(name, self._among(name), turned)
        if self._took("like"):
            return self._turned(name, self._like(name), turned)
        raise self._wrong("expected a comparison: = != < <= > >= in like is")

    def _turned(self, name: str, inside: Mask, turned: bool) -> Mask:
        """`not in` and `not like`: of the rows that have the value."""
        return (lambda tracks: ~inside(tracks) & tracks[name].notna().to_numpy()) if turned else inside

    def _compared(self, name: str, sign: str) -> Mask:
        if self.fields[name] == NUMBER:
            value, compare = float(self._value(name)), COMPARE[sign]
            return lambda tracks: _on_numbers(tracks[name], lambda column: compare(column, value))
        if sign not in ("=", "==", "!=", "<>"):
            raise self._wrong(f"{name} is text: compare it with =, !=, in or like", self.tokens[self.at - 1].place)
        wanted, equal = self._value(name), sign in ("=", "==")
        return lambda tracks: _on_texts(tracks[name], lambda text: (text == wanted) == equal)

    def _among(self, name: str) -> Mask:
        self._need("(", "expected a list in brackets: in ('a', 'b')")
        values = [self._value(name)]
        while self._took(","):
            values.append(self._value(name))
        self._need(")", "a bracket is not closed, or a comma is missing")
        if self.fields[name] == NUMBER:
            numbers = [float(value) for value in values]
            return lambda tracks: _on_numbers(tracks[name], lambda column: np.isin(column, numbers))
        texts = frozenset(values)
        return lambda tracks: _on_texts(tracks[name], texts.__contains__)

    def _like(self, name: str) -> Mask:
        if self.fields[name] == NUMBER:
            raise self._wrong(
                f"{name} is a number: compare it with = != < <= > >= or in", self.tokens[self.at - 1].place
            )
        parts = re.split(r"([%_])", self._value(name))
        kinds = {"%": ".*?", "_": "."}
        pattern = re.compile("".join(kinds.get(part) or re.escape(part) for part in parts), re.DOTALL)
        return lambda tracks: _on_texts(tracks[name], lambda text: pattern.fullmatch(text) is not None)

    def _name(self) -> str:
        token = self._next()
        if token.kind != "word":
            raise self._wrong("expected a name: " + ", ".join(self.fields), token.place)
        if token.text.lower() not in self.fields:
            raise self._wrong(f"no name {token.text!r}.{nearest(token.text.lower(), self.fields)}", token.place)
        return token.text.lower()

    def _value(self, name: str) -> str:
        """The next value, a text folded and without its quotes."""
        token, kind = self._next(), self.fields[name]
        if token.kind not in (TEXT, NUMBER):
            raise self._wrong(f"expected a {kind}{' in quotes' if kind == TEXT else ''}", token.place)
        if token.kind != kind:
            example = f"{name} is text: put it in quotes" if kind == TEXT else f"{name} is a number: no quotes"
            raise self._wrong(example, token.place)
        quote = token.text[0]
        return token.text if kind == NUMBER else folded(token.text[1:-1].replace(quote * 2, quote))

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
        place = self._now.place if place is None else place
        return UsageError(f"--where: {complaint}\n  {self.text}\n  {' ' * place}^")


def _on_numbers(column: pd.Series, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A test on the rows that have a number."""
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(test(values) & ~np.isnan(values))


def _on_texts(column: pd.Series, test: Callable[[str], bool]) -> np.ndarray:
    """A test on the rows that have a text; each different text is folded and tested once."""
    codes, texts = pd.factorize(column)
    passed: Sequence[bool] = [test(folded(str(text))) for text in texts]
    return np.append(np.array(passed, bool), False)[codes]  # a row without a text has code -1
