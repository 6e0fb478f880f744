"""Does text find music? Ranks of held-out tracks as a card with chance beside every number, and as a sentence.

The judgement rests on pairs: of a right and a wrong track, how often is the right one ranked first? Chance is a half
whatever the number of tracks, so one number serves small and large collections. Its interval is over artists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mirclr.evaluation.bootstrap import DRAWS, interval, track_weights
from mirclr.files import write_atomic

FEWEST_ARTISTS = 4  # below this an interval over artists is no interval
COLUMNS = ("asked by", "queries", "R@1", "R@5", "R@10", "median rank", "right before wrong")


class Answers(Protocol):
    """Ranked queries."""

    @property
    def ahead(self) -> np.ndarray:
        """`(Q,)` in 0..1: the share of pairs of a right and a wrong candidate in which the right one comes first."""

    @property
    def groups(self) -> np.ndarray:
        """`(Q,)`: equal for queries of one artist."""

    @property
    def candidates(self) -> int:
        """Of how many tracks each query is asked."""

    def numbers(self) -> dict[str, float]:
        """`r1`, `r5`, `r10`, `median_rank`, `ahead`, and the same by chance under `chance_...`."""


@dataclass(frozen=True)
class Asked:
    """One kind of query: its `numbers`, the 95 % interval of `ahead` over artists, how many `queries` and `artists`."""

    name: str
    numbers: Mapping[str, float]
    low: float
    high: float
    queries: int
    artists: int
    candidates: int

    @property
    def better(self) -> bool:
        """Whether it finds music better than chance: half lies below the interval, of enough artists to tell."""
        return self.artists >= FEWEST_ARTISTS and self.low > 0.5

    def row(self, label: str) -> dict[str, str]:
        """A line of the card; chance in brackets, for the last number its interval."""
        n = self.numbers
        shares = {f"R@{k}": f"{100 * n[f'r{k}']:.1f} % ({100 * n[f'chance_r{k}']:.1f} %)" for k in (1, 5, 10)}
        rank = f"{n['median_rank']:g} ({n['chance_median_rank']:g}) of {self.candidates}"
        ahead = f"{100 * n['ahead']:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"
        return dict(zip(COLUMNS, (label, str(self.queries), *shares.values(), rank, ahead), strict=True))


@dataclass(frozen=True)
class TextScores:
    """`whole`: what each modality finds, asked with everything it says; `fields`: each field of the text alone."""

    whole: tuple[Asked, ...]
    fields: tuple[Asked, ...]

    def card(self) -> tuple[dict[str, str], ...]:
        """A row a kind of query."""
        together = [a.row(f"{a.name}, all fields" if a.name == "text" else a.name) for a in self.whole]
        return (*together, *(asked.row(f"{asked.name} alone") for asked in self.fields))

    @property
    def sentences(self) -> tuple[str, ...]:
        """Whether it works, in words, also when it does not."""
        if not self.whole:
            return ("No track was held out: whether it finds music that it was not trained on is not known.",)
        return (*(_sentence(asked) for asked in self.whole), *([_of_fields(self.fields)] if self.fields else []))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        parts = {"whole": self.whole, "fields": self.fields}
        told = {part: {a.name: {**vars(a), "better": a.better} for a in rows} for part, rows in parts.items()}
        return {**told, "sentences": list(self.sentences)}

    def write(self, path: Path) -> None:
        """As JSON, atomically."""
        write_atomic(path, json.dumps(self.to_json(), indent=2, default=dict) + "\n")


def score_text(whole: Mapping[str, Answers], fields: Mapping[str, Answers], seed: int = 0) -> TextScores:
    """Scores of ranked queries, by modality and by field of the text."""
    parts = [tuple(_asked(name, answers, seed) for name, answers in part.items()) for part in (whole, fields)]
    return TextScores(*parts)


def _asked(name: str, answers: Answers, seed: int) -> Asked:
    weights = track_weights(answers.groups, DRAWS, seed)
    total = weights.sum(axis=1)
    drawn = np.divide(weights @ answers.ahead, total, out=np.full(DRAWS, np.nan), where=total > 0)
    artists = len(np.unique(answers.groups))
    return Asked(name, answers.numbers(), *interval(drawn), len(answers.ahead), artists, answers.candidates)


def _sentence(asked: Asked) -> str:
    n, subject = asked.numbers, asked.name.capitalize()
    verdict = "finds held-out music better than chance" if asked.better else (
        "does not find held-out music better than chance"
    )  # fmt: skip
    if asked.artists < FEWEST_ARTISTS:
        verdict = f"cannot be judged by {asked.artists} held-out artists"
    return (
        f"{subject} {verdict}: of a right and a wrong track the right one comes first in {100 * n['ahead']:.0f} % of "
        f"the pairs (95 % interval {100 * asked.low:.0f} to {100 * asked.high:.0f}, chance 50 %); the right one is "
        f"first of {asked.candidates} in {100 * n['r1']:.0f} % (chance {100 * n['chance_r1']:.0f} %)."
    )


def _of_fields(fields: tuple[Asked, ...]) -> str:
    does = [asked.name for asked in fields if asked.better]
    not_ = [asked.name for asked in fields if not asked.better]
    said = [f"better than chance by {', '.join(does)}"] if does else []
    said += [f"not better than chance by {', '.join(not_)}"] if not_ else []
    return f"Field by field, held-out music is found {'; '.join(said)}."
