"""`mirclr library`: looking after a store."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import click

from mirclr.cli import face
from mirclr.cli.library import say_unread, store_option
from mirclr.units import printable

SHOWN = 40  # characters of a tag's value in a table


@click.group()
def library() -> None:
    """Look after a library store."""


@library.command()
@store_option
@face.json_option
@face.command
def stats(*, store: Path, as_json: bool) -> int:
    """What the store holds: tracks, hours, what was measured, and how much it suffers from hubs."""
    from mirclr.library.store import Library
    from mirclr.library.upkeep import stats as told

    with Library.open(store) as opened:
        found = told(opened)
    rows = [{"what": name, "value": value} for name, value in found.items()]
    face.show_json(found) if as_json else face.show_table(rows, ["what", "value"])
    return 0


@library.command()
@store_option
@face.json_option
@face.command
def tags(*, store: Path, as_json: bool) -> int:
    """Which tags there are to filter by.

    What the files of the library say, whatever their format, for `--where "tag.NAME = ..."`: on how many tracks (files
    of the same bytes are one), how many different values, and the commonest.
    """
    from mirclr.library.store import Library
    from mirclr.library.track_tags import count_tags, unread_tracks

    with Library.open(store) as opened:
        found, unread = count_tags(opened), unread_tracks(opened)
    if as_json:
        values = [[{"value": value, "tracks": tracks} for value, tracks in tag.commonest] for tag in found]
        face.show_json([{**tag._asdict(), "commonest": each} for tag, each in zip(found, values, strict=True)])
    else:
        shown = ["; ".join(f"{value[:SHOWN]} ({tracks})" for value, tracks in tag.commonest) for tag in found]
        rows = [{**tag._asdict(), "commonest": each} for tag, each in zip(found, shown, strict=True)]
        face.show_table(rows, ["name", "tracks", "values", "commonest"])
    say_unread(unread)
    return 0


@library.command()
@click.option("--files", is_flag=True, help="Also ask the disk whether every file is there and unchanged.")
@store_option
@face.json_option
@face.command
def verify(*, files: bool, store: Path, as_json: bool) -> int:
    """Read all of the store and say what is wrong with it. Exit code 3: something is (listed)."""
    from mirclr.library.store import Library
    from mirclr.library.upkeep import verify as check

    with Library.open(store) as opened:
        found = face.show_work(check(opened, files))
    columns = ["path", "reason", "detail"]
    face.show_json(found) if as_json else face.show_table(found, columns)
    face.say(f"{len(found)} thing(s) are wrong" if found else f"{store}: whole")
    return face.PARTLY_DONE if found else 0


@library.command()
@store_option
@face.json_option
@face.command
def vacuum(*, store: Path, as_json: bool) -> int:
    """Give the space of deleted rows back to the disk."""
    from mirclr.library.store import Library
    from mirclr.library.upkeep import vacuum as shrink

    with Library.open_to_tend(store) as opened:
        before, after = shrink(opened)
    row = {"store": str(store), "bytes_before": before, "bytes_after": after}
    face.show_json(row) if as_json else face.show_table([row], list(row))
    return 0


@library.command()
@store_option
@face.json_option
@face.command
def purge(*, store: Path, as_json: bool) -> int:
    """Delete for good what index runs marked as removed, with its vectors."""
    from mirclr.library.store import Library
    from mirclr.library.upkeep import purge as delete

    with Library.open_to_tend(store) as opened:
        gone = {"store": str(store), **delete(opened)}
    face.show_json(gone) if as_json else face.show_table([gone], list(gone))
    return 0


@library.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@store_option
@face.command
def export(*, target: Path, store: Path) -> int:
    """Write the library to FILE: .npz (all of it; `import` reads it) or .parquet (tables for other programs)."""
    from mirclr.library.exchange import export_library
    from mirclr.library.store import Library

    with Library.open(store) as opened:
        count = export_library(opened, target)
    face.say(f"wrote {count} track(s) to {printable(target)}")
    return 0


@library.command("import")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@store_option
@face.command
def import_(*, source: Path, store: Path) -> int:
    """Make a new store of FILE, an .npz that `export` wrote."""
    from mirclr.library.exchange import import_library

    count = import_library(source, store)
    face.say(f"read {count} track(s) into {printable(store)}; mirclr index needs --encoder the first time")
    return 0


@library.command()
@click.option("--workers", type=click.IntRange(min=1), help="Decoding threads. Default: all cores.")
@store_option
@face.json_option
@face.command
def duplicates(*, workers: int | None, store: Path, as_json: bool) -> int:
    """List copies, near-duplicates of one recording, and other versions of a piece.

    What the store knows proposes pairs; their files are then opened and compared by their sound. A pair with a file
    that is gone or cannot be read is listed as unverified.

    Exit codes: 0 done, 1 error, 2 usage, 3 done but files could not be heard (listed).
    """
    from dataclasses import asdict

    from mirclr.library.duplicates import duplicates as pairs
    from mirclr.library.search import Catalogue
    from mirclr.library.store import Library

    with Library.open(store) as opened:
        catalogue = Catalogue.load(opened)
    found = face.show_work(pairs(catalogue, workers))
    rows = [asdict(pair) for pair in found.pairs]
    for row, (name, digits) in product(rows, (("likeness", 3), ("offset", 2), ("speed", 4))):
        row[name] = None if row[name] is None else round(row[name], digits)
    columns = ["kind", "likeness", "offset", "speed", "semitones", "first", "second", "reason"]
    face.show_json(rows) if as_json else face.show_table(rows, columns)
    face.say(f"{found.candidates} pair(s) were proposed and compared by their sound")
    unmeasured = int(catalogue.tracks["energy"].isna().sum())
    if unmeasured:
        face.say(f"{unmeasured} track(s) were never measured and not compared; mirclr index measures them")
    return face.list_quarantine(found.quarantine)
