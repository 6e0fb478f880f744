"""From a name or a path to a collection: the one call that evaluation and the door make.

>>> collection = load_collection("emotify")
>>> collection = load_collection("~/Music/by-mood")            # a folder per label
>>> collection = load_collection("labels.csv", split="fold")   # a table of one's own
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.config import nearest
from mirclr.datasets.collection import Collection, artist_groups, content_of, joined_groups
from mirclr.datasets.folders import ArtistOf, artist_from_tags, list_folders
from mirclr.datasets.leakage import audit, refuse_leaks
from mirclr.datasets.listing import Listing, list_table, on_disk
from mirclr.datasets.notes import notes_on
from mirclr.datasets.partial import refuse_partial
from mirclr.datasets.registry import FolderLayout, SplitRule
from mirclr.datasets.sheet import read_lines
from mirclr.datasets.sources import DEFAULT_FOLDS, Source, find_source
from mirclr.datasets.splits import Material, Split, column_splits, listed_split, mass_of, seeded_folds
from mirclr.datasets.targets import per_label, read_targets
from mirclr.errors import DatasetError, UsageError
from mirclr.units import printable

# Up to a twentieth may be missing: even if every lost track would have been judged the other way, the score of a test
# part of some hundred tracks stays inside its own 95 % interval. Beyond that it is another collection.
MISSING_SHARE = 0.05


def _listing(source: Source, rule: SplitRule, artist_of: ArtistOf) -> Listing:
    entry = source.entry
    if entry.table is not None and source.table is not None:
        columns = [rule.column] if rule.column is not None else []
        return list_table(entry.table, source.table, source.root, split_columns=columns, absolute=source.absolute)
    return list_folders(entry.folders or FolderLayout(), source.root, artist_of)


def _chosen_rule(source: Source, split: str | None, folds: int | None) -> tuple[str, SplitRule]:
    """The named rule, or the first; `folds` replaces the number of seeded ones."""
    rules = source.entry.splits
    name = split or next(iter(rules))
    if name not in rules:
        raise UsageError(f"{source.name}: no split {name!r}.{nearest(name, rules)}")
    rule = rules[name]
    return name, rule if folds is None or rule.folds is None else SplitRule(folds=folds)


def _without_known_bad(source: Source, listing: Listing) -> tuple[Listing, dict[str, str]]:
    """The listing without known-bad files, and those with their reasons."""
    reasons = {os.path.normpath(name): reason for name, reason in source.entry.known_bad.items()}
    bad = listing.tracks["id"].isin(list(reasons)).to_numpy()
    return listing.keep(~bad), {name: reasons[name] for name in listing.tracks["id"][bad]}


def _found(source: Source, listing: Listing, max_missing: float) -> pd.Series:
    """`(N,)` names on disk, None where missing. Raises DatasetError when none or too few files are there."""
    found = listing.tracks["path"].map(on_disk).astype(object)
    gone = found.isna()
    if gone.all() or gone.mean() > max_missing:
        names = ", ".join(printable(name) for name in listing.tracks["id"][gone][:3])
        raise DatasetError(
            f"{source.name}: {gone.sum()} of {len(found)} listed files are missing under {printable(source.root)}, "
            f"at most {max_missing:.0%} may be: {names}{', ...' if gone.sum() > 3 else ''}. {source.entry.where}"
        )
    return found


def _published(source: Source, name: str, listing: Listing, excluded: Iterable[str]) -> dict[str, list[str]]:
    """The ids in a published split's lists. Raises DatasetError on one that the collection does not list."""
    known = {*listing.tracks["id"], *excluded}
    lists: dict[str, list[str]] = {}
    for part, path in (source.lists or {})[name].items():
        lists[part] = [os.path.normpath(line) for line in read_lines(path)]
        unknown = [line for line in lists[part] if line not in known]
        if unknown:
            raise DatasetError(f"{path}: {len(unknown)} line(s) name no track of {source.name}: {unknown[0]!r}, ...")
    return lists


def _splits(
    source: Source, chosen: tuple[str, SplitRule], listed: Listing, collection: Collection, seed: int
) -> list[Split]:
    (name, rule), tracks = chosen, collection.tracks
    # Copies of one recording stay together even under two artists' names, so folds made here never leak them.
    together = joined_groups(collection.groups, tracks["content"].tolist())
    mass = mass_of(collection.targets, collection.task, len(collection.vocabulary))
    material = Material(collection.name, together, mass, seed)
    if rule.column is not None:
        there = listed.tracks["id"].isin(tracks["id"]).to_numpy()
        return column_splits(material, name, listed.columns[rule.column][there])
    if rule.files is not None:
        lists = _published(source, name, listed, collection.excluded)
        return listed_split(material, name, tracks["id"].tolist(), lists)
    return seeded_folds(material, name, rule.folds or DEFAULT_FOLDS)


