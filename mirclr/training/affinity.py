"""How alike two tracks are known to be from their tags, for objectives that take soft positives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mirclr.training.artists import artist_keys


def album_keys(tracks: pd.DataFrame) -> np.ndarray:
    """`(n,)` int64 keys: equal for tracks of one album of one artist, -1 where either tag is missing.

    An album's title alone names nothing: every other band has a "Live" and a "Greatest Hits".
    """
    artists = artist_keys(tracks) if "artist" in tracks else np.full(len(tracks), -1)
    titles = tracks["album"] if "album" in tracks else [None] * len(tracks)
    names = [
        f"{artist} {' '.join(title.casefold().split())}"
        if isinstance(title, str) and title.strip() and artist >= 0
        else None
        for artist, title in zip(artists, titles, strict=True)
    ]
    return np.asarray(pd.factorize(pd.Series(names, dtype=object))[0], np.int64)


def affinity_of(artists: np.ndarray, albums: np.ndarray, same_artist: float, same_album: float) -> np.ndarray:
    """`(B, B)` float32 from `(B,)` keys: `same_album` where albums agree, else `same_artist` where artists do, else 0.

    A key of -1 agrees with nothing. The diagonal is 0: an item's own views are its positives anyway.
    """
    out = np.zeros((len(artists), len(artists)), np.float32)
    for keys, value in ((artists, same_artist), (albums, same_album)):
        out[(keys[:, None] == keys[None, :]) & (keys[:, None] >= 0)] = value
    np.fill_diagonal(out, 0)
    return out
