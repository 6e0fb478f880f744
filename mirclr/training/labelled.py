"""A labelled collection as fine-tuning reads it: the parts of one split, joined with the decoded sound."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.audio.scan import scan, scan_files
from mirclr.config import PretrainConfig, nearest
from mirclr.datasets.collection import Collection
from mirclr.datasets.splits import Material as Mass
from mirclr.datasets.splits import Split, mass_of, seeded_folds
from mirclr.datasets.table import load_collection
from mirclr.datasets.targets import per_label
from mirclr.datasets.tasks import FRAMEWISE
from mirclr.errors import DatasetError, UsageError
from mirclr.reports import Work
from mirclr.training.material import Material, prepare

VALID_FOLDS = 5


@dataclass(frozen=True)
class Part:
    """Tracks of one part: row numbers `rows` (M,) in the collection and the `ids` of their sound in the store."""

    rows: np.ndarray
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Labelled:
    """`collection` and the `split` of it; `material`, the decoded sound; its three parts, without what could not be
    read (`quarantine`) and without a second copy of a sound in the training part. `target`: music without labels."""

    collection: Collection
    split: str
    material: Material
    train: Part
    valid: Part
    test: Part
    quarantine: pd.DataFrame
    target: Material | None = None

    @property
    def digest(self) -> str:
        """What a checkpoint is bound to: the sound, the parts and the labels."""
        digest = hashlib.blake2b(f"{self.material.collection} {self.split}".encode(), digest_size=16)
        for part in (self.train, self.valid, self.test):
            digest.update("\n".join(part.ids).encode())
            digest.update(np.ascontiguousarray(self.collection.targets[part.rows]).tobytes())
            for row in part.rows.tolist() if self.collection.annotations else ():
                columns = self.collection.annotations[row].values()
                digest.update(b"".join(np.ascontiguousarray(column).tobytes() for column in columns))
        if self.target is not None:
            digest.update(self.target.collection.encode())
        return digest.hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """The parts in a sentence, and the labels that nothing was learned of."""
        counts = f"{len(self.train)} tracks to train on, {len(self.valid)} to stop by, {len(self.test)} to test"
        told = f"split {self.split}: {counts}"
        if self.collection.task == "regression" or self.collection.kind in FRAMEWISE:
            return (told,)
        targets, labels = self.collection.targets[self.train.rows], self.collection.vocabulary
        there = per_label(targets, self.collection.task, len(labels))
        absent = [name for name, count in zip(labels, there, strict=True) if not count]
        return (told, f"no track to train on has the label {', '.join(absent)}") if absent else (told,)

    def training_material(self) -> Material:
        """The material of the training part alone, in the order of `train`."""
        place = {str(name): row for row, name in enumerate(self.material.tracks["id"])}
        kept = self.material.tracks.iloc[[place[name] for name in self.train.ids]]
        return replace(self.material, tracks=kept.reset_index(drop=True))


def load_for_split(dataset: str | Path, split: str | None, **reading: Any) -> Collection:
    """`load_collection` with the rule that makes the split called `split`: `fold5` for `fold5/2`.

    Seeded folds are those of seed 0, whatever the seed of training, so that runs can be compared."""
    return load_collection(dataset, split=None if split is None else split.partition("/")[0], **reading)


def named_split(collection: Collection, name: str | None) -> Split:
    """The split called `name`, the first of a rule (`fold5` for `fold5/0`), or the first of all.

    Raises UsageError naming the splits there are.
    """
    names = [split.name for split in collection.splits]
    wanted = names[0] if name is None else next((n for n in names if n == name or n.startswith(f"{name}/")), None)
    if wanted is None:
        raise UsageError(f"{collection.name}: no split {name!r}.{nearest(str(name), names)}")
    return collection.splits[names.index(wanted)]


def chosen_split(collection: Collection, name: str | None, seed: int) -> Split:
    """`named_split` with a validation part: where there is none, a fifth of the training part, as whole artists.

    Raises UsageError as it does; DatasetError when the training part is by too few artists to cut.
    """
    split = named_split(collection, name)
    return split if len(split.valid) else _with_valid(collection, split, seed)


def _with_valid(collection: Collection, split: Split, seed: int) -> Split:
    groups, train = collection.groups[split.train], split.train
    mass = mass_of(collection.targets, collection.task, len(collection.vocabulary))[train]
    folds = max(2, min(VALID_FOLDS, len(np.unique(groups))))
    held = seeded_folds(Mass(collection.name, groups, mass, seed), f"{split.name}: validation", folds)[0].test
    return replace(split, train=np.delete(train, held), valid=train[held])


def read_target(folder: Path, settings: PretrainConfig) -> Work[Material]:
    """Scan and decode music that nothing is known of: where its tags name a genre or an artist, nobody reads them.

    Its quarantine is that of both. Raises UsageError when there is no such folder, DatasetError when it has fewer than
    two readable tracks, before any is decoded.
    """
    found = yield from scan(folder, clip_seconds=settings.views.seconds)
    if len(found.tracks) < 2:
        raise DatasetError(f"target {folder}: {len(found.tracks)} readable track(s) to align with, at least 2 needed")
    material = yield from prepare(found.tracks[["id", "path", "duration", "audio_id"]], settings)
    return replace(material, quarantine=pd.concat([found.quarantine, material.quarantine], ignore_index=True))


def read_labelled(
    collection: Collection, split: Split, settings: PretrainConfig, target: Material | None = None
) -> Work[Labelled]:
    """Scan and decode the tracks of `split`; `target` is what `read_target` read beside them.

    Raises DatasetError when a part has none left, training fewer than two.
    """
    rows = np.concatenate([split.train, split.valid, split.test])
    paths = [Path(path) for path in collection.tracks["path"].iloc[rows]]
    found = yield from scan_files(paths, clip_seconds=settings.views.seconds)
    artist = dict(zip(collection.tracks["path"], collection.tracks["artist"], strict=True))
    tracks = found.tracks.assign(artist=found.tracks["path"].map(artist.get).astype(object))
    material = yield from prepare(tracks, settings)
    ids = _ids(tracks, material)
    train, valid, test = (_part(collection, part, ids) for part in (split.train, split.valid, split.test))
    train = _first_of_each(train)
    for name, part, fewest in (("training", train, 2), ("validation", valid, 1), ("test", test, 1)):
        if len(part) < fewest:
            raise DatasetError(
                f"{collection.name}: split {split.name}: {len(part)} readable track(s) in the {name} part, at least "
                f"{fewest} needed; see the quarantine list"
            )
    aside = [target.quarantine] if target is not None else []
    quarantine = pd.concat([found.quarantine, material.quarantine, *aside], ignore_index=True)
    return Labelled(collection, split.name, material, train, valid, test, quarantine, target)


def _ids(tracks: pd.DataFrame, material: Material) -> dict[str, str]:
    """The id of the sound of every path: copies of one sound are one row of the material, under one of their ids."""
    kept = set(material.tracks["id"])
    of_sound = dict(zip(material.tracks["audio_id"], material.tracks["id"], strict=True))
    named = zip(tracks["path"], tracks["id"], tracks["audio_id"], strict=True)
    found = ((path, name if name in kept else of_sound.get(sound)) for path, name, sound in named)
    return {str(path): str(name) for path, name in found if name is not None}


def _part(collection: Collection, rows: np.ndarray, ids: dict[str, str]) -> Part:
    paths = collection.tracks["path"].iloc[rows]
    there = np.array([path in ids for path in paths], bool)
    return Part(rows[there], tuple(ids[path] for path in paths[there]))


def _first_of_each(part: Part) -> Part:
    """Without later copies of a sound: a track is trained on once, with one label. Sorted by id, as the material is."""
    first: dict[str, int] = {}
    for row, name in zip(part.rows.tolist(), part.ids, strict=True):
        first.setdefault(name, row)
    ids: Sequence[str] = sorted(first)
    return Part(np.array([first[name] for name in ids], np.int64), tuple(ids))