def _on_disk(source: Source, listing: Listing, max_missing: float) -> tuple[pd.DataFrame, np.ndarray]:
    """(the tracks that are there, with their `content`; bool `(N,)` which those are)."""
    found = _found(source, listing, max_missing)
    there = found.notna().to_numpy()
    tracks = listing.keep(there).tracks
    tracks["path"] = pd.Series(found[there].tolist(), dtype=object)
    tracks["content"] = pd.Series(content_of(tracks["path"].tolist()), dtype=object)
    return tracks, there


def _labelled(source: Source, listed: Listing, excluded: dict[str, str], max_missing: float) -> Collection:
    """The collection before it is split."""
    entry, table = source.entry, source.entry.table
    columns, separator = (table.labels, table.separator) if table else ((), None)
    vocabulary, targets = read_targets(listed, entry.task, columns, separator, entry.vocabulary)
    tracks, there = _on_disk(source, listed, max_missing)
    groups, known = artist_groups(tracks["artist"], entry.not_artists)
    return Collection(
        name=source.name,
        root=source.root,
        task=entry.task,
        vocabulary=vocabulary,
        tracks=tracks.assign(artist=tracks["artist"].where(known, None)),
        targets=targets[there],
        groups=groups,
        splits=[],
        missing=tuple(listed.tracks["id"][~there]),
        excluded=excluded,
        listed=tuple(per_label(targets, entry.task, len(vocabulary)).tolist()),
        licence=entry.licence,
        citation=entry.citation,
        expected=entry.expected,
        allow=entry.allow,
    )


def read_collection(
    dataset: str | Path,
    *,
    registry: Path | None = None,
    label: str | None = None,
    split: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    max_missing: float = MISSING_SHARE,
    artist_of: ArtistOf = artist_from_tags,
) -> Collection:
    """As `load_collection`, without the leakage audit; `max_missing` in 0..1 is the share of files that may be gone."""
    source = find_source(dataset, registry, label, split)
    chosen = _chosen_rule(source, split, folds)
    listed, excluded = _without_known_bad(source, _listing(source, chosen[1], artist_of))
    collection = _labelled(source, listed, excluded, max_missing)
    collection = replace(collection, splits=_splits(source, chosen, listed, collection, seed))
    return replace(collection, notes=(*listed.notes, *notes_on(collection)))


def load_collection(
    dataset: str | Path,
    *,
    allow: Sequence[str] = (),
    registry: Path | None = None,
    label: str | None = None,
    split: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    allow_partial: bool | None = None,
    artist_of: ArtistOf = artist_from_tags,
) -> Collection:
    """A labelled collection, audited: it is returned only if nothing leaks from training to test.

    `dataset`: a name in datasets.yaml, a folder per label, or a csv / tsv with columns for path and label.
    `registry`: the datasets.yaml to read after the shipped one (default: $MIRCLR_DATASETS or the one in the current
    folder). `label`: another label column of a table. `split`: the split rule by name (default: the first declared),
    or the column to split one's own table by. `folds`: how many seeded folds (default: as declared, else 5); a
    published split is not touched by it. `seed` draws folds and validation parts. `allow`: kinds of leak to accept
    (`leakage.LEAK_KINDS`). `allow_partial`: False refuses a copy that is not whole, True takes any and says so, None
    (for training) takes up to `MISSING_SHARE` missing files and notes them. `artist_of`: how the artist of a file
    without a table is found (default: its tags).

    Raises DatasetError (missing files, bad rows, leaks), ConfigError (datasets.yaml), UsageError (arguments).
    """
    share = MISSING_SHARE if allow_partial is None else 1.0  # a refusal counts all that is lacking, not only files
    collection = read_collection(
        dataset, registry=registry, label=label, split=split, folds=folds, seed=seed, max_missing=share,
        artist_of=artist_of,
    )  # fmt: skip
    partial = () if allow_partial is None else refuse_partial(collection, allow_partial)
    allowed = refuse_leaks(collection, audit(collection), allow)
    return replace(collection, notes=(*collection.notes, *allowed), cautions=(*partial, *allowed))
