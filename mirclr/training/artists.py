"""Who made a track, as far as its tags can be trusted: the same-artist knowledge of positives and negatives."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pandas as pd

NO_ARTIST = frozenset(
    {
        "",
        "?",
        "artist",
        "artistes variés",
        "artisti vari",
        "diverse",
        "diverse interpreten",
        "n/a",
        "na",
        "no artist",
        "none",
        "null",
        "ost",
        "original soundtrack",
        "sampler",
        "soundtrack",
        "unbekannt",
        "unbekannter interpret",
        "unknown",
        "unknown artist",
        "untitled",
        "v.a",
        "v.a.",
        "v/a",
        "va",
        "varios",
        "varios artistas",
        "various",
        "various artist",
        "various artists",
        "various composers",
        "various performers",
        "verschiedene interpreten",
        "vários artistas",
    }
)
"""Artist tags that name nobody, normalised. Two tracks that share one have nothing in common."""

_COMPILATION = re.compile(r"\b(compilations?|various artists)\W*$|^various artists\b")


def artist_name(tag: object) -> str | None:
    """An artist tag normalised so that spellings of one name are equal (Unicode NFKC, case, spaces); None for nobody.

    Brackets around the whole tag are dropped: players write <unknown>, [Unknown Artist], (various).
    """
    if not isinstance(tag, str):
        return None
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", tag).casefold())
    name = " ".join(folded.split()).strip("\x00 ")
    bare = name.strip("<>[](){} ")
    return None if bare in NO_ARTIST or _COMPILATION.search(bare) else name


def artist_keys(tracks: pd.DataFrame) -> np.ndarray:
    """`(n,)` int64 keys of the column `artist` of a track table: equal for tracks of one artist, -1 for no artist."""
    names = pd.Series([artist_name(tag) for tag in tracks["artist"]], dtype=object)
    return np.asarray(pd.factorize(names)[0], np.int64)
