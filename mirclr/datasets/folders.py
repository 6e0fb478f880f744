"""A folder per label: the listing of a collection whose subfolders are its labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mirclr.audio.scan import list_files
from mirclr.audio.sniff import looks_like_audio, sniff
from mirclr.audio.tags import read_tags
from mirclr.datasets.layouts import SPLIT_WORDS, FolderLayout
from mirclr.datasets.listing import Listing, relative_to, track_frame
from mirclr.errors import AudioError, DatasetError
from mirclr.units import printable

ArtistOf = Callable[[Path], str | None]
# What lies behind such a row was not seen: how many tracks of a label are lost, nobody knows.
UNSEEN = ("folder_unreadable", "unreadable")


def artist_from_tags(path: Path) -> str | None:
    """The artist a file's own tags name; None where there are none or the file is no sound (`check` says which)."""
    try:
        sniffed = sniff(path)
    except AudioError:
        return None
    return read_tags(path, sniffed.container, sniffed.codec).artist if sniffed.container else None


def is_sound(path: Path) -> bool:
    """By name or by content: what promises sound and is none is for `check` to report, not to vanish here."""
    try:
        return looks_like_audio(path) or sniff(path).container is not None
    except AudioError:
        return False


def _visible(path: Path, root: Path) -> tuple[str, ...]:
    """The parts of `path` below `root`; () for a hidden file or one in a hidden folder, which is not music."""
    parts = path.relative_to(root).parts
    return () if any(part.startswith(".") for part in parts) else parts


def _label_folders(root: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """{label: sound files in a fixed order} of the subfolders of `root`, and notes on what is no label or has none.

    The root is walked as a whole, so that a link from one label into another is not read as more of the first.
    Raises DatasetError where a folder cannot be read.
    """
    files, bad = list_files(root)
    notes = []
    for row in (row for row in bad.to_dict("records") if row["path"] == str(root) or _visible(Path(row["path"]), root)):
        what = f"{printable(row['path'])}: {row['detail']}"
        if row["reason"] in UNSEEN:
            raise DatasetError(f"{what}; a label cannot be read in part")
        notes.append(f"left out, {what}")
    labels: dict[str, list[Path]] = {name: [] for name in sorted(f.name for f in root.iterdir() if f.is_dir())}
    loose = 0
    for path in files:
        parts = _visible(path, root)
        if not parts or not is_sound(path):
            continue
        if len(parts) > 1:
            labels[parts[0]].append(path)
        else:
            loose += 1
    notes += [f"{loose} sound file(s) directly in {printable(root)} have no label and are left out"] * bool(loose)
    silent = [name for name, sound in labels.items() if not sound and not name.startswith(".")]
    notes += [f"folder {printable(name)!r} holds no sound and is no label" for name in silent]
    return {name: sound for name, sound in labels.items() if sound}, notes


def list_folders(layout: FolderLayout, root: Path, artist_of: ArtistOf = artist_from_tags) -> Listing:
    """The subfolder's name is the label. Artists from `artist_of` unless the layout says none.

    Raises DatasetError when there are no labels, a folder cannot be read or the subfolders are a split.
    """
    labels, notes = _label_folders(root)
    if not labels:
        raise DatasetError(
            f"{printable(root)}: no subfolder with sound; a labelled folder holds one subfolder per label"
        )
    if all(name.casefold() in SPLIT_WORDS for name in labels):
        raise DatasetError(
            f"{printable(root)}: {', '.join(labels)} are parts of a split, not labels; "
            "write a csv with the columns path, label and split instead"
        )
    paths = [path for files in labels.values() for path in files]
    cells = np.array([[name] for name, files in labels.items() for _ in files], dtype=object)
    artists = [artist_of(path) if layout.artist == "tags" else None for path in paths]
    nothing = [None] * len(paths)
    ids = [relative_to(str(path), root) for path in paths]
    tracks = track_frame(ids, list(map(str, paths)), artist=artists, album=nothing, title=nothing)
    return Listing(root, tracks, cells, np.zeros(len(paths), int), {}, tuple(notes))
