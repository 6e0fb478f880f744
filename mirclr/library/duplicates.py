"""The same music twice: copies, near-duplicates of one recording, and other versions of a piece.

A *copy* is two paths with the same decoded audio; the store knows it by `audio_id`. For the others the summaries in the
store propose a few pairs (`mirclr.library.alike`), whose files are then opened and compared in time, moment by moment
(`mirclr.features.same_music`): summaries alone cannot tell the same from the similar. A *near_duplicate* is one
recording, encoded, mastered, cut or run at another speed; a *version* is the same piece played, mixed or transposed
anew; an *unverified* pair was proposed and one of its files cannot be heard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from mirclr.audio.decode import decode
from mirclr.errors import AudioError
from mirclr.features.hearing import audible, in_threads, quarantined
from mirclr.features.same_music import RATE, SAME_PIECE, SAME_RECORDING, Heard, Match, compare, hear
from mirclr.library.alike import candidates
from mirclr.library.search import Catalogue
from mirclr.reports import Progress, Work

COPY, NEAR, VERSION, UNVERIFIED = "copy", "near_duplicate", "version", "unverified"
KINDS = (COPY, NEAR, VERSION, UNVERIFIED)
LISTEN_S = 600.0  # of a file: all of nearly every track, and what a DJ set or a concert costs is bounded


@dataclass(frozen=True)
class Pair:
    """Two paths and what they are to each other, one of `KINDS`.

    `likeness`, 0..1: of a near-duplicate the correlation of the two sounds at their best place, of a version the share
    of the shorter one that both go through alike; 1 for a copy. `offset`: seconds into the first at which a
    near-duplicate begins. `speed` of the second as a multiple of the first's (None for a version); `semitones` by which
    it is higher. `reason`: why an unverified pair, with None everywhere, could not be compared.
    """

    kind: str
    first: str
    second: str
    likeness: float | None = None
    offset: float | None = None
    speed: float | None = None
    semitones: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Duplicates:
    """`pairs`, surest first: by kind as in `KINDS`, then by likeness. `candidates`: how many pairs were listened to or
    should have been; `quarantine`: rows (path, reason, detail) of files that could not be heard."""

    pairs: list[Pair]
    candidates: int
    quarantine: list[dict[str, str]]


def duplicates(catalogue: Catalogue, workers: int | None = None) -> Work[Duplicates]:
    """Every pair that is the same music; opens the files of the candidates, in `workers` threads (None: all cores).

    Summaries are compared in time U^2. Raises StoreError when the store is gone.
    """
    found = yield from _compared(candidates(catalogue), catalogue.tracks["path"].tolist(), workers)
    pairs = [*_copies(catalogue), *found.pairs]
    pairs.sort(key=lambda pair: (KINDS.index(pair.kind), -(pair.likeness or 0), pair.first, pair.second))
    return replace(found, pairs=pairs)


def listen(path: str) -> Heard:
    """The first `LISTEN_S` of a file as it is compared. Raises AudioError when it cannot be decoded, or to nothing."""
    return hear(audible(path, decode(path, RATE, 0.0, LISTEN_S)))


def kind_of(match: Match) -> str | None:
    """What two sounds that match like this are to each other; None: two pieces."""
    if match.recording >= SAME_RECORDING:
        return NEAR
    return VERSION if match.piece >= SAME_PIECE else None


def _copies(catalogue: Catalogue) -> Iterator[Pair]:
    """Every further path of a sound with its first one."""
    first = catalogue.tracks["path"]
    for path, row in zip(catalogue.paths["path"], catalogue.paths["row"], strict=True):
        if first.iloc[row] != path:
            yield Pair(COPY, first.iloc[row], path, 1.0, 0.0, 1.0, 0)


def _compared(proposed: list[tuple[int, int]], paths: list[str], workers: int | None) -> Work[Duplicates]:
    """The pairs of rows `proposed` that are something to each other, unsorted.

    A track is heard once, and forgotten when the last of its pairs was compared.
    """
    left: dict[int, set[int]] = defaultdict(set)
    for one, other in proposed:
        left[one].add(other)
        left[other].add(one)
    order, found = _neighbours_first(left), Duplicates([], len(proposed), [])
    heard: dict[int, Heard | AudioError] = {}
    sounds = in_threads((partial(listen, paths[row]) for row in order), workers)
    for count, (row, sound) in enumerate(zip(order, sounds, strict=True), 1):
        heard[row] = sound
        if isinstance(sound, AudioError):
            found.quarantine.append(quarantined(sound))
        for other in sorted(left[row] & heard.keys()):
            first, second = sorted((row, other))
            found.pairs.extend(_judged((paths[first], paths[second]), (heard[first], heard[second])))
            left[row].discard(other)
            left[other].discard(row)
        heard = {known: kept for known, kept in heard.items() if left[known]}
        yield Progress("listen", count, len(order))
    return found


def _judged(paths: tuple[str, str], sounds: tuple[Heard | AudioError, Heard | AudioError]) -> Iterator[Pair]:
    """The pair, unless it is two pieces."""
    first, second = sounds
    if isinstance(first, AudioError) or isinstance(second, AudioError):
        why = "; ".join(f"{e.path}: {e.reason}" for e in sounds if isinstance(e, AudioError))
        yield Pair(UNVERIFIED, *paths, reason=why)
        return
    match = compare(first, second)
    if (kind := kind_of(match)) == NEAR:
        yield Pair(NEAR, *paths, match.recording, match.offset, match.speed, match.semitones)
    elif kind == VERSION:
        yield Pair(VERSION, *paths, match.piece, semitones=match.semitones)


def _neighbours_first(partners: Mapping[int, set[int]]) -> list[int]:
    """The rows in an order in which partners follow each other, so that few have to be remembered at a time."""
    order: dict[int, None] = {}
    for begin in sorted(partners):
        waiting = [begin]
        while waiting:
            row = waiting.pop()
            if row not in order:
                order[row] = None
                waiting += sorted(partners[row] - order.keys(), reverse=True)
    return list(order)
