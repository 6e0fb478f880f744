"""Batches in which every class comes equally often, whatever the collection's shares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mirclr.seeds import generator
from mirclr.training.views import Sampler


class BalancedSampler(Sampler):
    """A `Sampler` of one crop an item that deals classes instead of tracks.

    `labels`: (n,) class of every track; the rest as in `Sampler`. In every epoch each class has as many places as the
    largest one has tracks: every track has its turn, and those of smaller classes come again, with other crops. Classes
    take turns, so that their counts within a batch differ by two at most.
    """

    def __init__(self, seed: int, labels: np.ndarray, *arguments: Any, **options: Any) -> None:
        super().__init__(seed, *arguments, count=1, **options)
        classes, member = np.unique(labels, return_inverse=True)
        self._tracks_by_class = [np.flatnonzero(member == k) for k in range(len(classes))]
        self._epoch_dealt: tuple[int, np.ndarray, np.ndarray] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """As many as it takes for every track of the largest class to have its turn."""
        places = len(self._tracks_by_class) * max(len(tracks) for tracks in self._tracks_by_class)
        return math.ceil(places / self.batch)

    def _deal(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self._epoch_dealt is None or self._epoch_dealt[0] != epoch:
            self._epoch_dealt = (epoch, *self._dealt_epoch(epoch))
        _, track, visit = self._epoch_dealt
        some = slice(index * self.batch, (index + 1) * self.batch)
        return track[some], visit[some]

    def _dealt_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Tracks and visits of all batches of an epoch, one after the other."""
        rng = generator(self.seed, epoch, "balance")
        classes = len(self._tracks_by_class)
        turns = math.ceil(self.batches_per_epoch * self.batch / classes)
        track, visit = np.empty((2, turns, classes), np.int64)
        for k, tracks in enumerate(self._tracks_by_class):
            rounds = math.ceil(turns / len(tracks))
            track[:, k] = np.concatenate([rng.permutation(tracks) for _ in range(rounds)])[:turns]
            visit[:, k] = np.repeat(np.arange(rounds), len(tracks))[:turns]
        # Another order of the classes at every turn: a batch that ends within a turn favours none for ever.
        order = rng.permuted(np.tile(np.arange(classes), (turns, 1)), axis=1)
        rows = np.arange(turns)[:, None]
        return track[rows, order].ravel(), visit[rows, order].ravel()
