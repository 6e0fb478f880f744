"""Progress as data. Long work is a generator that yields `Progress` and returns its result; the door draws the bars."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """One report: `done` of `total` units (None: unknown) of a `stage`, with a `note` for people."""

    stage: str
    done: int
    total: int | None = None
    note: str = ""


Work = Generator[Progress, None, Result]


def finish(work: Generator[Progress, None, Result], watch: Callable[[Progress], object] | None = None) -> Result:
    """Run `work` to its end and return its result; `watch` sees every report.

    >>> finish(work)                      # quiet
    >>> finish(work, watch=print)         # a library user's own progress bar
    """
    while True:
        try:
            report = next(work)
        except StopIteration as stop:
            return stop.value
        if watch is not None:
            watch(report)
