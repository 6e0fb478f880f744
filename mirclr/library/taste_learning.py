"""Learning a taste from playlists: a metric on frozen vectors, drawn towards what its owner put together.

The tracks of a playlist are positives of each other, disliked and other tracks of the library are not (supervised
contrast with unlabelled tracks in the batch: mirclr.losses.supcon). A track's two views are the means of the first and
of the second half of its moments, so that what is learned holds across a track. A penalty on every number keeps the
space near the one it was: with a few dozen tracks, most of what could be learned is chance.

Whether it helped is asked with tracks it did not see: a part of every playlist's artists at a time is left out, and the
left-out tracks are ranked among the library by likeness to each of the others of their list, as `similar` does, before
and after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mirclr.errors import UsageError
from mirclr.library.names import artist_key
from mirclr.library.recordings import Moments
from mirclr.library.search import Catalogue
from mirclr.library.taste import Taste, bent
from mirclr.reports import Progress, Work
from mirclr.seeds import generator

RANK = 4  # mixed dimensions
STEPS, RATE, TEMPERATURE = 60, 0.02, 0.2
PENALTY = 2.0  # on the mean square of the change of the space, in units of the space itself
BACKGROUND = 128  # other tracks of the library in the batch
FOLDS, DRAWS = 5, 2000
ASKED = 20  # known tracks of a list that are asked about every left-out one
LEAST = 4  # tracks that teach anything


@dataclass(frozen=True)
class Lesson:
    """`likes`: catalogue rows of each playlist, each row once. `dislikes`: rows. `seed`: of everything drawn."""

    likes: tuple[tuple[int, ...], ...]
    dislikes: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        found = sum(len(rows) for rows in self.likes)
        if found < LEAST or max((len(rows) for rows in self.likes), default=0) < 2:
            raise UsageError(f"{found} track(s) of the library in the playlists: at least {LEAST} are needed to learn")


@dataclass(frozen=True)
class Check:
    """How near the left-out tracks stand to the others of their list: the mean share of the library that is less like
    these (AUC, 0.5 is chance), in the `plain` and in the `learned` space, and the interval of their difference over
    artists.
    """

    plain: float
    learned: float
    low: float
    high: float
    tracks: int

    @property
    def helped(self) -> bool:
        """Whether the gain is told from none."""
        return self.low > 0

    @property
    def sentence(self) -> str:
        """The answer in words."""
        gain = f"{100 * (self.learned - self.plain):+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        told = (
            f"left-out tracks of the playlists stand above {100 * self.plain:.1f} % of the library in the plain space "
            f"and above {100 * self.learned:.1f} % in the learned one: {gain}, {self.tracks} tracks"
        )
        if self.helped:
            return f"it helped: {told}"
        return f"it hurt: {told}" if self.high < 0 else f"not told from no help: {told}"


def learn(catalogue: Catalogue, lesson: Lesson, moments: Moments, fingerprint: str) -> Work[tuple[Taste, Check]]:
    """A taste learned from the whole lesson, and what the parts of it say about such a taste.

    `catalogue`: in its plain space. Seconds; deterministic. Raises UsageError for a lesson that teaches nothing.
    """
    views = _views(catalogue, lesson, moments)
    parts = list(_folds(catalogue, lesson))
    before, after, artists = [], [], []
    for done, (known, left) in enumerate(parts):
        yield Progress("check", done, len(parts) + 1)
        taste = _fit(known, views, {row for held in left for row in held}, fingerprint)
        other = bent(catalogue, taste)
        for rows, held in zip(known.likes, left, strict=True):
            if rows and held:
                before += _standing(catalogue, rows, held).tolist()
                after += _standing(other, rows, held).tolist()
                artists += [_artist(catalogue, row) for row in held]
    yield Progress("learn", len(parts), len(parts) + 1)
    taste = _fit(lesson, views, (), fingerprint)
    yield Progress("learn", len(parts) + 1, len(parts) + 1)
    return taste, _check(np.array(before), np.array(after), np.array(artists, object), lesson.seed)


def _check(before: np.ndarray, after: np.ndarray, artists: np.ndarray, seed: int) -> Check:
    """The interval draws artists with replacement (cluster bootstrap, 95 %, percentiles)."""
    gain = after - before
    _, member = np.unique(artists.astype(str), return_inverse=True)
    sums, counts = np.bincount(member, gain), np.bincount(member)
    drawn = generator(seed, "taste check").integers(0, len(sums), (DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (0.025, 0.975))
    return Check(float(before.mean()), float(after.mean()), float(low), float(high), len(before))


def _artist(catalogue: Catalogue, row: int) -> str:
    """The track's artist, or the track itself where tags name none."""
    tag = catalogue.tracks["artist"].iloc[row]
    return (artist_key(tag) if isinstance(tag, str) else None) or f"\0{row}"


