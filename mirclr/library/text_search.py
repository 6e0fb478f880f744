"""Text to music: texts and track vectors projected into one joint space and compared by cosine, all of them, exactly.

A track is searched by its mean vector, which the store holds for every track and `mirclr embed` writes; the few segment
vectors of the store are moments, and a text is about the whole. The space was asked so on its held-out tracks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.errors import StoreError, UsageError
from mirclr.features.joint_file import JOINT, Bound, SavedJoint, load_joint
from mirclr.features.vector_file import read_vectors
from mirclr.library.search import DIGITS, Hit, best
from mirclr.library.store import Library

HELD_OUT = "held_out.json"  # what `mirclr align` found out about its joint space


def joint_beside(store: Path) -> SavedJoint:
    """The joint space kept beside a store: `STORE.joint/` for `STORE.db`, else `joint/` in the same folder, if it hears
    by the store's encoder.

    Raises UsageError, saying how to make one, when there is none; StoreError and CheckpointError on damaged files.
    """
    with Library.open(store) as library:
        bound = library.binding
    places = [store.with_suffix(".joint"), store.absolute().parent / "joint"]
    there = [place for place in places if any((f / JOINT.plan).is_file() for f in (place / JOINT.name, place))]
    for place in there:
        joint = load_joint(place)
        if (joint.encoder.fingerprint, joint.encoder.dim) == (bound.fingerprint, bound.dim):
            return joint
    other = f" ({there[0]} hears by another encoder than {store})" if there else ""
    raise UsageError(
        f"no joint space beside {store}{other}: text finds music once it was aligned with the library's own tags: "
        f"mirclr align FOLDER --encoder {bound.folder or 'RUN'} -o {places[0]}; or name one with --joint"
    )


def worth(joint: SavedJoint) -> list[str]:
    """Whether words mean anything in this space, in words: what its held-out tracks said when it was aligned."""
    file = next((f / HELD_OUT for f in (joint.place.parent, joint.place) if (f / HELD_OUT).is_file()), None)
    if file is None:
        return [f"{joint.place}: no {HELD_OUT} beside it, so nobody knows whether its words mean anything in sound"]
    try:
        told = json.loads(file.read_bytes())
        sentences, text = [str(line) for line in told["sentences"]], told["whole"].get("text")
        better = text is not None and bool(text["better"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file}: cannot be read ({error!r}); delete it or align again") from error
    luck = (
        "so take this order for luck: the library has too few tags, or tags that say nothing of sound; more of them, or"
    )
    return sentences if better else [*sentences, f"{luck} your own descriptions (mirclr align --texts), may help"]


@dataclass(frozen=True)
class Shelf:
    """Tracks in a joint space: `tracks`, one row per distinct sound with at least `artist`, `title` and `path`; `unit`
    (U, dim), their projections of length one."""

    tracks: pd.DataFrame
    unit: np.ndarray

    def track(self, row: int) -> dict[str, Any]:
        """The table row `row` as a dictionary."""
        return {str(name): value for name, value in self.tracks.iloc[row].items()}


def shelf_of_store(joint: SavedJoint, store: Path) -> Shelf:
    """The tracks of a library. Raises StoreError when it is no store, empty, or bound to another encoder."""
    with Library.open(store) as library:
        bound = library.binding
        if (bound.fingerprint, bound.dim) != (joint.encoder.fingerprint, joint.encoder.dim):
            raise StoreError(_other_encoder(store, Bound(bound.name, bound.fingerprint, bound.dim), joint))
        contents = library.contents()
    if contents.tracks.empty:
        raise StoreError(f"{store}: the library is empty. Fill it with: mirclr index FOLDER --store {store}")
    tracks = contents.tracks.drop_duplicates("row").reset_index(drop=True)
    return Shelf(tracks, joint.vectors(contents.vectors))


def _other_encoder(store: Path, bound: Bound, joint: SavedJoint) -> str:
    return (
        f"{store}: bound to the encoder {bound}, but {joint.place} hears by {joint.encoder}. Their vectors cannot be "
        "compared: index the music with the joint space's encoder into a new file (mirclr index FOLDER --encoder RUN "
        "--store NEW.db), or align again with the store's encoder"
    )


def shelf_of_vectors(joint: SavedJoint, file: Path) -> Shelf:
    """The tracks of a file as `mirclr embed` writes it. It does not say which encoder made it; only the number of
    values can be compared. Raises UsageError when that differs, or the file cannot be read."""
    paths, vectors = read_vectors(file)
    if vectors.shape[1] != joint.encoder.dim:
        raise UsageError(
            f"{file}: vectors of {vectors.shape[1]} values, but {joint.place} hears by {joint.encoder}; write them "
            "with that encoder: mirclr embed FOLDER --encoder RUN -o FILE"
        )
    tracks = pd.DataFrame({"path": pd.Series(paths, dtype=object)}).assign(artist=None, title=None)
    return Shelf(tracks, joint.vectors(vectors))


def search(shelf: Shelf, joint: SavedJoint, text: str, k: int) -> list[Hit]:
    """The `k` tracks that `text` says most of, best first, ties in the shelf's order; fewer when there are fewer.

    Raises UsageError when the space knows no text, or the text has no word.
    """
    scores = np.round(shelf.unit @ joint.texts([text])[0], DIGITS)
    return [Hit(int(row), float(scores[row])) for row in best(scores, min(k, len(scores)))]


def doubts(joint: SavedJoint, text: str) -> list[str]:
    """What a reader of the answer has to know, in words."""
    unseen = joint.unseen(text)
    if not unseen:
        return []
    return [f"in no text it learned from: {', '.join(unseen)}; only their letters place them"]
