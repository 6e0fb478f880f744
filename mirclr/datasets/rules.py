"""A declaration's split rule, applied: published lists and columns found among the tracks, or seeded folds."""

from __future__ import annotations

import os
from collections.abc import Collection as Names
from collections.abc import Mapping
from typing import Any

import numpy as np

from mirclr.datasets.collection import Collection, joined_groups
from mirclr.datasets.layouts import SPLIT_WORDS, SplitRule
from mirclr.datasets.listing import Listing
from mirclr.datasets.sheet import read_lines, read_sheet
from mirclr.datasets.sources import DEFAULT_FOLDS, Source
from mirclr.datasets.splits import Material, Split, column_splits, listed_split, mass_of, seeded_folds
from mirclr.errors import DatasetError


def splits_by(rule: SplitRule, source: Source, listed: Listing, collection: Collection, seed: int) -> list[Split]:
    """The splits of a collection by `rule` of its declaration; `listed` are its rows, missing files included.

    Raises DatasetError on a list that names no track of the collection, on words that name no part, on an empty part.
    """
    material, ids = _material(collection, seed), collection.tracks["id"].tolist()
    known = {*listed.tracks["id"], *collection.excluded, *listed.unlabelled}
    labelled = collection.targets.any(axis=1) if rule.labelled else np.ones(len(ids), bool)
    if rule.column is not None:
        cells = listed.columns[rule.column][listed.tracks["id"].isin(ids).to_numpy()]
        cells = cells if rule.parts is None else _in_parts(collection.name, rule.column, cells, rule.parts)
        return column_splits(material, source.rule, np.where(labelled, cells, ""))
    if rule.files is not None:
        lists = _lists(rule, source, known)
        return listed_split(material, source.rule, np.where(labelled, ids, "").tolist(), lists)
    if rule.fold_files is not None:
        return column_splits(material, source.rule, _fold_cells(source, _lists(rule, source, known), ids))
    if rule.table is not None:
        return _from_table(material, source, ids, known)
    return seeded_folds(material, source.rule, rule.folds or DEFAULT_FOLDS)


def seeded_splits(collection: Collection, folds: int, seed: int) -> list[Split]:
    """Seeded folds of whole artists, whatever rule the collection declares. Raises DatasetError on too few artists."""
    return seeded_folds(_material(collection, seed), "folds", folds)


def _material(collection: Collection, seed: int) -> Material:
    # Copies of one recording stay together even under two artists' names, so folds made here never leak them.
    together = joined_groups(collection.groups, collection.tracks["content"].tolist())
    mass = mass_of(collection.targets, collection.task, len(collection.vocabulary))
    return Material(collection.name, together, mass, seed)


def _in_parts(name: str, column: str, cells: np.ndarray, parts: Mapping[Any, Names[str]]) -> np.ndarray:
    """A column's own words as train, valid and test; blank stays blank."""
    part_of = {word: part for part, words in parts.items() for word in words}
    unknown = sorted({str(cell) for cell in cells} - {"", *part_of})
    if unknown:
        raise DatasetError(f"{name}: column {column!r} holds {unknown[0]!r}, which is in no part of the split")
    return np.array([part_of.get(str(cell), "") for cell in cells], dtype=object)


def _lists(rule: SplitRule, source: Source, known: Names[str]) -> dict[str, list[str]]:
    """The ids in a rule's lists. Raises DatasetError on one that the collection does not list."""
    lists: dict[str, list[str]] = {}
    for part, path in source.lists.items():
        lists[part] = [os.path.normpath(rule.prefix + line) for line in read_lines(path)]
        unknown = [line for line in lists[part] if line not in known]
        if unknown:
            raise DatasetError(f"{path}: {len(unknown)} line(s) name no track of {source.name}: {unknown[0]!r}, ...")
    return lists


def _fold_cells(source: Source, lists: Mapping[str, list[str]], ids: list[str]) -> np.ndarray:
    """`(N,)` the fold of every track, blank for one in none. Raises DatasetError on a track in two."""
    fold: dict[str, str] = {}
    for name, lines in lists.items():
        for line in lines:
            if fold.setdefault(line, name) != name:
                raise DatasetError(f"{source.lists[name]}: {line!r} is in {source.lists[fold[line]].name} too")
    return np.array([fold.get(name, "") for name in ids], dtype=object)


def _from_table(material: Material, source: Source, ids: list[str], known: Names[str]) -> list[Split]:
    """A split per column of a csv as `mirclr data split` writes it: train, valid, test or blank for every path."""
    sheet = read_sheet(source.lists[""])
    paths = sheet.paths("path")
    sheet.refuse([path not in known for path in paths], f"no track of {source.name}")
    splits = []
    for column in (name for name in sheet.columns if name != "path"):
        cells = sheet.column(column)
        sheet.refuse([bool(cell) and cell not in SPLIT_WORDS for cell in cells], f"{column}: not train, valid or test")
        part = dict(zip(paths, cells, strict=True))
        splits += column_splits(material, column, np.array([part.get(name, "") for name in ids], dtype=object))
    return splits
