"""A copy that is not whole is refused, and what it lacks is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirclr.datasets.partial import differences, refuse_partial
from mirclr.datasets.registry import Expected
from mirclr.errors import DatasetError
from tests.support.report_card import collection


def test_a_whole_copy_and_one_that_promises_nothing_are_whole() -> None:
    whole = replace(collection(), expected=Expected(tracks=72, labels={"ambient": 18}))
    assert refuse_partial(whole, False) == refuse_partial(collection(), False) == ()


def test_missing_files_and_counts_are_told_and_refused_unless_allowed() -> None:
    lacking = replace(
        collection(), missing=("a.mp3", "b.mp3", "c.mp3", "d.mp3"), expected=Expected(tracks=76, labels={"drone": 22})
    )
    assert differences(lacking) == ("72 tracks here, 76 declared", "drone: 18 here, 22 declared")
    with pytest.raises(
        DatasetError, match=r"(?s)not whole.*4 of 76 listed files are missing: a.mp3, b.mp3, c.mp3, \.\.\."
    ):
        refuse_partial(lacking, False)
    told = refuse_partial(lacking, True)
    assert len(told) == 3
    assert all(line.startswith("partial collection: ") for line in told)
