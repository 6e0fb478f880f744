"""`mirclr data show`, `stats`, `split` and `clean`: one collection told, counted, divided and cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import datasets_option
from mirclr.units import printable

if TYPE_CHECKING:
    from mirclr.audio.manifest import Verdict
    from mirclr.datasets.registry import Declared

_NUMBERS = ("share", "largest", "mean", "deviation", "min", "lower_quartile", "median", "upper_quartile", "max")
output_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write to."
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws seeded folds.")
label_option = click.option("--label", help="Another label column of a table.")


@click.command("show")
@click.argument("name")
@datasets_option
@face.json_option
@face.command
def show(name: str, registry: Path | None, as_json: bool) -> int:
    """All that datasets.yaml says of the collection NAME: where to get it, what is expected, what is wrong with it."""
    from mirclr.config import nearest
    from mirclr.datasets.registry import read_registry
    from mirclr.errors import UsageError

    declared = read_registry(registry)
    if name not in declared:
        raise UsageError(f"no collection {name!r} in datasets.yaml.{nearest(name, declared)}")
    if as_json:
        face.show_json({"name": name, "declared_in": str(declared[name].source), **_plain(declared[name])})
    else:
        face.show_table(({"what": what, "is": text} for what, text in _facts(declared[name])), ["what", "is"], name)
    return 0


def _plain(found: Declared) -> dict[str, Any]:
    return found.entry.model_dump(mode="json", exclude_defaults=True)


def _facts(found: Declared) -> Iterator[tuple[str, str]]:
    """(what, text) of a declaration, one line each."""
    entry = found.entry
    labels = entry.vocabulary or (entry.table.labels if entry.table and not entry.table.separator else ())
    yield from (("title", entry.title), ("task", entry.task), ("licence", entry.licence), ("citation", entry.citation))
    yield from (("where", entry.where), ("root", entry.root), ("labels", ", ".join(labels) or "as found"))
    yield "artists", (entry.table.artist if entry.table else entry.folders and entry.folders.artist) or "not published"
    for name, rule in entry.splits.items():
        how = ", ".join(f"{key} {value}" for key, value in rule.model_dump(mode="json", exclude_defaults=True).items())
        yield f"split {name}", how
    if entry.expected.tracks:
        yield "expected tracks", str(entry.expected.tracks)
    yield from ((f"expected {label}", str(count)) for label, count in entry.expected.labels.items())
    yield from ((f"SHA-256 of {file}", digest) for file, digest in entry.expected.checksums.items())
    yield from ((f"known bad {path}", reason) for path, reason in entry.known_bad.items())
    yield from (("fault", text) for text in entry.faults)
    yield from ((f"allowed {leak.kind}", leak.reason) for leak in entry.allow)


@click.command("stats")
@click.argument("dataset")
@datasets_option
@label_option
@click.option("--split", help="A split by name, or the column to split a table of your own by.")
@seed_option
@face.json_option
@face.command
def stats(dataset: str, as_json: bool, **reading: Any) -> int:
    """Count the labels, artists and parts of DATASET from its annotations; no file is heard."""
    from mirclr.datasets.check import split_rows
    from mirclr.datasets.stats import label_stats, summary
    from mirclr.datasets.table import read_collection

    collection = read_collection(dataset, max_missing=1.0, **reading)
    facts, rows, parts = summary(collection), label_stats(collection), split_rows(collection)
    if as_json:
        face.show_json({"name": collection.name, **facts, "labels_of": rows, "splits": parts})
    else:
        shown = [{k: f"{v:.3f}" if k in _NUMBERS else v for k, v in row.items()} for row in rows]
        face.show_table(shown, list(rows[0]), "labels")
        click.echo()
        face.show_table(parts, list(parts[0]), "splits")
    face.say(f"{collection.name}: " + ", ".join(f"{key} {value:g}" for key, value in facts.items()))
    for note in collection.notes:
        face.say(f"note: {note}")
    return 0


@click.command("split")
@click.argument("dataset")
@output_option
@datasets_option
@label_option
@click.option("--folds", type=click.IntRange(2, 50), default=5, show_default=True, help="Each is the test part once.")
@click.option("--one", is_flag=True, help="Only the first fold: one train, valid and test part.")
@seed_option
@face.json_option
@face.command
def split(
    dataset: str,
    output: Path,
    registry: Path | None,
    label: str | None,
    folds: int,
    one: bool,
    seed: int,
    as_json: bool,
) -> int:
    """Divide DATASET by artist, drawn from the seed, and write split.csv and a datasets.yaml that reads it.

    Go on with --datasets FOLDER/datasets.yaml: there the new split is the collection's default.
    """
    from mirclr.datasets.check import split_rows
    from mirclr.datasets.derived import write_split
    from mirclr.datasets.rules import seeded_splits
    from mirclr.datasets.sources import find_source
    from mirclr.datasets.table import read_collection

    source = find_source(dataset, registry, label, None)
    collection = read_collection(dataset, registry=registry, label=label, folds=folds)
    splits = seeded_splits(collection, folds, seed)[: 1 if one else None]
    files = write_split(source, collection, splits, f"seed-{seed}", output)
    rows = split_rows(collection, splits)
    if as_json:
        face.show_json({"name": collection.name, "splits": rows, "files": [str(file) for file in files]})
    else:
        face.show_table(rows, list(rows[0]), collection.name)
    face.say(f"written: {files[0]}; go on with --datasets {files[1]}")
    return 0


@click.command("clean")
@click.argument("dataset")
@output_option
@datasets_option
@click.option("--unlabelled", is_flag=True, help="DATASET is a folder of music without labels.")
@click.option(
    "--drop",
    multiple=True,
    metavar="FLAW",
    help="silent, clipped, dc_offset, short, duplicate, near_duplicate; repeatable. Default: silent, short, duplicate, "
    "near_duplicate.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Decoding processes. Default: one a core.")
@face.json_option
@face.command
def clean(
    dataset: str,
    output: Path,
    registry: Path | None,
    unlabelled: bool,
    drop: tuple[str, ...],
    workers: int | None,
    as_json: bool,
) -> int:
    """Hear every file of DATASET, and write which to keep: manifest.csv, and a datasets.yaml that honours it.

    A manifest is taken wherever a folder of music is: `mirclr pretrain cleaned/manifest.csv`. With labels go on with
    --datasets cleaned/datasets.yaml. Nothing is deleted. Exit code 3: files are missing or no sound, each listed.
    """
    from mirclr.datasets.derived import DROPPED, FLAGGED, clean_manifest, verdicts_on, write_clean
    from mirclr.datasets.sources import find_source
    from mirclr.errors import UsageError
    from mirclr.evaluation.cleaning import hear

    unknown = [flaw for flaw in drop if flaw not in FLAGGED]
    if unknown:
        raise UsageError(f"--drop {unknown[0]}: no such flaw; known: {', '.join(FLAGGED)}")
    source = None if unlabelled else find_source(dataset, registry, None, None)
    paths, bad = _folder_paths(Path(dataset)) if source is None else (_collection_paths(dataset, registry), [])
    heard = face.show_work(hear(paths, workers))
    verdicts = [*verdicts_on(paths, heard.tracks, heard.quarantine, heard.pairs, drop or DROPPED), *bad]
    files = [clean_manifest(verdicts, output)] if source is None else write_clean(source, verdicts, output)
    return _tell_clean(verdicts, files, as_json)


def _collection_paths(dataset: str, registry: Path | None) -> list[str]:
    """The files of a collection, on disk or not."""
    from mirclr.datasets.table import listed_paths

    return listed_paths(dataset, registry)


def _folder_paths(folder: Path) -> tuple[list[str], list[Verdict]]:
    """The files that are or claim to be sound, and a verdict on what could not be looked at."""
    from mirclr.audio.manifest import Verdict
    from mirclr.audio.scan import list_files
    from mirclr.datasets.folders import is_sound

    files, bad = list_files(folder)
    lost = [Verdict(str(path), False, str(reason), str(detail)) for path, reason, detail in bad.to_numpy()]
    return [str(path) for path in files if is_sound(path)], lost


def _tell_clean(verdicts: list[Verdict], files: list[Path], as_json: bool) -> int:
    from mirclr.audio.reasons import REASONS

    dropped = [row for row in verdicts if not row.keep]
    told = [row for row in verdicts if row.keep and row.detail]
    rows = [vars(row) for row in (*dropped, *told)]
    if as_json:
        kept = len(verdicts) - len(dropped)
        face.show_json({"kept": kept, "dropped": len(dropped), "rows": rows, "files": [str(file) for file in files]})
    else:
        face.show_table(({**row, "keep": int(row["keep"])} for row in rows), ["path", "keep", "reason", "detail"])
    face.say(f"{len(verdicts) - len(dropped)} files kept, {len(dropped)} dropped: {printable(files[0])}")
    if len(files) > 1:
        face.say(f"go on with --datasets {printable(files[1])}")
    return face.PARTLY_DONE if any(row.reason in REASONS for row in dropped) else 0
