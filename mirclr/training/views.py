"""Which crops of which tracks make a batch: pure planning in numpy, no sound and no tensors.

A batch is a pure function of (seed, epoch, batch index): the same on any number of workers, and a killed run goes on in
the middle of an epoch. Positions are counted in *units*, the rows of the store the crops come from: samples or frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mirclr.seeds import generator
from mirclr.training.timeline import Span, Timeline, read_crop

__all__ = ["Batch", "Sampler", "read_crop"]

DEALING = "deal"
"""The coordinate that keeps the shuffle of an epoch apart from the draws of its tracks."""


@dataclass(frozen=True)
class Batch:
    """B planned items of V crops each.

    `track` (B, V) int64, the index of the track each crop comes from (column 0 is the item's own track); `start` (B, V)
    int64, its first unit in the store's row; `groups` (B,) int64, items with equal groups >= 0 are not each other's
    negatives, -1 has no group; `visit` (B,) int64, 0 for the track's turn in this epoch and another number for each
    extra one: (seed, epoch, track, visit, view) is a unique place for whatever else is drawn for a crop.
    """

    track: np.ndarray
    start: np.ndarray
    groups: np.ndarray
    visit: np.ndarray

    def __len__(self) -> int:
        return len(self.track)

    def part(self, rank: int, size: int) -> Batch:
        """The items of process `rank` of `size`: the whole is all parts in a row."""
        mine = np.array_split(np.arange(len(self)), size)[rank]
        return Batch(self.track[mine], self.start[mine], self.groups[mine], self.visit[mine])


def _check(name: str, value: float, low: float, high: float = np.inf) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low:g}..{high:g}, got {value!r}")


class Sampler:
    """Plans the batches of an epoch: every track has its turn, and every batch has the same size.

    `ids`: names of the n tracks, on which their draws depend; `spans`: per track its contiguous pieces `(start, length,
    source_start_s)` in units, units and seconds; `artists`: (n,) keys of `artist_keys`, -1 for none; `clip`: units of a
    crop; `step_s`: seconds of a unit; `batch`: items per batch, all tracks when there are fewer; `count`: crops per
    item; `min_distance`: units between the centres of two crops of one track, measured in the source file, kept
    wherever the track is long enough, else as far apart as can be; `own`: crops after those, anywhere in the item's own
    track; `artist_positive`: probability that the later crops
    come from another track of the same artist, when one exists; `mask_same_artist`: tracks of one artist share a group.

    An epoch that does not divide into batches is filled up with second visits of tracks from elsewhere in the epoch
    rather than dropped or left small: the decoupled loss depends on the number of negatives, and a small collection
    cannot spare tracks. The tracks of an artist are dealt to as many different batches as there are.

    Raises ValueError on an option out of range, on fewer than two tracks and on a track without a unit of sound.
    """

    def __init__(
        self,
        seed: int,
        ids: Sequence[str],
        spans: Sequence[Sequence[Span]],
        artists: np.ndarray,
        *,
        clip: int,
        step_s: float,
        batch: int,
        count: int = 2,
        min_distance: float = 0,
        own: int = 0,
        artist_positive: float = 0.0,
        mask_same_artist: bool = True,
    ) -> None:
        _check("the number of tracks", len(ids), 2)
        _check("batch", batch, 2)
        _check("count", count, 1)
        _check("min_distance", min_distance, 0)
        _check("own", own, 0)
        _check("artist_positive", artist_positive, 0, 1)
        if not len(ids) == len(spans) == len(artists):
            raise ValueError(f"{len(ids)} tracks, spans of {len(spans)} and artists of {len(artists)}")
        self.seed, self.ids, self.artists = seed, list(ids), np.asarray(artists, np.int64)
        self.timelines = [Timeline.of(pieces, clip, step_s, i) for i, pieces in zip(ids, spans, strict=True)]
        self.count, self.min_distance, self.own = count, math.ceil(min_distance), own
        self.artist_positive, self.mask_same_artist = artist_positive, mask_same_artist
        self.batch = min(batch, len(self.ids))
        self._tracks_of = _tracks_by_artist(self.artists)
        self._dealt: tuple[int, list[np.ndarray], list[np.ndarray]] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """As many as it takes for every track to have its turn."""
        return math.ceil(len(self.ids) / self.batch)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `first_batch` on."""
        return (self.plan(epoch, index) for index in range(first_batch, self.batches_per_epoch))

    def plan(self, epoch: int, index: int) -> Batch:
        """Batch number `index` of an epoch. Raises IndexError beyond its end."""
        if not 0 <= index < self.batches_per_epoch:
            raise IndexError(f"batch {index} of an epoch of {self.batches_per_epoch} batches")
        own, visit = self._deal(epoch, index)
        items = [self._item(epoch, int(t), int(v)) for t, v in zip(own, visit, strict=True)]
        track = np.array([tracks for tracks, _ in items], np.int64)
        return Batch(track, np.array([starts for _, starts in items], np.int64), self._groups(track), visit)

    def _deal(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The tracks of a batch and their visits; the shuffle of the last epoch asked for is kept."""
        if self._dealt is None or self._dealt[0] != epoch:
            rng = generator(self.seed, epoch, DEALING)
            hands = deal(self.artists, self.batches_per_epoch, rng)
            extra = [_fill(hand, self.artists, self.batch, rng) for hand in hands]
            self._dealt = (epoch, hands, extra)
        hand, extra_hand = self._dealt[1][index], self._dealt[2][index]
        visit = np.repeat(np.array([0, 1 + index], np.int64), [len(hand), len(extra_hand)])
        return np.concatenate([hand, extra_hand]), visit

    def _item(self, epoch: int, track: int, visit: int) -> tuple[list[int], list[int]]:
        """The tracks and starts of the crops of one item."""
        rng = generator(self.seed, epoch, self.ids[track], visit)
        tracks, starts = self._crops(track, rng)
        own = self.timelines[track].draw(rng, self.own) if self.own else []
        return tracks + [track] * self.own, starts + own

    def _crops(self, track: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """The tracks and starts of the `count` crops that belong together."""
        other = self._other_track(track, rng) if self.count > 1 else track
        if other == track:
            return [track] * self.count, self.timelines[track].draw(rng, self.count, self.min_distance)
        first = self.timelines[track].draw(rng, 1, self.min_distance)
        later = self.timelines[other].draw(rng, self.count - 1, self.min_distance)
        return [track] + [other] * (self.count - 1), first + later

    def _other_track(self, track: int, rng: np.random.Generator) -> int:
        """With probability `artist_positive` another track of the same artist, else the track itself."""
        if rng.random() >= self.artist_positive or self.artists[track] < 0:
            return track
        siblings = self._tracks_of[int(self.artists[track])]
        others = siblings[siblings != track]
        return int(rng.choice(others)) if len(others) else track

    def _groups(self, track: np.ndarray) -> np.ndarray:
        """Artist keys as groups. Without `mask_same_artist` only artists whose tracks stand in for each other here:
        their second crop may be of a track that is an item itself, and must not be its negative."""
        artist = self.artists[track[:, 0]]
        if self.mask_same_artist:
            return artist
        borrowed = artist[(track != track[:, :1]).any(1)]
        return np.where(np.isin(artist, borrowed), artist, -1)


def _tracks_by_artist(artists: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(artists, kind="stable")
    keys, first = np.unique(artists[order], return_index=True)
    return {int(key): tracks for key, tracks in zip(keys, np.split(order, first[1:]), strict=True) if key >= 0}


def deal(artists: np.ndarray, hands: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Shuffles tracks and deals them like cards to `hands` batches whose sizes differ by one at most.

    The tracks of an artist lie next to each other in the shuffled pack, so dealing in turn spreads them over as many
    batches as there are: no batch has more than ceil(tracks of the artist / hands).
    """
    shuffled = rng.permutation(len(artists))
    # A track without artist is an artist of its own; the artists' own order is random too.
    key = np.where(artists >= 0, artists, artists.max(initial=-1) + 1 + np.arange(len(artists)))[shuffled]
    place = rng.random(int(key.max()) + 1)[key]
    pack = shuffled[np.argsort(place, kind="stable")]
    return [pack[hand::hands] for hand in range(hands)]


def _fill(hand: np.ndarray, artists: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The tracks that bring a hand to `size`: any others at random, artists that are not in the hand first."""
    missing = size - len(hand)
    if missing == 0:
        return np.empty(0, np.int64)
    others = rng.permutation(np.setdiff1d(np.arange(len(artists)), hand, assume_unique=True))
    known = np.isin(artists[others], artists[hand]) & (artists[others] >= 0)
    return others[np.argsort(known, kind="stable")][:missing]
