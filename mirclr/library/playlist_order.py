"""A new order for tracks somebody else chose: all of them, and no others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mirclr.errors import UsageError
from mirclr.library.ordering import short_path
from mirclr.library.playlist import Entry, Playlist, Seed, moments_of, smoothness
from mirclr.library.playlist_rules import Pool, Rules, broken_runs
from mirclr.library.playlist_shapes import Making
from mirclr.library.search import Catalogue
from mirclr.library.transitions import Transitions, Weights


def ordered(
    catalogue: Catalogue, tracks: Sequence[Seed], weights: Weights, runs: tuple[int | None, int | None] = (None, None)
) -> Playlist:
    """`tracks` along a short path from the first, artists and albums apart where that is possible.

    `runs`: at most so many of one artist and of one album in a row; what cannot be kept is in the notes. A track that
    is listed twice stays twice. Raises UsageError without a track.
    """
    if not tracks:
        raise UsageError("there is no track of this library to order")
    rules = Rules(len(tracks), artist_run=runs[0], album_run=runs[1])
    pool = Pool(catalogue, tracks, np.empty(0, np.int64))
    places = tuple(range(len(tracks)))
    with moments_of(catalogue) as moments:
        making = Making(pool, rules, Transitions(pool, weights, moments), places, len(tracks), np.zeros(len(tracks)))
        path = short_path(making.neighbours(places))
    notes = list(making.transitions.notes)
    for name, codes, most in (("artist", pool.artist, runs[0]), ("album", pool.album, runs[1])):
        count = broken_runs(codes[path], most)
        if count:
            notes.append(
                f"{count} track(s) stand beyond {most} of one {name} in a row: the others do not keep them apart"
            )
    start = pool.unit[0]
    entries = [
        Entry(tracks[at].track, round(float(pool.unit[at] @ start), 6), at == 0, int(pool.rows[at]), pool.unit[at])
        for at in path
    ]
    return Playlist(tuple(entries), tuple(notes), smoothness(pool.unit[path]))
