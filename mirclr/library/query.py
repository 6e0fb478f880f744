"""What somebody wants more of, as one question to a library: tracks, moments, artists, words, and what it is not.

Likes and unlikes are directions in the catalogue's space, combined as Rocchio did for text ("Relevance feedback in
information retrieval", 1971): the weighted mean of what is liked, less the weighted mean of what is not, and of length
one again, so that every answer is a cosine. Words live in the space of texts; where both are asked, the two rankings
are brought to one scale (mean 0, deviation 1 over the library) and added.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mirclr.errors import StoreError, UsageError
from mirclr.library.hubness import corrected
from mirclr.library.names import artist_key, folded
from mirclr.library.search import DIGITS, Catalogue, Hit, best
from mirclr.units import printable

if TYPE_CHECKING:  # torch is for words alone
    from mirclr.features.joint_file import SavedJoint
    from mirclr.library.text_search import Shelf

UNLIKED = 0.5  # of the pull of what is liked: at 1 the answer flees from the dislike instead of seeking the like
WEIGHTED = re.compile(r"^(?P<what>.+):(?P<weight>\d+(?:\.\d*)?|\.\d+)$", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A direction `unit` (D,), how much it `weight`s, its `name` for people, and the `rows` that are it."""

    name: str
    unit: np.ndarray
    weight: float = 1.0
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Question:
    """`likes`, `unlikes`; `words` (U,): cosines of every row with a text, or None."""

    likes: Sequence[Part] = ()
    unlikes: Sequence[Part] = ()
    words: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not self.likes and self.words is None:
            raise UsageError("nothing to be like: name a track, --like, --artist or --words")

    @property
    def own(self) -> tuple[int, ...]:
        """Rows that are part of the question, and so no answer."""
        return tuple(sorted({row for part in (*self.likes, *self.unlikes) for row in part.rows}))

    @property
    def direction(self) -> np.ndarray | None:
        """(D,) float32 of length one, or None where only words are asked. UsageError when what is liked and what is
        not cancel out."""
        if not (self.likes or self.unlikes):
            return None
        wanted = np.zeros_like((*self.likes, *self.unlikes)[0].unit)
        if self.likes:
            wanted = wanted + _mean(self.likes)
        if self.unlikes:
            wanted = wanted - _mean(self.unlikes) * (sum(part.weight for part in self.unlikes) / len(self.unlikes))
        length = float(np.linalg.norm(wanted))
        if length < 1e-6:
            raise UsageError("what is liked and what is not cancel each other out: there is nothing left to look for")
        return np.asarray(wanted / length, np.float32)


def weighted(text: str, default: float) -> tuple[str, float]:
    """'NAME:0.5' as NAME and 0.5; without a weight, or where the whole text is a file, the text and `default`.

    Raises UsageError on a weight of 0.
    """
    found = WEIGHTED.match(text)
    if found is None or Path(text).is_file():
        return text, default
    weight = float(found["weight"])
    if weight == 0:
        raise UsageError(f"{printable(text)}: a weight of 0 says nothing; leave it out, or give --unlike")
    return found["what"], weight


def artist_part(catalogue: Catalogue, name: str, weight: float = 1.0) -> Part:
    """The mean direction of an artist's tracks. Raises UsageError, with the nearest names, when there is no such
    artist."""
    keys = [artist_key(artist) for artist in catalogue.tracks["artist"]]
    rows = tuple(row for row, key in enumerate(keys) if key is not None and key == folded(name))
    if not rows:
        close = difflib.get_close_matches(folded(name), sorted({key for key in keys if key}), n=3, cutoff=0.6)
        hint = f" Nearest: {'; '.join(printable(key) for key in close)}." if close else ""
        raise UsageError(f"--artist {printable(name)}: no track of the library has this artist.{hint}")
    mean = catalogue.unit[list(rows)].mean(axis=0)
    return Part(name, mean / max(1e-12, float(np.linalg.norm(mean))), weight, rows)


def words_scores(catalogue: Catalogue, shelf: Shelf, joint: SavedJoint, text: str) -> np.ndarray:
    """(U,) float32 cosines of every row with a text in a joint space; `shelf`: the same library in that space.

    Raises UsageError when the space knows no text or the text has no word; StoreError when the library changed between
    the two readings.
    """
    if shelf.tracks["audio_id"].tolist() != catalogue.tracks["audio_id"].tolist():
        raise StoreError(f"{catalogue.path}: changed while it was read; ask again")
    return np.asarray(np.round(shelf.unit @ joint.texts([text])[0], DIGITS), np.float32)


def answer(
    catalogue: Catalogue, question: Question, k: int, *, mask: np.ndarray | None = None, near: np.ndarray | None = None
) -> list[Hit]:
    """The `k` rows that fit a question best, best first, ties in path order; those where `mask` (U,) is False are out.

    `similarity` is the cosine with the question (with words and likes: the sum of both rankings' standard scores).
    With `near` (U,), the rows' nearness, rows are ranked with hubs corrected; words alone have none to correct.
    """
    scores = _scores(catalogue, question)
    order = corrected(scores, near) if near is not None and question.words is None else scores.copy()
    out = np.zeros(len(scores), bool) if mask is None else ~mask
    out[list(question.own)] = True
    order[out] = -np.inf
    return [Hit(int(row), float(scores[row])) for row in best(order, min(k, int((~out).sum())))]


def _scores(catalogue: Catalogue, question: Question) -> np.ndarray:
    direction, words = question.direction, question.words
    if direction is None:
        return np.asarray(words)  # `Question` has one of the two
    cosines = catalogue.similarities(direction)
    return cosines if words is None else np.round(_standard(cosines) + _standard(words), DIGITS)


def _standard(scores: np.ndarray) -> np.ndarray:
    return np.asarray((scores - scores.mean()) / max(1e-6, float(scores.std())), np.float32)


def _mean(parts: Sequence[Part]) -> np.ndarray:
    weights = np.array([part.weight for part in parts])
    return np.asarray(np.average([part.unit for part in parts], axis=0, weights=weights))
