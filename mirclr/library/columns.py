"""What a filter asks of a table: which rows a value is known of, and which have one that meets a test.

A column of the track table has one value a row, of one kind. A tag may have several, all of them texts, and those that
read as a number are numbers, too; a row meets a test where any of its values does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mirclr.library.names import folded

TEXT, NUMBER = "text", "number"
Test = Callable[[Any], Any]
"""Of TEXT: a folded text to yes or no. Of NUMBER: `(N,)` float64 to `(N,)` bool; what it says of NaN does not count."""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)", re.ASCII)


@dataclass(frozen=True, eq=False)
class TagColumn:
    """One tag of `count` rows: `texts` (P,) are all its values, `rows` (P,) whose they are."""

    count: int
    rows: np.ndarray
    texts: np.ndarray

    def met(self, kind: str, test: Test) -> np.ndarray:
        """`(count,)` bool: the rows of which a value of this kind meets the test."""
        if kind == NUMBER:
            passed = np.asarray(test(self._numbers), bool) & ~np.isnan(self._numbers)
        else:
            passed = np.array([test(text) for text in self._different[1]], bool)
        out = np.zeros(self.count, bool)
        out[self.rows[passed[self._different[0]]]] = True
        return out

    @cached_property
    def _different(self) -> tuple[np.ndarray, list[str]]:
        """Which text every value is, and the different ones, folded: each is folded and tested once."""
        codes, texts = pd.factorize(self.texts)
        return codes, [folded(str(text)) for text in texts]

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The different texts as numbers; NaN for what is none, or none that a computer holds."""
        found = [float(text) if _NUMBER.fullmatch(text) else np.nan for text in self._different[1]]
        values = np.array(found, np.float64)
        return np.where(np.isfinite(values), values, np.nan)


class Tags(Protocol):
    """Where the tags of a track table's rows are asked for."""

    def column(self, name: str) -> TagColumn:
        """All values of one tag; none where no row has it."""

    def names(self) -> Sequence[str]:
        """What tags there may be, those with the most values first."""


@dataclass(frozen=True, eq=False)
class Table:
    """A track table, and its tags where there are some: `tag.composer` is the tag `composer`."""

    tracks: pd.DataFrame
    tags: Tags | None

    def met(self, name: str, kind: str, test: Test) -> np.ndarray:
        """`(N,)` bool: the rows of which a value of this kind meets the test."""
        room, _, tag = name.partition(".")
        if tag and self.tags is not None:
            return self.tags.column(tag).met(kind, test)
        column = self.tracks[room]
        return _numbers_met(column, test) if kind == NUMBER else _texts_met(column, test)

    def known(self, name: str, kind: str = TEXT) -> np.ndarray:
        """`(N,)` bool: the rows that have a value, of a tag one of this kind (every value is a text)."""
        if "." in name:
            return self.met(name, kind, lambda value: np.ones(len(value), bool) if kind == NUMBER else True)
        return np.asarray(self.tracks[name].notna().to_numpy())


def _numbers_met(column: pd.Series, test: Test) -> np.ndarray:
    """A test on the rows that have a number."""
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(test(values) & ~np.isnan(values))


def _texts_met(column: pd.Series, test: Test) -> np.ndarray:
    """A test on the rows that have a text; each different text is folded and tested once."""
    codes, texts = pd.factorize(column)
    passed: Sequence[bool] = [test(folded(str(text))) for text in texts]
    return np.append(np.array(passed, bool), False)[codes]  # a row without a text has code -1
