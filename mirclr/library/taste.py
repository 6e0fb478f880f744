"""A taste: a small change of a library's space that its owner's playlists taught, kept beside the store.

A unit vector x becomes the direction of `x (1 + scale) + (x down) up`, a weight for every dimension and a few mixed
ones; zeros leave the space as it is. The store itself is not touched: deleting the file is forgetting.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mirclr import __version__
from mirclr.errors import StoreError
from mirclr.files import write_atomic
from mirclr.library.search import BLOCK, Catalogue, Space
from mirclr.library.store import Library

FORMAT = "1"
ENDING = ".taste"  # behind the store's name


@dataclass(frozen=True)
class Taste:
    """`scale` (D,), `down` (D, R), `up` (R, D), float32. `fingerprint`: of the encoder whose space it bends. `about`:
    what taught it and what the check said."""

    scale: np.ndarray
    down: np.ndarray
    up: np.ndarray
    fingerprint: str
    about: dict[str, Any]

    @property
    def digest(self) -> str:
        """Of the numbers that bend; what is kept of a bent space beside the store is known by it."""
        arrays = b"".join(
            np.ascontiguousarray(array, np.float32).tobytes() for array in (self.scale, self.down, self.up)
        )
        return hashlib.blake2b(arrays, digest_size=8).hexdigest()

    def bend(self, units: np.ndarray) -> np.ndarray:
        """(N, D) unit rows to (N, D) float32 unit rows; a zero row stays zero."""
        out = units * (1 + self.scale) + (units @ self.down) @ self.up
        length = np.linalg.norm(out, axis=1, keepdims=True)
        return np.divide(out, length, out=np.zeros_like(out), where=length > 0).astype(np.float32)


@dataclass(frozen=True)
class BentSpace(Space):
    """A space seen by a taste."""

    taste: Taste

    def unit(self, vectors: np.ndarray) -> np.ndarray:
        """As `Space.unit`, then bent."""
        return self.taste.bend(super().unit(vectors))


def place_of(store: Path) -> Path:
    """The file of the taste that belongs to a store."""
    return store.with_name(store.name + ENDING)


def write_taste(store: Path, taste: Taste) -> Path:
    """Keep a taste beside its store; the file it is in."""
    arrays = {name: np.ascontiguousarray(getattr(taste, name), np.float32) for name in ("scale", "down", "up")}
    told = {"format": FORMAT, "mirclr": __version__, "fingerprint": taste.fingerprint}
    write_atomic(place_of(store), save(arrays, metadata={**told, "about": json.dumps(taste.about)}))
    return place_of(store)


def forget_taste(store: Path) -> bool:
    """Delete a store's taste; False when there was none."""
    place = place_of(store)
    there = place.is_file()
    place.unlink(missing_ok=True)
    return there


def read_taste(library: Library) -> Taste | None:
    """The taste beside a store, or None.

    Raises StoreError when it is damaged, of another format, or was learned on another encoder's store.
    """
    place, bound = place_of(library.path), library.binding
    if not place.is_file():
        return None
    again = f"forget it (mirclr adapt --forget --store {library.path}) or learn it again"
    try:
        with safe_open(str(place), framework="np") as file:
            arrays = {name: np.asarray(file.get_tensor(name)) for name in ("scale", "down", "up")}
            told = dict(file.metadata() or {})
        taste = Taste(**arrays, fingerprint=told["fingerprint"], about=json.loads(told["about"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise StoreError(f"{place}: damaged or no taste ({error}); {again}") from error
    if told.get("format") != FORMAT:
        raise StoreError(f"{place}: taste format {told.get('format')}, this mirclr reads {FORMAT}; {again}")
    ranks = taste.down.shape[1] if taste.down.ndim == 2 else -1
    shapes = (taste.scale.shape, taste.down.shape, taste.up.shape)
    if taste.fingerprint != bound.fingerprint or shapes != ((bound.dim,), (bound.dim, ranks), (ranks, bound.dim)):
        raise StoreError(f"{place}: learned in the space of another encoder than the store's; {again}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StoreError(f"{place}: numbers that are not finite; {again}")
    return taste


def load_catalogue(library: Library) -> tuple[Catalogue, Taste | None]:
    """A library in memory as its owner hears it, and the taste, if one is kept. Raises StoreError."""
    taste = read_taste(library)
    plain = Catalogue.load(library)
    return (plain, None) if taste is None else (bent(plain, taste), taste)


def bent(catalogue: Catalogue, taste: Taste) -> Catalogue:
    """The same library in the space a taste makes of its own."""
    other = copy.copy(catalogue)
    for known in ("nearness", "hubness"):  # of the plain space
        other.__dict__.pop(known, None)
    other.state = None if catalogue.state is None else f"{catalogue.state} bent by {taste.digest}"
    other.space = BentSpace(catalogue.space.centre, catalogue.space.scale, taste)
    blocks = range(0, len(catalogue.unit), BLOCK)
    other.unit = np.concatenate([taste.bend(catalogue.unit[start : start + BLOCK]) for start in blocks])
    return other
