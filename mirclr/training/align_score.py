"""Does text find music it was not trained with? Ranks of held-out tracks, and what chance would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mirclr.seeds import generator
from mirclr.training.align_batches import AUDIO, AlignSource, same_text
from mirclr.training.align_learner import Aligner
from mirclr.training.artists import artist_keys

FEWEST, MOST = 4, 1000
AT = (1, 5, 10)


@dataclass(frozen=True)
class Found:
    """Q queries over N candidates. `rank` (Q,) from 1, of the first right one; `ahead` (Q,) in 0..1: the share of pairs
    of a right and a wrong candidate in which the right one comes first, for which chance is 0.5; `right` (Q,): how many
    are right; `groups` (Q,): equal for queries of one artist."""

    rank: np.ndarray
    ahead: np.ndarray
    right: np.ndarray
    groups: np.ndarray
    candidates: int

    def numbers(self) -> dict[str, float]:
        """`r1`, `r5`, `r10`: the share of queries with a right candidate among so many; `median_rank`; `ahead`; and
        what a random order would give on average, under `chance_...`."""
        by_chance = first_by_chance(self.right, self.candidates)
        out = {f"r{k}": float((self.rank <= k).mean()) for k in AT}
        out |= {"median_rank": float(np.median(self.rank)), "ahead": float(self.ahead.mean())}
        out |= {f"chance_r{k}": float(by_chance[min(k, self.candidates) - 1]) for k in AT}
        return out | {"chance_median_rank": float(np.searchsorted(by_chance, 0.5) + 1), "chance_ahead": 0.5}


def first_by_chance(right: np.ndarray, candidates: int) -> np.ndarray:
    """`(N,)`: the probability that a random order of N has one of a query's `right` (Q,) among its first k, k = 1..N,
    the mean over queries: 1 - C(N - r, k) / C(N, k)."""
    placed = np.arange(candidates)[:, None]
    missed = np.clip(candidates - right - placed, 0, None) / (candidates - placed)
    return np.asarray((1 - missed.cumprod(axis=0)).mean(axis=1))


def found(similarity: np.ndarray, right: np.ndarray, groups: np.ndarray) -> Found:
    """Rank candidates by `similarity` (Q, N); `right` (Q, N) bool. A tie with a wrong candidate is lost in the rank,
    and half lost in `ahead`; what is no number loses both. Queries that all candidates or none answer are left out."""
    asked = right.any(axis=1) & ~right.all(axis=1)
    right, similarity = right[asked], similarity[asked]
    similarity = np.where(np.isnan(similarity), np.where(right, -np.inf, np.inf), similarity)
    best = np.where(right, similarity, -np.inf).max(axis=1)
    rank = 1 + ((similarity >= best[:, None]) & ~right).sum(axis=1)
    ahead = np.array([_ahead(row[hit], row[~hit]) for row, hit in zip(similarity, right, strict=True)])
    return Found(rank, ahead, right.sum(axis=1), groups[asked], similarity.shape[1])


def _ahead(right: np.ndarray, wrong: np.ndarray) -> float:
    """The share of pairs in which the right one is the higher (the area under the ROC curve)."""
    ordered = np.sort(wrong)
    below, upto = np.searchsorted(ordered, right, "left"), np.searchsorted(ordered, right, "right")
    return float(((below + upto) / 2).mean() / len(wrong))


def hold_out(artists: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Rows kept from training: whole artists `(n,)` (-1: an artist of its own) until `share` of the tracks is reached,
    at most 1000; an artist that would overshoot is passed over. None when that makes fewer than 4: noise."""
    wanted = min(MOST, round(len(artists) * share))
    if wanted < FEWEST:
        return np.zeros(0, np.int64)
    own = np.where(artists < 0, artists.max(initial=0) + 1 + np.arange(len(artists)), artists)
    held: list[int] = []
    for artist in generator(seed, "align hold-out").permutation(np.unique(own)):
        rows = np.flatnonzero(own == artist)
        if len(held) + len(rows) <= wanted:
            held += rows.tolist()
    return np.array(sorted(held), np.int64) if len(held) >= FEWEST else np.zeros(0, np.int64)


class HeldOut:
    """Held-out tracks, as they are searched."""

    def __init__(self, source: AlignSource, rows: np.ndarray) -> None:
        self.source, self.rows = source, rows
        keys = artist_keys(source.known.tracks.iloc[rows])
        self.groups = np.where(keys < 0, keys.max(initial=0) + 1 + np.arange(len(rows)), keys)

    def judge(self, aligner: Aligner) -> dict[str, Found]:
        """Every modality but the sound as queries for the sound of the tracks; {} when there is nothing to ask."""
        if not len(self.rows):
            return {}
        views = self.source.whole(self.rows, aligner.ema.text)
        projected = aligner.projected(views)
        out = {}
        for name, here in zip(self.source.names[1:], views.present[1:].numpy(), strict=True):
            right = self._right(views.groups.numpy(), name)
            out[name] = self._found(projected[name], projected[AUDIO], right, here)
        return {name: answer for name, answer in out.items() if len(answer.rank)}

    def by_field(self, aligner: Aligner) -> dict[str, Found]:
        """Each field of the text alone as the query; right is every track of which it says the same."""
        hashed, out = aligner.ema.text, {}
        if hashed is None or not len(self.rows):
            return {}
        audio = aligner.projected(self.source.whole(self.rows, hashed))[AUDIO]
        for name in self.source.texts.fields:
            words = self.source.texts.all(self.rows, [name])
            asked = aligner.ema.one("text", hashed.bags_of_words(words).to(aligner.device)).cpu()
            same = same_text(words, len(words))
            right = (same[:, None] == same) & (same >= 0)[:, None]
            out[name] = self._found(asked, audio, right, same >= 0)
        return {name: answer for name, answer in out.items() if len(answer.rank)}

    def _right(self, same: np.ndarray, name: str) -> np.ndarray:
        """Of a text every track it is the text of, of another modality the track itself."""
        own = np.eye(len(self.rows), dtype=bool)
        return own | ((same[:, None] == same) & (same >= 0)) if name == "text" else own

    def _found(self, asked: Tensor, audio: Tensor, right: np.ndarray, here: np.ndarray) -> Found:
        with torch.no_grad():
            cosine = functional.normalize(asked.double()) @ functional.normalize(audio.double()).T
        return found(cosine.numpy()[here].round(6), right[here], self.groups[here])
