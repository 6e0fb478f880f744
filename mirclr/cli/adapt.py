"""`mirclr adapt`: playlists somebody likes to a space that hears a little more as they do."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import click

from mirclr.cli import face
from mirclr.cli.library import store_option
from mirclr.cli.playlist_options import listed_in, maps_of
from mirclr.errors import UsageError
from mirclr.units import printable


@click.command()
@click.argument("likes", metavar="PLAYLIST...", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--dislikes", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A playlist of what was skipped; may be repeated.",
)  # fmt: skip
@click.option("--forget", is_flag=True, help="Take back what was learned.")
@click.option("--anyway", is_flag=True, help="Keep it even when the check cannot tell it from no help.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of everything drawn.")
@click.option("--map-in", "maps_in", multiple=True, metavar="OURS=THEIRS", help="Read THEIRS in playlists as OURS.")
@store_option
@face.json_option
@face.command
def adapt(
    *,
    likes: tuple[Path, ...],
    dislikes: tuple[Path, ...],
    forget: bool,
    anyway: bool,
    seed: int,
    maps_in: tuple[str, ...],
    store: Path,
    as_json: bool,
) -> int:
    """Learn from playlists you like: tracks that stand in one list come nearer each other in this library.

    Tracks it did not see say whether it helped; it is kept only then, beside the store, and `similar` and `playlist`
    use it from then on. (An encoder is fitted to other music by `mirclr adabn`.)
    """
    from mirclr.library.taste import forget_taste, place_of

    if forget:
        if likes or dislikes:
            raise UsageError("--forget takes no playlist")
        there = forget_taste(store)
        face.say(f"forgot {printable(place_of(store))}" if there else "there was nothing to forget")
        face.show_json({"forgot": there}) if as_json else face.show_table([{"forgot": there}], ["forgot"])
        return 0
    if not likes:
        raise UsageError("give a playlist you like, or --forget")
    maps_of(maps_in)
    return _learned(likes, dislikes, store, seed, anyway, maps_in, as_json)


def _learned(
    likes: tuple[Path, ...],
    dislikes: tuple[Path, ...],
    store: Path,
    seed: int,
    anyway: bool,
    maps_in: tuple[str, ...],
    as_json: bool,
) -> int:
    """Learn, check, say, keep."""
    from mirclr.library.playlist import moments_of
    from mirclr.library.search import Catalogue
    from mirclr.library.store import Library
    from mirclr.library.taste import write_taste
    from mirclr.library.taste_learning import Lesson, learn

    with Library.open(store) as library:
        catalogue, fingerprint = Catalogue.load(library), library.binding.fingerprint
    lost: list[dict[str, str]] = []

    def rows(path: Path) -> tuple[int, ...]:
        tracks, missing = listed_in(catalogue, path, None, maps_in)
        lost.extend(missing)
        return tuple(dict.fromkeys(track.row for track in tracks if track.row is not None))

    lesson = Lesson(tuple(map(rows, likes)), tuple(row for path in dislikes for row in rows(path)), seed)
    with moments_of(catalogue) as moments:
        taste, check = face.show_work(learn(catalogue, lesson, moments, fingerprint))
    told = {**asdict(check), "helped": check.helped, "kept": check.helped or anyway}
    face.say(check.sentence)
    if told["kept"]:
        about = {"likes": [str(path) for path in likes], "dislikes": [str(path) for path in dislikes], **told}
        face.say(f"kept in {printable(write_taste(store, replace(taste, about=about)))}")
    else:
        face.say("not kept; --anyway keeps it all the same")
    face.show_json(told) if as_json else face.show_table([told], list(told))
    return face.list_quarantine(lost)
