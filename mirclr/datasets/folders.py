"""A folder per label: the listing of a collection whose subfolders are its labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mirclr.audio.scan import list_files
from mirclr.audio.sniff import looks_like_audio, sniff
from mirclr.audio.tags import read_tags
from mirclr.datasets.listing import Listing, relative_to, track_frame
from mirclr.datasets.registry import SPLIT_WORDS, FolderLayout
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


def _is_sound(path: Path) -> bool:
    """By name or by content: what promises sound and is none is for `check` to report, not to vanish here."""
    try:
        return looks_like_audio(path) or sniff(path).container is not None
    except AudioError:
        return False


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _sound_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The sound files below a label's folder in a fixed order, hidden ones aside, and notes on broken links.

    Raises DatasetError where a folder cannot be read.
    """
    files, bad = list_files(folder)
    notes = []
    for row in bad.to_dict("records"):
        what = f"{printable(row['path'])}: {row['detail']}"
        if row["reason"] in UNSEEN:
            raise DatasetError(f"{what}; a label cannot be read in part")
        notes.append(f"left out, {what}")
    return [path for path in files if not _is_hidden(path, folder) and _is_sound(path)], notes


def _label_folders(root: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """{label: sound files} of the subfolders of `root`, and notes on what is no label or has none."""
    try:
        inside = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{printable(root)}: cannot be read: {error.strerror}") from error
    labels: dict[str, list[Path]] = {}
    loose = sum(path.is_file() and looks_like_audio(path) for path in inside)
    notes = [f"{loose} sound file(s) directly in {printable(root)} have no label and are left out"] * bool(loose)
    for folder in (path for path in inside if path.is_dir()):
        labels[folder.name], more = _sound_files(folder)
        notes += more
        if not labels[folder.name]:
            notes.append(f"folder {printable(labels.popitem()[0])!r} holds no sound and is no label")
    return labels, notes


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
