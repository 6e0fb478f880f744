"""Train, valid and test: from published lists, from a column, or seeded folds of whole artists.

Folds are made greedily: the largest artists first, each to the fold where its labels are rarest. StratifiedGroupKFold
of scikit-learn does the same for one class per track; here a track may have several labels or none but quantities,
and one rule serves all three tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mirclr.datasets.layouts import SPLIT_WORDS
from mirclr.datasets.targets import with_label
from mirclr.datasets.tasks import Task, learned
from mirclr.errors import DatasetError
from mirclr.seeds import generator

VALID_FOLDS = 5  # a fifth of the training part: enough to choose a probe's strength, little enough to learn from


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers, int64 and ascending, of the three parts. No part is empty; a row may be in none."""

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The three parts by name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}


@dataclass(frozen=True, eq=False)
class Material:
    """What making splits needs: `groups` (N,) int64 that stay together, `mass` (N, M) to balance (see `mass_of`)."""

    name: str
    groups: np.ndarray
    mass: np.ndarray
    seed: int


def mass_of(targets: np.ndarray, task: Task, count: int) -> np.ndarray:
    """`(N, M)` what folds should share evenly: a one for the track itself, then its labels 0/1; for regression
    whether each target is in the lower, middle or upper third of the collection."""
    track = np.ones((len(targets), 1))
    if learned(task) != "regression":
        return np.hstack([track, with_label(targets, task, count).T])
    edges = np.quantile(targets, (1 / 3, 2 / 3), axis=0)
    return np.hstack([track, targets <= edges[0], (targets > edges[0]) & (targets <= edges[1]), targets > edges[1]])


def assign_folds(groups: np.ndarray, mass: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """`(N,)` fold of every track, whole groups together, label shares as even as a greedy pass makes them.

    Adding a group g to fold f raises the sum over folds and labels of squared shares by 2 m_f.g + g.g, so each group
    goes where m_f.g is least. Equally large groups come in an order drawn from `random`.
    """
    _, group = np.unique(groups, return_inverse=True)
    share = mass / np.maximum(mass.sum(axis=0), 1)
    sums = np.zeros((int(group.max()) + 1, mass.shape[1]))
    np.add.at(sums, group, share)
    order = random.permutation(len(sums))
    order = order[np.argsort(-np.bincount(group)[order], kind="stable")]
    held, chosen = np.zeros((folds, mass.shape[1])), np.zeros(len(sums), np.int64)
    for index in order:
        chosen[index] = np.argmin(held @ sums[index])
        held[chosen[index]] += sums[index]
    return chosen[group]


def _valid_part(material: Material, name: str, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(train, valid): about a fifth of `train` as whole groups, the fold whose labels are most like the whole; one that
    holds all of a label is least like it, so labels stay learnable.

    Raises DatasetError when `train` is a single group.
    """
    groups, mass = material.groups[train], material.mass[train]
    count = min(VALID_FOLDS, len(np.unique(groups)))
    if count < 2:
        raise DatasetError(
            f"{material.name}: split {name}: all training tracks are by one artist, so no validation part can be "
            "set aside; use fewer folds or publish a valid part"
        )
    fold = assign_folds(groups, mass, count, generator(material.seed, "valid", name))
    held = np.array([mass[fold == f].sum(axis=0) for f in range(count)])
    total = held.sum(axis=0)
    uneven = np.square(held * count / np.maximum(total, 1) - 1).sum(axis=1)
    valid = fold == np.argmin(uneven)
    return train[~valid], train[valid]


def _split(material: Material, name: str, train: np.ndarray, valid: np.ndarray | None, test: np.ndarray) -> Split:
    """A split whose validation part, when none is published, comes out of the training part."""
    for part, rows in (("train", train), ("test", test)):
        if not len(rows):
            raise DatasetError(f"{material.name}: split {name}: the {part} part is empty")
    if valid is None or not len(valid):
        train, valid = _valid_part(material, name, train)
    return Split(name, np.unique(train), np.unique(valid), np.unique(test))


def _fold_splits(material: Material, fold: np.ndarray, names: Mapping[int, str]) -> list[Split]:
    """One split per fold: it is the test part; rows with fold -1 are in no part."""
    used = fold >= 0
    return [
        _split(material, name, np.flatnonzero(used & (fold != f)), None, np.flatnonzero(fold == f))
        for f, name in names.items()
    ]


def seeded_folds(material: Material, rule: str, folds: int) -> list[Split]:
    """`folds` splits by artist from the seed. Raises DatasetError when there are fewer artists than that and one for
    validation."""
    artists = len(np.unique(material.groups))
    if artists < max(folds, 3):
        raise DatasetError(
            f"{material.name}: {folds} artist-disjoint folds need at least {max(folds, 3)} artists, "
            f"this collection has {artists}"
        )
    fold = assign_folds(material.groups, material.mass, folds, generator(material.seed, "folds", folds))
    return _fold_splits(material, fold, {f: f"{rule}/{f}" for f in range(folds)})


def _in_order(names: Sequence[str]) -> list[str]:
    """Fold names sorted as numbers where they are numbers: 2 before 10."""
    return sorted(names, key=lambda n: (not n.isdigit(), int(n) if n.isdigit() else 0, n))


def column_splits(material: Material, rule: str, cells: np.ndarray) -> list[Split]:
    """Splits from a column's `(N,)` text: one if it holds train / test words, else one per fold. Blank: in no part.

    Raises DatasetError when words and fold names are mixed, or there is only one fold.
    """
    found = {str(cell) for cell in cells if cell}
    words = {name for name in found if name.casefold() in SPLIT_WORDS}
    if words and words != found:
        odd = ", ".join(sorted(found - words)[:5])
        raise DatasetError(f"{material.name}: column {rule!r} mixes train/test words with other values: {odd}")
    if words:
        part = np.array([SPLIT_WORDS.get(str(cell).casefold(), "") for cell in cells])
        rows = {name: np.flatnonzero(part == name) for name in ("train", "valid", "test")}
        return [_split(material, rule, **rows)]
    if len(found) < 2:
        raise DatasetError(f"{material.name}: column {rule!r} holds {len(found)} fold; at least two are needed")
    names = dict(enumerate(_in_order(list(found))))
    fold = np.full(len(cells), -1)
    for index, name in names.items():
        fold[cells == name] = index
    return _fold_splits(material, fold, {index: f"{rule}/{name}" for index, name in names.items()})


def listed_split(material: Material, rule: str, ids: Sequence[str], lists: Mapping[str, Sequence[str]]) -> list[Split]:
    """The split that published lists of ids make. An id that is not in `ids` is passed over: whether that is a missing
    file or a mistake is judged by who knows the whole table."""
    row = {name: index for index, name in enumerate(ids)}
    rows = {part: np.array([row[n] for n in names if n in row], np.int64) for part, names in lists.items()}
    return [_split(material, rule, rows["train"], rows.get("valid"), rows["test"])]
