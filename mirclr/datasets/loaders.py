"""Collections read by the package mirdata (Bittner et al., ISMIR 2019), which is optional: `pip install mirdata`.

mirdata's loader is asked for its tracks, the path of their sound and one attribute as the label. It is never asked to
download anything; what is missing is said with the call that a person makes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.config import nearest
from mirclr.datasets.layouts import MirdataLayout
from mirclr.datasets.listing import Listing, relative_to, track_frame, with_label
from mirclr.errors import DatasetError


def list_mirdata(layout: MirdataLayout, root: Path) -> Listing:
    """The tracks of a loader whose data lie in `root`, with `layout.label` as their label.

    Raises DatasetError where mirdata is not installed or does not know the loader, where its index is not here, and
    where tracks have no sound or not that attribute.
    """
    dataset = _loader(layout, root)
    try:
        tracks = [dataset.track(name) for name in dataset.track_ids]
    except FileNotFoundError as error:
        raise DatasetError(
            f"{layout.loader}: mirdata has not its index: run mirdata.initialize({layout.loader!r}, "
            f"data_home={str(root)!r}, version={layout.version!r}).download(['index']) once ({error})"
        ) from error
    cells = [_cell(layout, track, layout.label) for track in tracks]
    labelled = np.array([cell not in layout.no_label for cell in cells], bool)
    paths = [_sound(layout, track) for track in tracks]
    artists = [_cell(layout, track, layout.artist) or None if layout.artist else None for track in tracks]
    nothing = [None] * len(tracks)
    ids = [relative_to(path, root) for path in paths]
    frame = track_frame(ids, paths, artist=artists, album=nothing, title=nothing)
    renamed = np.array([[layout.rename.get(cell, cell)] for cell in cells], dtype=object)
    listing = Listing(root, frame, renamed, np.zeros(len(tracks), int), {})
    return with_label(listing, labelled, layout.no_label)


def _loader(layout: MirdataLayout, root: Path) -> Any:
    try:
        import mirdata
    except ImportError as error:
        raise DatasetError(f"{layout.loader}: the package mirdata is not installed: pip install mirdata") from error
    known = mirdata.list_datasets()
    if layout.loader not in known:
        raise DatasetError(f"mirdata has no loader {layout.loader!r}.{nearest(layout.loader, known)}")
    try:
        return mirdata.initialize(layout.loader, data_home=str(root), version=layout.version)
    except ValueError as error:
        raise DatasetError(f"{layout.loader}: {error}") from error


def _cell(layout: MirdataLayout, track: Any, attribute: str) -> str:
    """An attribute of a track as text; blank for None. Raises DatasetError on one that a loader does not have."""
    try:
        value = getattr(track, attribute)
    except AttributeError as error:
        names = [name for name in dir(track) if not name.startswith("_")]
        raise DatasetError(f"{layout.loader}: its tracks have no {attribute!r}.{nearest(attribute, names)}") from error
    except OSError as error:
        raise DatasetError(f"{layout.loader}: {track.track_id}: {attribute} cannot be read: {error}") from error
    if isinstance(value, (list, tuple)):
        value = value[0] if len(value) == 1 else ", ".join(map(str, value))
    return "" if value is None else str(value).strip()


def _sound(layout: MirdataLayout, track: Any) -> str:
    path = getattr(track, "audio_path", None)
    if not path:
        raise DatasetError(f"{layout.loader}: {track.track_id} has no sound of its own")
    return os.path.abspath(path)
