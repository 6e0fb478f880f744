"""`mirclr data list` and `mirclr data check`: labelled collections, declared and as they are on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.units import printable

if TYPE_CHECKING:
    from mirclr.datasets.check import Findings
    from mirclr.datasets.registry import Declared

SHOWN_LABELS = 6
datasets_option = click.option(
    "--datasets",
    "registry",
    type=click.Path(path_type=Path),
    help="A datasets.yaml of your own. Default: $MIRCLR_DATASETS, or the one in the current folder.",
)
task_option = click.option(
    "--task",
    type=click.Choice(["multiclass", "regression", "key", "tempo", "onsets", "beats", "notes"]),
    help="What the labels of your own table, or of --label, are. Default: multiclass.",
)
allow_leak_option = click.option(
    "--allow-leak",
    "allow",
    multiple=True,
    metavar="KIND",
    help="Accept a leak by name: artist_overlap, duplicate_audio, same_file. Repeatable.",
)


def _labels(found: Declared) -> list[str]:
    """The labels a declaration fixes; empty when they are those found in the table or the folders."""
    entry = found.entry
    if entry.vocabulary is None and entry.table is not None and (entry.task in ("multilabel", "regression", "tempo")):
        return [] if entry.table.separator else list(entry.table.labels)
    return list(entry.vocabulary or ())


def _entry_row(found: Declared) -> dict[str, Any]:
    from mirclr.errors import DatasetError

    entry = found.entry
    try:
        here: str | None = str(found.root)
    except DatasetError:
        here = None
    return {
        "name": found.name,
        "task": entry.task,
        "labels": _labels(found),
        "on_disk": here,
        "licence": entry.licence,
        "citation": entry.citation,
        "title": entry.title,
        "where": entry.where,
        "splits": list(entry.splits),
        "declared_in": str(found.source),
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: few labels, no citation."""
    labels = row["labels"]
    more = f", ... ({len(labels)})" if len(labels) > SHOWN_LABELS else ""
    return {**row, "labels": (", ".join(labels[:SHOWN_LABELS]) + more) or "as found", "on_disk": row["on_disk"] or "no"}


@click.command("list")
@datasets_option
@face.json_option
@face.command
def list_(registry: Path | None, as_json: bool) -> int:
    """Every declared collection: task, labels, licence, and where a person gets the audio."""
    from mirclr.datasets.registry import read_registry

    rows = [_entry_row(found) for found in read_registry(registry).values()]
    if as_json:
        face.show_json(rows)
    else:
        face.show_table(map(_short, rows), ["name", "task", "labels", "on_disk", "licence", "where"])
    return 0


@click.command("check")
@click.argument("dataset")
@datasets_option
@click.option("--label", help="Another label column of a table.")
@task_option
@click.option("--split", help="A split by name, or the column to split a table of your own by.")
@click.option("--folds", type=click.IntRange(2, 50), help="How many seeded folds. Default: as declared, else 5.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws seeded folds.")
@allow_leak_option
@click.option("--workers", type=click.IntRange(min=1), help="Decoding processes. Default: one a core.")
@face.json_option
@face.command
def check(dataset: str, allow: tuple[str, ...], workers: int | None, as_json: bool, **reading: Any) -> int:
    """Compare DATASET on disk with what it should be: counts, missing and invalid files, leaks, splits.

    DATASET is a name in datasets.yaml, a folder per label, or a csv. Exit code 0: complete and clean; 3: files are
    missing or invalid, each listed, and it is evaluated only with --allow-partial; 1: so many are missing, or so much
    leaks, that nothing is trained on it either.
    """
    from mirclr.datasets.check import check_collection
    from mirclr.datasets.leakage import allowed_kinds
    from mirclr.datasets.table import read_collection

    collection = read_collection(dataset, max_missing=1.0, **reading)
    allowed = allowed_kinds(collection, allow)
    findings = face.show_work(check_collection(collection, workers))
    face.show_json(_report(findings)) if as_json else _show(findings)
    return _verdict(findings, set(allowed))


def _report(findings: Findings) -> dict[str, Any]:
    """The findings as plain data."""
    found = findings.collection
    return {
        "name": found.name,
        "root": str(found.root),
        "task": found.kind,
        "licence": found.licence,
        "citation": found.citation,
        "tracks": len(found.tracks),
        "artists": int(found.tracks["artist"].nunique()),
        "labels": findings.label_rows(),
        "splits": findings.split_rows(),
        "missing": list(found.missing),
        "invalid": findings.invalid.to_dict("records"),
        "excluded": dict(found.excluded),
        "differences": list(findings.differences),
        "flags": findings.flags,
        "leaks": [
            {**vars(leak), "parts": list(leak.parts), "examples": list(leak.examples)} for leak in findings.leaks
        ],
        "notes": list(found.notes),
    }


def _show(findings: Findings) -> None:
    """Tables of labels and splits on stdout, the rest as talk."""
    from mirclr.audio.reasons import FLAGS

    found = findings.collection
    face.say(f"{found.name}: {found.kind}, {len(found.tracks)} tracks under {printable(found.root)}")
    face.say(f"licence: {found.licence}")
    face.show_table(findings.label_rows(), ["label", "declared", "listed", "on_disk", "invalid"], "labels")
    click.echo()
    face.show_table(findings.split_rows(), ["split", "part", "tracks", "artists", "labels"], "splits")
    for name, reason in found.excluded.items():
        face.say(f"known bad, left out: {printable(name)}: {printable(reason)}")
    flags = [f"{count} file(s) flagged {flag}: {FLAGS[flag]}" for flag, count in findings.flags.items()]
    for note in (*found.notes, *findings.differences, *flags):
        face.say(f"note: {note}")


def _verdict(findings: Findings, allowed: set[str]) -> int:
    """Say what is wrong, worst last; the exit code."""
    from mirclr.datasets.table import MISSING_SHARE

    found = findings.collection
    gone = [{"path": name, "reason": "missing_file", "detail": "listed, not on disk"} for name in found.missing]
    broken = [dict(zip(("path", "reason", "detail"), row, strict=True)) for row in findings.invalid.to_numpy()]
    face.list_quarantine([*gone, *broken])
    for leak in findings.leaks:
        face.say(f"{'allowed leak' if leak.kind in allowed else 'leak'}: {leak}")
    share = len(gone) / (len(gone) + len(found.tracks))
    if share > MISSING_SHARE:
        face.say(f"{share:.0%} of the listed files are missing: above {MISSING_SHARE:.0%} nothing is trained on it")
        return 1
    if any(leak.kind not in allowed for leak in findings.leaks):
        face.say("the splits leak: it is not evaluated unless the leak is allowed by name (--allow-leak KIND)")
        return 1
    if findings.is_complete:
        face.say("complete: nothing missing, nothing broken, no leak that is not allowed")
        return 0
    face.say(f"not complete, see above: evaluated only with --allow-partial (exit code {face.PARTLY_DONE})")
    return face.PARTLY_DONE
