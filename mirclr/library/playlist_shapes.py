"""The shapes a playlist can have: which tracks of a pool, in which order, under the rules of one ledger.

*nearest*: down the ranking, ordered afterwards. *walk*: each track drawn from those near to where the walk is.
*journey* and *arc*: a target for every position, and the best way through all of them by beam search, so that a choice
at one position is weighed against what it leaves for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mirclr.library.ordering import short_path
from mirclr.library.playlist_rules import Ledger, Pool, Rules
from mirclr.library.search import best
from mirclr.library.transitions import Transitions

BEAM = 6  # ways kept at every position
TRIED = 24  # candidates of every way at a position
SAME_ARTIST = 2.0  # two neighbours of one artist cost as much as two opposite tracks
SAME_ALBUM = 1.0
PROMISED = 3.0  # added when the user limited runs: then only a list that cannot do otherwise has one
NEAR = 16  # a walk draws from so many
STEP_SHARE = 0.5  # of the cost of a transition, beside the distance from a position's target
ATTEMPTS = 24


@dataclass(frozen=True)
class Making:
    """Everything a shape needs: `listed` are the given places that are part of the list, in order."""

    pool: Pool
    rules: Rules
    transitions: Transitions
    listed: tuple[int, ...]
    cap: int
    handicap: np.ndarray  # (N,): what a track costs beside its sound, such as having been played

    def book(self) -> Ledger:
        """A new ledger in which the listed tracks are taken."""
        book = Ledger(self.pool, self.rules, self.cap)
        for place in self.listed:
            book.take(place)
        return book

    def neighbours(self, places: Sequence[int]) -> np.ndarray:
        """(n, n) cost of every step between `places`, dear between tracks of one artist or album."""
        codes = (self.pool.artist[list(places)], self.pool.album[list(places)])
        limits, cost = (self.rules.artist_run, self.rules.album_run), self.transitions.cost(places, places)
        for code, most, dear in zip(codes, limits, (SAME_ARTIST, SAME_ALBUM), strict=True):
            same = (code[:, None] == code[None, :]) & (code >= 0)[:, None]
            cost = cost + (dear + (PROMISED if most is not None else 0.0)) * same
        return cost


def nearest(making: Making, seeds: int) -> list[int]:
    """Down the ranking; then, unless `ranked`, from the last seed along a short path. `seeds` of the listed lead."""
    book, pool = making.book(), making.pool
    chosen: list[int] = []
    place = len(pool.given)
    while not book.full and place < len(pool):
        if book.allowed(in_a_row=False)[place]:
            book.take(place)
            chosen.append(place)
        place += 1
    lead, musts = list(making.listed[:seeds]), list(making.listed[seeds:])
    rest = sorted([*musts, *chosen], key=lambda p: p if p in chosen else -1)
    if making.rules.order == "ranked":
        return [*lead, *rest]
    start = lead[-1] if lead else 0  # a seed that is left out of the list still begins its path
    path = short_path(making.neighbours([start, *rest]))
    return [*lead, *([start, *rest][at] for at in path[1:])]


def walk(making: Making, seeds: int, *, drift: float, temperature: float, draw: np.random.Generator) -> list[int]:
    """Track after track, drawn from the nearest to a point between the seeds (`drift` 0) and the last track (1).

    The chance of a track falls by e for every `temperature` deviations of the nearest tracks' costs; 0: always the
    best. Musts are put in afterwards, each where it costs least.
    """
    book, pool = making.book(), making.pool
    lead = list(making.listed[:seeds])
    home = pool.unit[:seeds].mean(axis=0) if seeds else pool.unit[0]
    path = list(lead)
    while not book.full:
        free = book.allowed()
        if not free.any():
            break
        here = path[-1] if path else 0
        towards = (1 - drift) * _length_one(home) + drift * pool.unit[here]
        likeness = np.round(pool.unit @ _length_one(towards).astype(np.float32), 6) - making.handicap
        near = best(np.where(free, likeness, -np.inf), min(NEAR, int(free.sum())))
        costs = 1.0 - likeness[near] + STEP_SHARE * making.transitions.cost([here], near.tolist())[0]
        noise = temperature * float(costs.std()) * draw.gumbel(size=len(near))
        place = int(near[np.argmin(costs - noise)])
        book.take(place)
        path.append(place)
    for must in making.listed[seeds:]:
        path.insert(_cheapest_place(making, path, must, len(lead)), must)
    return path


def _cheapest_place(making: Making, path: list[int], must: int, first: int) -> int:
    """Where `must` costs least to put in, at or behind `first`."""
    if not path:
        return 0
    into = making.neighbours([*path, must])
    at = np.arange(max(first, 1), len(path) + 1)
    before, last = at - 1, at == len(path)
    after = np.where(last, 0, at)
    extra = into[before, -1] + np.where(last, 0.0, into[-1, after] - into[before, after])
    return int(at[np.argmin(extra)])


def _length_one(vector: np.ndarray) -> np.ndarray:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


# -- a target for every position


@dataclass(frozen=True)
class Slots:
    """`cost` (n, N): of every place at every position. `fixed`: which place stands at a position, whatever it costs."""

    cost: np.ndarray
    fixed: Mapping[int, int]


Targets = Callable[[int], Slots]  # how many positions to their slots


def by_slots(making: Making, targets: Targets) -> list[int]:
    """The best way through the slots; with fewer positions when the rules leave no track for one, and with as many as
    the wanted minutes take."""
    rules, fixed = making.rules, len(making.listed)
    count = max(fixed, min(rules.length or len(making.pool), _guess(making)))
    longest: list[int] = list(making.listed)
    tried: set[int] = set()
    for _ in range(ATTEMPTS):
        if count in tried or count < max(1, fixed):
            break
        tried.add(count)
        slots = targets(count)
        found, died_at = _beam(making, slots)
        if found is None:  # so many were found, and what has its fixed place behind them needs none
            count = max(fixed, min(count - 1, died_at + sum(at >= died_at for at in slots.fixed)))
            continue
        if _seconds(making, found) >= _seconds(making, longest) or len(found) > len(longest):
            longest = found
        if rules.minutes is None or _seconds(making, found) >= rules.minutes[0] * 60 or count == rules.length:
            break
        count += 1
    return longest


def _guess(making: Making) -> int:
    """How many positions to begin with: no more than there are tracks, and what the minutes hold."""
    book = making.book()
    left = int(book.open.sum()) + len(making.listed)
    if making.rules.minutes is None or making.rules.length is not None:
        return left
    known = making.pool.seconds[np.isfinite(making.pool.seconds)]
    usual = float(np.median(known)) if len(known) else 240.0
    return max(1, min(left, int(sum(making.rules.minutes) * 30 / max(usual, 1.0))))


def _seconds(making: Making, places: Sequence[int]) -> float:
    return float(np.nansum(making.pool.seconds[list(places)]))


@dataclass(frozen=True)
class _Way:
    cost: float
    path: tuple[int, ...]
    book: Ledger


def _beam(making: Making, slots: Slots) -> tuple[list[int] | None, int]:
    """The cheapest way found through all slots, or None and the position at which no track was left."""
    book = Ledger(making.pool, making.rules, making.cap)
    for place in making.listed:
        book.reserve(place)
    ways = [_Way(0.0, (), book)]
    for at in range(len(slots.cost)):
        steps = _onward(making, slots, at, ways)[:BEAM]
        if not steps:
            return None, at
        ways = [_extended(ways[which], place, cost, at in slots.fixed) for cost, which, place in steps]
    return list(ways[0].path), len(slots.cost)


def _onward(making: Making, slots: Slots, at: int, ways: Sequence[_Way]) -> list[tuple[float, int, int]]:
    """(cost so far, which way, place) of every step to position `at` that is tried, cheapest first."""
    if at in slots.fixed:
        tried = [np.array([slots.fixed[at]])] * len(ways)
    else:
        free = [way.book.allowed() for way in ways]
        tried = [best(np.where(mask, -slots.cost[at], -np.inf), min(TRIED, int(mask.sum()))) for mask in free]
    places, column = np.unique(np.concatenate(tried), return_inverse=True)
    if not len(places):
        return []
    step = np.tile(slots.cost[at, places], (len(ways), 1))
    if at:
        last = [way.path[-1] for way in ways]
        artists = making.pool.artist
        step = step + STEP_SHARE * making.transitions.cost(last, places.tolist())
        step += SAME_ARTIST * ((artists[last][:, None] == artists[places][None, :]) & (artists[places] >= 0))
    which = np.repeat(np.arange(len(ways)), [len(near) for near in tried])
    cost = np.round(step[which, column] + np.array([way.cost for way in ways])[which], 6)
    return sorted(zip(cost.tolist(), which.tolist(), places[column].tolist(), strict=True))


def _extended(way: _Way, place: int, cost: float, given: bool) -> _Way:
    book = way.book.copy()
    book.follow(place) if given else book.take(place)
    return _Way(cost, (*way.path, place), book)
