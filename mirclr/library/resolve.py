"""What a person typed to a track: a path in the library, a file outside it, or words of "artist - title"."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.errors import UsageError
from mirclr.library.names import label, typed
from mirclr.library.playlist import Seed
from mirclr.library.search import Catalogue
from mirclr.units import printable

# A file outside the library to its row of the track table and its (D,) vector, as the store's encoder sees it, and the
# row of the catalogue that holds the same recording, or None.
Embed = Callable[[Path], tuple[Mapping[str, Any], np.ndarray, int | None]]
SHOWN = 10


def resolve(catalogue: Catalogue, text: str, embed: Embed) -> Seed:
    """The track that `text` names: an indexed path, else any file (through `embed`), else words of one track's name.

    Raises UsageError, listing candidates, when the words fit several tracks or none.
    """
    given = Path(text)
    for path in (Path(os.path.abspath(given)), Path(os.path.realpath(given))):
        if (seed := Seed.at_path(catalogue, path)) is not None:
            return seed
    if given.is_file():
        return Seed.heard(catalogue, *embed(given))
    return Seed.at(catalogue, _by_name(catalogue, text))


def names(catalogue: Catalogue) -> list[str]:
    """'Artist - Title' of every row; a track without a title goes by its file name."""
    rows = catalogue.tracks[["artist", "title", "path"]].itertuples(index=False)
    return [label(artist, title, os.path.basename(path)) for artist, title, path in rows]


def _by_name(catalogue: Catalogue, text: str) -> int:
    """The one row whose name is `text`, or holds all its words."""
    wanted, shown = typed(text), names(catalogue)
    known = [typed(name) for name in shown]
    words = wanted.split()
    exact = [row for row, name in enumerate(known) if name == wanted]
    found = exact or [row for row, name in enumerate(known) if words and all(word in name for word in words)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(_several(catalogue, text, shown, found))
    close = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    hint = f" Nearest names: {'; '.join(printable(shown[known.index(name)]) for name in close)}." if close else ""
    raise UsageError(f"{printable(text)}: no such file, and no track of the library has this name.{hint}")


def _several(catalogue: Catalogue, text: str, shown: list[str], found: list[int]) -> str:
    paths = catalogue.tracks["path"]
    lines = [f"  {printable(shown[row])}\t{printable(paths[row])}" for row in found[:SHOWN]]
    more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "\n".join(
        [f"{printable(text)}: {len(found)} tracks have this name; give a path or more words:", *lines, *more]
    )
