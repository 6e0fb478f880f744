"""`mirclr tag`: heads say what the tracks of a library are; as a table, or in the tags of the files themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.library import store_option
from mirclr.errors import UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    from mirclr.library.tag_files import Plan
    from mirclr.library.tagging import TaggedLibrary

SUMMARY = ("field", "least", "tagged", "silent", "tags")
CHANGES = ("action", "field", "old", "new", "path")


@click.command()
@store_option
@click.option("--head", "heads", multiple=True, type=click.Path(path_type=Path), help="A head. Repeatable.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="tags.csv or tags.json: every track.")
@click.option("--field", help="Another name for what a single head answers: genre, mood, ...")
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="Give no tag below it. Default: the head's own.")
@click.option(
    "--top",
    type=click.FloatRange(0, 100, min_open=True),
    help="For numbers and several labels: give each to so many per cent of this library instead.",
)
@click.option("--write", is_flag=True, help="Show what would change in the files themselves; nothing is written yet.")
@click.option("--yes", is_flag=True, help="With --write: write it.")
@click.option("--overwrite", is_flag=True, help="With --write: replace what a file says already.")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    help="With --write: where the old tags are kept. Default: beside the store, STORE.tags.jsonl",
)
@click.option(
    "--restore", type=click.Path(path_type=Path), help="Put back what a manifest holds; nothing else is done."
)
@face.json_option
@face.command
def tag(
    *,
    store: Path,
    heads: tuple[Path, ...],
    output: Path | None,
    field: str | None,
    min_confidence: float | None,
    top: float | None,
    write: bool,
    yes: bool,
    overwrite: bool,
    manifest: Path | None,
    restore: Path | None,
    as_json: bool,
) -> int:
    """Tag the tracks of a library by heads that `mirclr train-head` (or `finetune`) wrote.

    A head says nothing below a confidence: those tracks get no tag. Files are changed only with --write --yes; the
    sound is proved untouched, and the manifest puts everything back. Exit codes: 0 done, 1 error, 2 usage, 3 done but
    files were left alone (listed).
    """
    from mirclr.library.tagging import Rule, tag_library

    _refuse(heads, restore, write, {"--yes": yes, "--overwrite": overwrite, "--manifest": manifest is not None})
    if restore is not None:
        return _restored(restore, as_json)
    if min_confidence is not None and top is not None:
        raise UsageError("--min-confidence and --top are two rules; give one")
    rule = Rule(min_confidence, None if top is None else top / 100)
    tagged = tag_library(store, heads, rule, field)
    rows = tagged.rows()
    _to_file(output, rows)
    for note in (note for answers in tagged.answers for note in answers.notes):
        face.say(f"note: {note}")
    if not write:
        face.show_json(rows) if as_json else face.show_table(tagged.summary(), SUMMARY)
        return 0
    place = manifest or store.with_name(f"{store.stem}.tags.jsonl")
    return _written(tagged, rows, place if yes else None, overwrite, as_json)


def _refuse(heads: Sequence[Path], restore: Path | None, write: bool, needing: dict[str, bool]) -> None:
    given = [name for name, there in needing.items() if there]
    if given and not write:
        raise UsageError(f"{given[0]} is of use with --write only")
    if restore is not None and (heads or write):
        raise UsageError("--restore puts tags back and does nothing else; leave out --head and --write")
    if restore is None and not heads:
        raise UsageError("nothing to ask: name a --head (train one with `mirclr train-head`)")


def _to_file(output: Path | None, rows: list[dict[str, Any]]) -> None:
    if output is not None:
        from mirclr.library.tag_table import write_tags

        write_tags(output, rows)
        face.say(f"wrote {len(rows)} row(s) to {printable(output)}")


def _written(
    tagged: TaggedLibrary, rows: list[dict[str, Any]], manifest: Path | None, overwrite: bool, as_json: bool
) -> int:
    """Show the plan, and with a manifest carry it out."""
    from mirclr.library.tag_files import plan_files, write_files

    plan = face.show_work(plan_files(rows, overwrite))
    _show_plan(plan, as_json)
    if manifest is None:
        face.say("nothing was written; say --write --yes to write it")
        return face.list_quarantine(plan.quarantine)
    ids = dict(zip(tagged.contents.tracks["path"], tagged.contents.tracks["id"], strict=True))
    done = face.show_work(write_files(plan, ids, manifest))
    face.say(f"changed {done.files} file(s); put them back with: mirclr tag --restore {printable(manifest)}")
    return face.list_quarantine([*plan.quarantine, *done.quarantine])


def _show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        face.show_json({"counts": plan.counts(), "fields": [vars(planned) for planned in plan.fields]})
    else:
        shown = [
            {**vars(p), "old": "; ".join(p.old), "new": "; ".join(p.new)} for p in plan.fields if p.action != "same"
        ]
        face.show_table(shown, CHANGES)
    counts = plan.counts()
    face.say(
        f"{counts['add']} to add, {counts['replace']} to replace, {counts['keep']} kept as they are"
        f"{' (--overwrite replaces them)' if counts['keep'] else ''}, {counts['same']} there already"
    )


def _restored(manifest: Path, as_json: bool) -> int:
    from mirclr.library.tag_manifest import restore_files

    done = face.show_work(restore_files(manifest))
    counts = {"whole": done.whole, "fields": done.fields, "same": done.same}
    face.show_json(counts) if as_json else face.show_table([counts], list(counts))
    return face.list_quarantine(done.quarantine)
