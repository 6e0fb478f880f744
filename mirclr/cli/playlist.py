"""`mirclr playlist`: make, extend, order, convert, score and compare playlists; radio without end."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli import playlist_options as common
from mirclr.cli.grouped import Grouped, Usual
from mirclr.cli.library import opened
from mirclr.cli.playlist_options import MAP_IN, OUTPUT, RULES, SHAPE, STORE, options
from mirclr.errors import UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    from mirclr.library.playlist import Entry, Seed
    from mirclr.library.search import Catalogue

FILE = click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
EXPLAIN = click.option("--explain", is_flag=True, help="Say why each track is there, here and in JSON and CSV.")


@click.group(cls=Usual, usual="make")
def playlist() -> None:
    """Playlists from a library: `mirclr playlist SEED... -o FILE` is short for `mirclr playlist make`.

    A playlist file named like an argument is read: .m3u8, .m3u, .pls, .xspf, .jspf, .json, .csv.
    """


@playlist.command(cls=Grouped, short_help="Follow from seed tracks or playlists.")
@click.argument("seeds", metavar="SEED...", nargs=-1, required=True)
@options(SHAPE)
@common.rule("--length", type=common.positive, help="Tracks in all. Default: 20, or what --minutes hold.")
@options(RULES)
@common.rule("--seeds/--no-seeds", "include", default=True, show_default=True, help="Put the seeds in, or omit them.")
@options(OUTPUT, [MAP_IN], STORE)
@EXPLAIN
@face.json_option
@face.command
def make(*, seeds: tuple[str, ...], length: int | None, include: bool, store: Path, **given: Any) -> int:
    """A playlist that follows from SEED: paths, other audio files, words of a name, or playlists.

    Never the same audio nor the same artist and title twice. Exit code 3: some tracks could not be written or found
    (listed).
    """
    _check(given)
    shape, rules = common.shape_of(given), _rules(given, length, include)
    catalogue, embed = opened(store, given["encoder"])
    started, lost = common.seeds_of(catalogue, seeds, embed, given["maps_in"])
    entries = _made(catalogue, started, rules, shape, common.choice_of(given, catalogue, embed), given["explain"])
    return common.finish(entries, lost, given, [f"seed: {seed.name}" for seed in started])


def _check(given: dict[str, Any]) -> None:
    """Refuse a target that cannot be written before anything is done."""
    from mirclr.library.playlist_file import check_target

    if given["output"] is not None:
        check_target(given["output"])
    common.maps_of(given["maps"])


def _rules(given: dict[str, Any], length: int | None, include: bool) -> Any:
    usual = None if given["minutes"] else 20
    return common.rules_of(given, length or usual, include)


def _made(catalogue: Catalogue, seeds: list[Seed], rules: Any, shape: Any, choice: Any, explain: bool) -> list[Entry]:
    """The list, explained if wanted; what is to be said about it is said."""
    from mirclr.library.playlist import make_playlist, moments_of
    from mirclr.library.playlist_explain import Explainer

    made = make_playlist(catalogue, seeds, rules, shape, choice)
    entries, notes = made.entries, list(made.notes)
    if explain:
        with moments_of(catalogue) as moments:
            explainer = Explainer(catalogue, seeds, moments)
            entries = explainer.explained(entries)
        notes += explainer.notes
    for note in notes:
        face.say(printable(note))
    face.say(f"neighbours in the list are alike by {made.smoothness:.2f} (mean cosine)")
    return list(entries)


@playlist.command(cls=Grouped, short_help="Keep a list and add to it.")
@FILE
@common.rule("--by", default=10, show_default=True, type=common.positive, help="How many tracks to add.")
@options(SHAPE, RULES, OUTPUT, [MAP_IN], STORE)
@EXPLAIN
@face.json_option
@face.command
def extend(*, path: Path, by: int, store: Path, **given: Any) -> int:
    """FILE as it is, and more that follows from all of it."""
    _check(given)
    if given["minutes"]:
        raise UsageError("--minutes: a list is extended by a number of tracks (--by)")
    shape = common.shape_of(given)
    if shape.kind in ("journey", "arc"):
        raise UsageError(f"--shape {shape.kind}: what is there stays in front; extend by nearest or walk")
    catalogue, embed = opened(store, given["encoder"])
    started, lost = common.listed_in(catalogue, path, embed, given["maps_in"])
    kept = _distinct(started)
    rules = common.rules_of(given, len(kept) + by + len(given["musts"]), True)
    entries = _made(catalogue, kept, rules, shape, common.choice_of(given, catalogue, embed), given["explain"])
    return common.finish(entries, lost, given, [f"extends: {printable(path)}"])


def _distinct(seeds: list[Seed]) -> list[Seed]:
    from mirclr.library.playlist import distinct

    kept, notes = distinct(seeds)
    for note in notes:
        face.say(printable(note))
    return kept


@playlist.command(cls=Grouped, short_help="Put a list in a smooth order.")
@FILE
@options([SHAPE[-1]], [RULES[3], RULES[4]], OUTPUT, [MAP_IN], STORE)
@face.json_option
@face.command
def order(*, path: Path, store: Path, weights: tuple[str, ...], **given: Any) -> int:
    """The tracks of FILE in a smooth order, from its first track on; none is added or left out."""
    from mirclr.library.playlist_order import ordered
    from mirclr.library.transitions import Weights

    _check(given)
    catalogue, embed = opened(store, given["encoder"])
    tracks, lost = common.listed_in(catalogue, path, embed, given["maps_in"])
    runs = (given["artist_run"], given["album_run"])
    made = ordered(catalogue, tracks, Weights.parse(weights), runs)
    for note in made.notes:
        face.say(printable(note))
    face.say(f"neighbours in the list are alike by {made.smoothness:.2f} (mean cosine)")
    return common.finish(made.entries, lost, given, [f"orders: {printable(path)}"])


@playlist.command(cls=Grouped, short_help="Another format, or another place.")
@FILE
@options(OUTPUT, [MAP_IN], STORE)
@face.json_option
@face.command
def convert(*, path: Path, store: Path, **given: Any) -> int:
    """FILE in another format or for another place (-o, --map), in its order.

    Tracks are found in the library by path, by the hash of their sound or file, then by artist and title.
    """
    from mirclr.library.playlist import Entry

    _check(given)
    if given["output"] is None:
        raise UsageError("convert writes a file: say which, with -o")
    catalogue, embed = opened(store, given["encoder"])
    tracks, lost = common.listed_in(catalogue, path, embed, given["maps_in"])
    entries = [Entry(track.track, 1.0, True, -1 if track.row is None else track.row) for track in tracks]
    return common.finish(entries, lost, given, [f"from: {printable(path)}"])


@playlist.command(cls=Grouped, short_help="A scorecard of a list.")
@FILE
@options([MAP_IN], STORE)
@face.json_option
@face.command
def score(*, path: Path, store: Path, encoder: Path | None, maps_in: tuple[str, ...], as_json: bool) -> int:
    """A scorecard of FILE: smoothness, diversity, artists, novelty, coverage, repeats (see docs/playlists.md)."""
    return _cards([path], store, encoder, maps_in, as_json)


@playlist.command(cls=Grouped, short_help="Two lists by the same scorecard.")
@click.argument("paths", metavar="A B", nargs=2, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options([MAP_IN], STORE)
@face.json_option
@face.command
def compare(
    *, paths: tuple[Path, Path], store: Path, encoder: Path | None, maps_in: tuple[str, ...], as_json: bool
) -> int:
    """Two playlists by the same scorecard, and the difference of B from A."""
    return _cards(list(paths), store, encoder, maps_in, as_json)


def _cards(paths: list[Path], store: Path, encoder: Path | None, maps_in: tuple[str, ...], as_json: bool) -> int:
    from mirclr.library.playlist_score import MEASURES, score

    catalogue, embed = opened(store, encoder)
    cards, lost = [], []
    for path in paths:
        tracks, missing = common.listed_in(catalogue, path, embed, maps_in)
        cards.append(score(catalogue, tracks))
        lost += missing
    rows: list[dict[str, Any]] = []
    for measure in MEASURES:
        values = [_number(card[measure.name]) for card in cards]
        row = {"measure": measure.name, **dict(zip(("a", "b") if len(cards) > 1 else ("value",), values, strict=True))}
        if len(cards) > 1:
            row["difference"] = None if None in values else _number(float(values[1] or 0) - float(values[0] or 0))
        rows.append({**row, "what": measure.of})
    face.show_json(rows) if as_json else face.show_table(rows, list(rows[0]))
    return face.list_quarantine(lost)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


@playlist.command(cls=Grouped, short_help="One track after another, without end.")
@click.argument("seeds", metavar="SEED...", nargs=-1, required=True)
@options([SHAPE[3], SHAPE[4], SHAPE[6]], [RULES[5], RULES[7]], [MAP_IN], STORE)
@click.option("--count", type=common.positive, help="Stop after so many. Default: never.")
@face.json_option
@face.command
def radio(*, seeds: tuple[str, ...], store: Path, count: int | None, as_json: bool, **given: Any) -> int:
    """One track after another, a path a line, without end.

    After each track it waits for a line on stdin: an empty one for the next, `skip`, `like`, or `quit`. The end of
    stdin ends it, too; with --count it runs through without asking.
    """
    from mirclr.library.playlist import moments_of
    from mirclr.library.playlist_radio import Radio
    from mirclr.library.transitions import Weights

    catalogue, embed = opened(store, given["encoder"])
    started, lost = common.seeds_of(catalogue, seeds, embed, given["maps_in"])
    choice = common.choice_of(given, catalogue, embed)
    with moments_of(catalogue) as moments:
        station = Radio(
            catalogue,
            started,
            moments,
            temperature=given["temperature"],
            weights=Weights.parse(given["weights"]),
            choice=choice,
            seed=given["seed"],
        )
        said = 0
        for _ in _wishes(station, count):
            entry = station.next()
            track = {name: entry.track[name] for name in ("artist", "title", "path")}
            click.echo(json.dumps(track, default=str) if as_json else printable(str(track["path"])))
            sys.stdout.flush()
            for note in station.notes[said:]:
                face.say(note)
            said = len(station.notes)
    return face.list_quarantine(lost)


def _wishes(station: Any, count: int | None) -> Iterator[None]:
    """Once for every track that is to be played; hears what is said between two."""
    yield
    if count is not None:
        yield from (None for _ in range(count - 1))
        return
    for line in sys.stdin:
        word = line.strip().lower()
        if word in ("quit", "q"):
            return
        if word in ("skip", "s"):
            station.skip()
        elif word in ("like", "l"):
            station.like()
        elif word not in ("", "next", "n"):
            face.say(f"{printable(word)}: not understood; an empty line, skip, like or quit")
            continue
        yield
