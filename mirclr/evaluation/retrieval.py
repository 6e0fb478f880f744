"""Retrieval: are the neighbours of a track the right ones, with no probe in between?

Vectors are standardised over the collection (no label is used) and compared by cosine; every other track is a
candidate. Equal cosines rank in table order. Two questions:

- *Same artist*: queries are tracks whose artist has another track here. R@1 is the share whose nearest neighbour is
  of the same artist; mAP the mean over queries of average precision over the full ranking.
- *Same label, other artists*: precision at 10 after all tracks of the query's artist are taken out of the ranking
  (Flexer and Schnitzer, "Effects of album and artist filters in audio similarity computed for very large music
  databases", Computer Music Journal 34(3), 2010). Without the filter a genre score is an artist score in disguise.

The expected value of a random ranking has a closed form for all three, query by query, and is the chance row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mirclr.evaluation.neighbours import similarity_blocks, unit
from mirclr.evaluation.probes import Standardiser

AT = 10
NEAR_DUPLICATE = 0.9  # cosine of standardised MFCC statistics: two takes or masterings of a piece, not two pieces
TOLD = 100


@dataclass(frozen=True)
class Retrieval:
    """One value a query for each metric, `values[name]` `(Q,)`, with the queries' track numbers `queries[name]`."""

    values: dict[str, np.ndarray]
    queries: dict[str, np.ndarray]


@dataclass(frozen=True)
class Ground:
    """What is right for whom: `artists` `(N,)` artist numbers (a track of no single known artist, such as one on a
    compilation, has a number of its own and so is never a query) and `labels` `(N,)` class numbers or None."""

    artists: np.ndarray
    labels: np.ndarray | None = None

    def artist_queries(self) -> np.ndarray:
        """Tracks whose artist has another track."""
        _, member, count = np.unique(self.artists, return_inverse=True, return_counts=True)
        return np.flatnonzero(count[member] > 1)

    def label_queries(self) -> np.ndarray:
        """Tracks for which another artist's track exists; none without labels."""
        one_artist = len(np.unique(self.artists)) < 2
        return np.arange(0 if self.labels is None or one_artist else len(self.artists))


def retrieve(vectors: np.ndarray, ground: Ground) -> Retrieval:
    """`artist_r1`, `artist_map` and `label_p10` of `(N, D)` vectors, left out where there is no query."""
    known = unit(Standardiser.fitted(vectors)(vectors))
    artist, label = ground.artist_queries(), ground.label_queries()
    parts: dict[str, list[np.ndarray]] = {"artist_r1": [], "artist_map": [], "label_p10": []}
    for first, cosine in similarity_blocks(known[artist], known):
        same = _ranked_artists(cosine, artist[first : first + len(cosine)], ground)
        parts["artist_r1"].append(same[:, 0].astype(float))
        parts["artist_map"].append(_average_precision(same))
    for first, cosine in similarity_blocks(known[label], known):
        parts["label_p10"].append(_label_precision(cosine, label[first : first + len(cosine)], ground))
    return _gathered(parts, artist, label)


def expected_at_random(ground: Ground) -> Retrieval:
    """The same metrics' expectation, query by query, when the candidates are shuffled."""
    artist, label = ground.artist_queries(), ground.label_queries()
    others = len(ground.artists) - 1
    right = (ground.artists[artist][:, None] == ground.artists).sum(axis=1) - 1
    expected = expected_average_precision(right, others)
    parts = {
        "artist_r1": [right / max(1, others)],
        "artist_map": [expected],
        "label_p10": [_label_share(label, ground)],
    }
    return _gathered(parts, artist, label)


def expected_average_precision(right: np.ndarray, candidates: int) -> np.ndarray:
    """Expected average precision of m `right` among n `candidates` in random order.

    The k-th place is right with probability m / n, and given that, the k - 1 places before it hold
    (k - 1)(m - 1) / (n - 1) right ones; summed over k: (H_n + (m - 1)/(n - 1) (n - H_n)) / n with H_n the n-th
    harmonic number.
    """
    harmonic = (1 / np.arange(1, candidates + 1)).sum()
    share = (right - 1) / max(1, candidates - 1)
    return (harmonic + share * (candidates - harmonic)) / max(1, candidates)


def near_duplicates(vectors: np.ndarray, most: int | None = TOLD) -> list[tuple[int, int]]:
    """Pairs (i < j) of `(N, D)` MFCC statistics closer than `NEAR_DUPLICATE`, the `most` closest (None: all), closest
    first.

    Another take, edit or mastering. They are told, not removed: such a pair makes same-artist R@1 easy for every row
    alike. Some pass unseen: a piano version of a rock song is none to its timbre.
    """
    known = unit(Standardiser.fitted(vectors)(vectors))
    found: list[tuple[float, int, int]] = []
    for first, cosine in similarity_blocks(known, known):
        row, column = np.nonzero(np.triu(cosine, k=first + 1) > NEAR_DUPLICATE)
        best = np.argsort(-cosine[row, column], kind="stable")[:most]
        found += [(-float(cosine[i, j]), first + int(i), int(j)) for i, j in zip(row[best], column[best], strict=True)]
    return [(i, j) for _, i, j in sorted(found)[:most]]


def _ranked_artists(cosine: np.ndarray, queries: np.ndarray, ground: Ground) -> np.ndarray:
    """`(Q, N - 1)` bool: is the candidate at each rank of the query's artist? The query itself is no candidate."""
    cosine = cosine.copy()
    cosine[np.arange(len(queries)), queries] = -np.inf
    ranking = np.argsort(-cosine, axis=1, kind="stable")[:, :-1]
    return ground.artists[ranking] == ground.artists[queries][:, None]


def _average_precision(right: np.ndarray) -> np.ndarray:
    """`(Q, R)` rankings to the mean precision at the places of their right answers."""
    precision = right.cumsum(axis=1) / np.arange(1, right.shape[1] + 1)
    return (precision * right).sum(axis=1) / right.sum(axis=1)


def _label_precision(cosine: np.ndarray, queries: np.ndarray, ground: Ground) -> np.ndarray:
    """Share of the query's label among its `AT` nearest tracks of other artists (all of them where there are fewer)."""
    own = ground.artists[queries][:, None] == ground.artists
    nearest = np.argsort(np.where(own, np.inf, -cosine), axis=1, kind="stable")[:, :AT]
    labels = np.asarray(ground.labels)
    kept = ~np.take_along_axis(own, nearest, axis=1)
    return ((labels[nearest] == labels[queries][:, None]) & kept).sum(axis=1) / np.maximum(1, kept.sum(axis=1))


def _label_share(queries: np.ndarray, ground: Ground) -> np.ndarray:
    """Share of the query's label among all tracks of other artists: what ten random ones hold on average."""
    out = np.zeros(len(queries))
    for i, query in enumerate(queries):
        others = np.asarray(ground.labels)[ground.artists != ground.artists[query]]
        out[i] = (others == np.asarray(ground.labels)[query]).mean()
    return out


def _gathered(parts: dict[str, list[np.ndarray]], artist: np.ndarray, label: np.ndarray) -> Retrieval:
    queries = {"artist_r1": artist, "artist_map": artist, "label_p10": label}
    kept = [name for name in parts if len(queries[name])]
    return Retrieval({n: np.concatenate(parts[n]) for n in kept}, {n: queries[n] for n in kept})
