"""From a name or a path to a collection: the one call that evaluation and the door make.

>>> collection = load_collection("emotify")
>>> collection = load_collection("~/Music/by-mood")            # a folder per label
>>> collection = load_collection("labels.csv", split="fold")   # a table of one's own
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.audio.manifest import read_manifest
from mirclr.datasets.collection import Collection, artist_groups, content_of
from mirclr.datasets.folders import ArtistOf, artist_from_tags, list_folders
from mirclr.datasets.layouts import FolderLayout, SplitRule
from mirclr.datasets.leakage import audit, refuse_leaks
from mirclr.datasets.listing import Listing, list_table, on_disk
from mirclr.datasets.loaders import list_mirdata
from mirclr.datasets.notes import notes_on
from mirclr.datasets.partial import refuse_partial
from mirclr.datasets.rules import splits_by
from mirclr.datasets.sources import Source, find_source
from mirclr.datasets.targets import per_label, read_annotated, read_targets
from mirclr.datasets.tasks import FRAMEWISE, Task
from mirclr.errors import DatasetError
from mirclr.units import printable

# Up to a twentieth may be missing: even if every lost track would have been judged the other way, the score of a test
# part of some hundred tracks stays inside its own 95 % interval. Beyond that it is another collection.
MISSING_SHARE = 0.05


def _listing(source: Source, rule: SplitRule, artist_of: ArtistOf) -> Listing:
    entry = source.entry
    if entry.table is not None:
        columns = [rule.column] if rule.column is not None else []
        return list_table(entry.table, source.files, source.root, split_columns=columns, other=source.joined)
    if entry.mirdata is not None:
        return list_mirdata(entry.mirdata, source.root)
    return list_folders(entry.folders or FolderLayout(), source.root, artist_of)


def _chosen_rule(source: Source, folds: int | None) -> SplitRule:
    """The rule of the source; `folds` replaces the number of seeded ones."""
    rule = source.entry.splits[source.rule]
    return rule if folds is None or rule.folds is None else SplitRule(folds=folds)


def _reasons(source: Source, listing: Listing) -> dict[str, str]:
    """{id: why} of the known-bad files and of those that the manifest does not keep.

    Raises DatasetError when the manifest does not know the collection: it was made of another copy.
    """
    reasons = {os.path.normpath(name): reason for name, reason in source.entry.known_bad.items()}
    if source.manifest is None:
        return reasons
    verdicts = {row.path: row for row in read_manifest(source.manifest)}
    suffixes = source.entry.table.suffixes if source.entry.table else ()
    known = 0
    for name, path in zip(listing.tracks["id"], listing.tracks["path"], strict=True):
        verdict = verdicts.get(path) or verdicts.get(on_disk(path, suffixes) or "")
        known += verdict is not None
        if verdict is not None and not verdict.keep:
            reasons[name] = f"{verdict.reason}: {verdict.detail} ({source.manifest.name})"
    if not known:
        raise DatasetError(f"{source.manifest}: names no file of {source.name} under {source.root}; clean it again")
    return reasons


def _without_bad(source: Source, listing: Listing) -> tuple[Listing, dict[str, str]]:
    """The listing without files that are left out, and those with their reasons."""
    reasons = _reasons(source, listing)
    bad = listing.tracks["id"].isin(list(reasons)).to_numpy()
    return listing.keep(~bad), {name: reasons[name] for name in listing.tracks["id"][bad]}


def _found(source: Source, listing: Listing, max_missing: float) -> pd.Series:
    """`(N,)` names on disk, None where missing. Raises DatasetError when none or too few files are there."""
    suffixes = source.entry.table.suffixes if source.entry.table else ()
    found = listing.tracks["path"].map(partial(on_disk, suffixes=suffixes)).astype(object)
    gone = found.isna()
    if gone.all() or gone.mean() > max_missing:
        names = ", ".join(printable(name) for name in listing.tracks["id"][gone][:3])
        raise DatasetError(
            f"{source.name}: {gone.sum()} of {len(found)} listed files are missing under {printable(source.root)}, "
            f"at most {max_missing:.0%} may be: {names}{', ...' if gone.sum() > 3 else ''}. {source.entry.where}"
        )
    return found


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
    annotations: tuple[Any, ...] = ()
    if entry.task in FRAMEWISE:
        vocabulary, targets, annotations = read_annotated(listed, source.root, entry.task)
    else:
        vocabulary, targets = read_targets(listed, entry.task, columns, separator, entry.vocabulary)
    tracks, there = _on_disk(source, listed, max_missing)
    groups, known = artist_groups(tracks["artist"], entry.not_artists)
    return Collection(
        name=source.name,
        root=source.root,
        kind=entry.task,
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
        annotations=tuple(annotation for annotation, here in zip(annotations, there, strict=False) if here),
    )


def read_collection(
    dataset: str | Path,
    *,
    registry: Path | None = None,
    label: str | None = None,
    task: Task | None = None,
    split: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    max_missing: float = MISSING_SHARE,
    artist_of: ArtistOf = artist_from_tags,
) -> Collection:
    """As `load_collection`, without the leakage audit; `max_missing` in 0..1 is the share of files that may be gone."""
    source = find_source(dataset, registry, label, split, task)
    rule = _chosen_rule(source, folds)
    listed, excluded = _without_bad(source, _listing(source, rule, artist_of))
    collection = _labelled(source, listed, excluded, max_missing)
    collection = replace(collection, splits=splits_by(rule, source, listed, collection, seed))
    return replace(collection, notes=(*listed.notes, *notes_on(collection)))


def listed_paths(dataset: str | Path, registry: Path | None = None) -> list[str]:
    """The absolute path of every file that a collection lists, as it is on disk or, where missing, as it is listed;
    known-bad ones are left out, a manifest is not asked. Raises as `load_collection` does."""
    source = replace(find_source(dataset, registry, None, None), manifest=None)
    listed, _ = _without_bad(source, _listing(source, _chosen_rule(source, None), lambda path: None))
    suffixes = source.entry.table.suffixes if source.entry.table else ()
    return [on_disk(path, suffixes) or path for path in listed.tracks["path"]]


def load_collection(
    dataset: str | Path,
    *,
    allow: Sequence[str] = (),
    registry: Path | None = None,
    label: str | None = None,
    task: Task | None = None,
    split: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    allow_partial: bool | None = None,
    artist_of: ArtistOf = artist_from_tags,
) -> Collection:
    """A labelled collection, audited: it is returned only if nothing leaks from training to test.

    `dataset`: a name in datasets.yaml, a folder per label, or a csv / tsv with columns for path and label.
    `registry`: the datasets.yaml to read after the shipped one (default: $MIRCLR_DATASETS or the one in the current
    folder). `label`: another label column of a table. `task`: what the labels of one's own table or folder, or those of
    `label`, are (mirclr.datasets.tasks; default: multiclass). `split`: the split rule by name (default: the first
    declared), or the column to split one's own table by. `folds`: how many seeded folds (default: as declared, else 5);
    a published split is not touched by it. `seed` draws folds and validation parts. `allow`: kinds of leak to accept
    (`leakage.LEAK_KINDS`). `allow_partial`: False refuses a copy that is not whole, True takes any and says so, None
    (for training) takes up to `MISSING_SHARE` missing files and notes them. `artist_of`: how the artist of a file
    without a table is found (default: its tags).

    Raises DatasetError (missing files, bad rows, leaks), ConfigError (datasets.yaml), UsageError (arguments).
    """
    share = MISSING_SHARE if allow_partial is None else 1.0  # a refusal counts all that is lacking, not only files
    collection = read_collection(
        dataset,
        registry=registry,
        label=label,
        task=task,
        split=split,
        folds=folds,
        seed=seed,
        max_missing=share,
        artist_of=artist_of,
    )
    lacking = () if allow_partial is None else refuse_partial(collection, allow_partial)
    allowed = refuse_leaks(collection, audit(collection), allow)
    return replace(collection, notes=(*collection.notes, *allowed), cautions=(*lacking, *allowed))