def _folds(catalogue: Catalogue, lesson: Lesson) -> Iterator[tuple[Lesson, list[list[int]]]]:
    """The lesson without a part of its artists, and the rows of each list that were left out. An artist is in one part
    only, so that nothing is learned about a track from another one by its artist."""
    artists = sorted({_artist(catalogue, row) for rows in lesson.likes for row in rows})
    generator(lesson.seed, "taste folds").shuffle(artists)
    part = {artist: place % FOLDS for place, artist in enumerate(artists)}
    for fold in range(min(FOLDS, len(artists))):
        known = [[r for r in rows if part[_artist(catalogue, r)] != fold] for rows in lesson.likes]
        left = [[r for r in rows if part[_artist(catalogue, r)] == fold] for rows in lesson.likes]
        if sum(map(len, known)) >= LEAST and max(map(len, known)) >= 2:
            yield Lesson(tuple(map(tuple, known)), lesson.dislikes, lesson.seed), left


def _standing(catalogue: Catalogue, rows: Sequence[int], held: Sequence[int]) -> np.ndarray:
    """Of each held row, the share of the library that is less like a known track of the list, averaged over up to
    `ASKED` known tracks; the list's other known tracks are not counted."""
    asked = np.asarray(rows)[np.unique(np.linspace(0, len(rows) - 1, min(ASKED, len(rows))).astype(int))]
    total = np.zeros(len(held))
    for row in asked:
        scores = catalogue.similarities(catalogue.unit[row])
        others = np.sort(np.delete(scores, list(rows)))
        below, upto = (np.searchsorted(others, scores[list(held)], side) for side in ("left", "right"))
        total += (below + upto - 1) / 2 / max(1, len(others) - 1)
    return total / len(asked)


def _views(catalogue: Catalogue, lesson: Lesson, moments: Moments) -> dict[int, np.ndarray]:
    """Row to its two views (2, D), for every row of the lesson and for the background."""
    named = {row for rows in (*lesson.likes, lesson.dislikes) for row in rows}
    draw = generator(lesson.seed, "taste background")
    others = np.setdiff1d(np.arange(len(catalogue.unit)), sorted(named))
    some = draw.choice(others, min(BACKGROUND, len(others)), replace=False).tolist()
    rows = sorted({*named, *some})
    return {row: _halves(vectors) for row, (vectors, _) in zip(rows, moments(rows), strict=True)}


def _halves(vectors: np.ndarray) -> np.ndarray:
    """(S, D) moments to the means of the first and the second half; a single moment is both."""
    middle = max(1, len(vectors) // 2)
    return np.stack([vectors[:middle].mean(axis=0), vectors[-middle:].mean(axis=0)])


def _fit(lesson: Lesson, views: dict[int, np.ndarray], hidden: Collection[int], fingerprint: str) -> Taste:
    """Adam on the loss plus the penalty, all rows at once but the `hidden` ones."""
    import torch

    from mirclr.losses.table import build_loss

    rows = [row for row in views if row not in hidden]
    z = torch.tensor(np.stack([views[row] for row in rows], axis=1), dtype=torch.float32)
    labels = torch.tensor(_labels(rows, lesson))
    dim = z.shape[2]
    down = torch.tensor(generator(lesson.seed, "taste").normal(size=(dim, RANK)) / dim**0.5, dtype=torch.float32)
    scale, up = torch.zeros(dim), torch.zeros(RANK, dim)
    learned = [tensor.requires_grad_() for tensor in (scale, down, up)]
    loss, optimiser = build_loss("supcon", temperature=TEMPERATURE), torch.optim.Adam(learned, lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        mixed = down @ up
        change = (scale**2).mean() + (mixed**2).sum() / dim
        (loss(z * (1 + scale) + z @ mixed, labels=labels) + PENALTY * change).backward()
        optimiser.step()
    arrays = [tensor.detach().numpy().astype(np.float32) for tensor in learned]
    return Taste(arrays[0], arrays[1], arrays[2], fingerprint, {})


def _labels(rows: Sequence[int], lesson: Lesson) -> np.ndarray:
    """(2, B, C) float32: which lists a row is in; NaN for rows in none."""
    lists = [set(members) for members in lesson.likes]
    table = np.array([[float(row in members) for members in lists] for row in rows], np.float32)
    table[table.sum(axis=1) == 0] = np.nan
    return np.stack([table, table])
