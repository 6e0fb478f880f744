"""What the playlist commands share: their options, where seeds come from, what is shown and written."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mirclr import __version__
from mirclr.cli import face
from mirclr.cli.grouped import section
from mirclr.cli.library import COLUMNS, filtered, ranked
from mirclr.errors import UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    import numpy as np

    from mirclr.library.playlist import Choice, Entry, Seed, Shape
    from mirclr.library.playlist_file import PathMap
    from mirclr.library.playlist_rules import Rules
    from mirclr.library.search import Catalogue

WHY = ["to_seed", "to_previous", "timbre", "rhythm", "harmony", "tags", "moment", "seed", "seed_moment"]
positive = click.IntRange(min=1)
shape, rule, file, library = (section(name) for name in ("Shape", "Rules", "File", "Library"))

SHAPE = (
    shape(
        "--shape",
        type=click.Choice(["nearest", "journey", "walk", "arc"]),
        help="nearest: what is most alike. journey: even steps from one seed to the next. walk: from each track to a "
        "near one. arc: along --arc. Default: nearest, or arc with --arc.",
    ),
    shape("--arc", metavar="MEASURE=CURVE", help="energy=rise, tempo=peak, fall, valley; or points: tempo=90,128,100."),
    shape("--drift", type=float, default=0.5, show_default=True, help="Of a walk: 0 stays near the seeds, 1 forgets."),
    shape("--temperature", type=float, default=0.5, show_default=True, help="Of a walk: 0 takes the best, more dares."),
    shape("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of what a walk draws."),
    shape(
        "--order",
        type=click.Choice(["smooth", "ranked"]),
        default="smooth",
        show_default=True,
        help="Of nearest: each track like the one before it, or the most alike first.",
    ),
    shape(
        "--weight", "weights", multiple=True, metavar="PART=W",
        help="What a transition counts: sound=1, join=1 (outro to intro), tempo=0.4, key=0.2.",
    ),
)  # fmt: skip
RULES = (
    rule("--minutes", metavar="M", help="Playing time in place of a length: 45 (43 to 45), or 40-50."),
    rule(
        "--per-artist",
        type=positive,
        help="At most N tracks of one artist, kept even if the list comes out short. Default: a tenth of the list, "
        "raised (and said) where the library needs it.",
    ),
    rule("--per-album", type=positive, help="At most N tracks of one album."),
    rule("--artist-run", type=positive, help="At most N of one artist in a row."),
    rule("--album-run", type=positive, help="At most N of one album in a row."),
    rule(
        "--where", metavar="FILTER", help="""Only these: "genre = 'Jazz' and year < 1970 and not tag.mood = 'sad'"."""
    ),
    rule("--must", "musts", multiple=True, metavar="TRACK", help="A track that has to be in the list; repeatable."),
    rule(
        "--played", multiple=True, type=click.Path(path_type=Path), help="A playlist or table of what was heard: last."
    ),
)
OUTPUT = (
    file("-o", "--output", type=click.Path(path_type=Path), help=".m3u8 .m3u .pls .xspf .jspf .json .csv"),
    file("--absolute/--relative", default=False, help="How paths are written. Default: relative to the playlist."),
    file("--map", "maps", multiple=True, metavar="OURS=THEIRS", help="Write paths under OURS as they are THEIRS."),
)
MAP_IN = file("--map-in", "maps_in", multiple=True, metavar="OURS=THEIRS", help="Read THEIRS in playlists as OURS.")
STORE = (
    library("--store", default="library.db", show_default=True, type=click.Path(path_type=Path), help="The store."),
    library("--encoder", type=click.Path(path_type=Path), help="Run folder. Default: where the store saw it last."),
)


def options(*lists: Sequence[Callable[..., Any]]) -> Callable[[Any], Any]:
    """Several options as one decorator, in the order given."""

    def decorate(function: Any) -> Any:
        for option in reversed([option for each in lists for option in each]):
            function = option(function)
        return function

    return decorate


def shape_of(given: dict[str, Any]) -> Shape:
    """The shape that was asked for."""
    from mirclr.library.playlist import Shape
    from mirclr.library.playlist_targets import Arc
    from mirclr.library.transitions import Weights

    curve = Arc.parse(given["arc"]) if given["arc"] else None
    kind: Any = given["shape"] or ("arc" if curve else "nearest")
    weights = Weights.parse(given["weights"])
    return Shape(kind, given["drift"], given["temperature"], curve, given["seed"], weights)


def rules_of(given: dict[str, Any], length: int | None, include: bool) -> Rules:
    """The rules that were asked for; a length is usual only where no minutes are given."""
    from mirclr.library.playlist_rules import Rules

    return Rules(
        length,
        given["per_artist"],
        include,
        given["order"],
        given["per_album"],
        given["artist_run"],
        given["album_run"],
        minutes_of(given["minutes"]),
    )


def minutes_of(text: str | None) -> tuple[float, float] | None:
    """`45` to (42.75, 45), `40-50` to (40, 50). Raises UsageError on anything else."""
    if text is None:
        return None
    low, _, high = text.partition("-")
    try:
        return (float(low), float(high)) if high else (0.95 * float(low), float(low))
    except ValueError as error:
        raise UsageError(f"--minutes {text!r}: give one number of minutes, or two as 40-50") from error


def choice_of(given: dict[str, Any], catalogue: Catalogue, embed: Any) -> Choice:
    """What may be chosen, what was played, what must be in."""
    from mirclr.library.playlist import Choice
    from mirclr.library.resolve import resolve

    musts = tuple(resolve(catalogue, text, embed) for text in given.get("musts", ()))
    return Choice(among_of(catalogue, given["where"]), played_of(catalogue, given["played"]), musts)


def among_of(catalogue: Catalogue, where: str | None) -> np.ndarray | None:
    """The rows a filter leaves. Raises UsageError when it leaves none."""
    from mirclr.library.where import Where

    if where is None:
        return None
    mask = filtered(catalogue, Where.parse(where))
    if not mask.any():
        raise UsageError(f"--where {where!r}: no track of the library is left")
    return mask


def played_of(catalogue: Catalogue, files: Sequence[Path]) -> np.ndarray | None:
    """The rows that a history names; what of it is not in the library is counted and said."""
    import numpy as np

    from mirclr.library.playlist_match import Finder
    from mirclr.library.playlist_read import read_playlist

    if not files:
        return None
    played, finder = np.zeros(len(catalogue.tracks), bool), Finder(catalogue)
    for path in files:
        found = finder.match(read_playlist(path).tracks, str(path))
        played[[seed.row for seed in found.tracks if seed.row is not None]] = True
        if found.lost:
            face.say(f"{printable(path)}: {len(found.lost)} track(s) that were played are not in this library")
    return played


def maps_of(texts: Sequence[str]) -> list[PathMap]:
    """The path maps that were given."""
    from mirclr.library.playlist_file import PathMap

    return [PathMap.parse(text) for text in texts]


def seeds_of(
    catalogue: Catalogue, texts: Sequence[str], embed: Any, maps_in: Sequence[str] = ()
) -> tuple[list[Seed], list[dict[str, str]]]:
    """Every seed that was named, those inside playlists too, and the playlist lines that lead nowhere."""
    from mirclr.library.playlist_read import READERS
    from mirclr.library.resolve import resolve

    found: list[Seed] = []
    lost: list[dict[str, str]] = []
    for text in texts:
        if Path(text).suffix.lower() in READERS and Path(text).is_file():
            listed, missing = listed_in(catalogue, Path(text), embed, maps_in)
            found += listed
            lost += missing
        else:
            found.append(resolve(catalogue, text, embed))
    return found, lost


def listed_in(
    catalogue: Catalogue, path: Path, embed: Any, maps_in: Sequence[str] = ()
) -> tuple[list[Seed], list[dict[str, str]]]:
    """The tracks of a playlist file, and what could not be found; says how many were found by what."""
    from collections import Counter

    from mirclr.library.playlist_match import Finder
    from mirclr.library.playlist_read import read_playlist

    found = Finder(catalogue, embed).match(read_playlist(path, maps_of(maps_in)).tracks, str(path))
    ways = ", ".join(f"{count} by {how}" for how, count in Counter(found.by).items() if how not in ("path", "outside"))
    if ways:
        face.say(f"{printable(path)}: {ways}")
    return found.tracks, found.lost


def finish(
    entries: Sequence[Entry], lost: Sequence[dict[str, str]], given: dict[str, Any], story: Sequence[str]
) -> int:
    """Show the list, write the file if one was asked for, list what was lost; the exit code."""
    show(entries, given["as_json"])
    rows = list(lost)
    if given["output"] is not None:
        from mirclr.library.playlist_file import write_playlist

        told = [f"made by mirclr {__version__}", *story, f"again: {again()}"]
        written = write_playlist(
            given["output"], entries, absolute=given["absolute"], story=told, maps=maps_of(given["maps"])
        )
        face.say(f"wrote {written.tracks} track(s) to {printable(given['output'])}")
        rows += written.quarantine
    return face.list_quarantine(rows)


def show(entries: Sequence[Entry], as_json: bool) -> None:
    """The list as a table or as JSON, with the reasons where there are some."""
    rows = [
        ranked(rank, entry.similarity, entry.track) | dict(entry.why or {}) for rank, entry in enumerate(entries, 1)
    ]
    columns = [*COLUMNS[:-1], *WHY, COLUMNS[-1]] if any(entry.why for entry in entries) else COLUMNS
    face.show_json(rows) if as_json else face.show_table(rows, columns)


def again() -> str:
    """The command that makes this list again, as it would be typed."""
    context = click.get_current_context()
    words = ["mirclr", *_names(context)]
    for param in context.command.params:
        typed = context.get_parameter_source(str(param.name)) == ParameterSource.COMMANDLINE
        value = context.params.get(str(param.name))
        if not typed or param.name == "as_json":
            continue
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(param, click.Argument):
            words += map(str, values)
        elif isinstance(value, bool):
            words.append(param.opts[0] if value else (param.secondary_opts or param.opts)[0])
        else:
            words += [word for each in values for word in (param.opts[-1], str(each))]
    return printable(shlex.join(words))


def _names(context: click.Context) -> list[str]:
    """The names of a command and of the groups it is in, without the program's."""
    return [] if context.parent is None else [*_names(context.parent), str(context.info_name)]
