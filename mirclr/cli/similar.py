"""`mirclr similar`: what a library holds like tracks, moments, artists, words, and unlike others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.library import COLUMNS, encoder_option, filtered, opened, ranked, store_option
from mirclr.errors import UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    import numpy as np

    from mirclr.library.query import Part, Question
    from mirclr.library.search import Catalogue


@click.command()
@click.argument("track", required=False)
@click.option("--like", "likes", multiple=True, help="A further track to be like; NAME:0.5 gives it half the weight.")
@click.option("--unlike", "unlikes", multiple=True, help="A track to keep away from; its weight is 0.5 unless NAME:1.")
@click.option("--artist", "artists", multiple=True, help="An artist to be like, without the artist's own tracks.")
@click.option("--words", help='What it should be, in words: "calm piano". Needs --joint.')
@click.option("--joint", type=click.Path(path_type=Path), help="For --words: the folder that `mirclr align` wrote.")
@click.option("--at", help="The moment of TRACK to be like, 1:30, in place of the whole.")
@click.option("--moments", is_flag=True, help="Find the best matching moments, with their times.")
@click.option("--where", "condition", help="Only tracks that meet a filter: \"genre = 'jazz' and tag.bpm < 100\".")
@click.option(
    "--correct-hubs/--no-correct-hubs",
    "correct",
    default=None,
    help="Let being near count less where a track is near to everything. Default: where the library has hubs.",
)
@click.option("-k", "count", default=10, show_default=True, type=click.IntRange(min=1), help="How many to show.")
@store_option
@encoder_option
@face.json_option
@face.command
def similar(
    *,
    track: str | None,
    likes: tuple[str, ...],
    unlikes: tuple[str, ...],
    artists: tuple[str, ...],
    words: str | None,
    joint: Path | None,
    at: str | None,
    moments: bool,
    condition: str | None,
    correct: bool | None,
    count: int,
    store: Path,
    encoder: Path | None,
    as_json: bool,
) -> int:
    """The tracks of the library most like TRACK, or like several things at once.

    TRACK, --like and --unlike are a path in the library, any audio file, or words of one track's "artist - title".
    """
    from mirclr.library.query import Question
    from mirclr.library.where import Where

    where = None if condition is None else Where.parse(condition)
    if (words is None) != (joint is None):
        raise UsageError("--words and --joint go together")
    if at is not None and track is None:
        raise UsageError("--at is a moment of TRACK: name a track")
    if moments and words is not None:
        raise UsageError("--moments compares sound: the joint space of --words knows whole tracks only")
    catalogue, ear = opened(store, encoder)
    liked = _parts(catalogue, ear, track, at, likes, artists)
    question = Question(liked, _unliked(catalogue, ear, unlikes), _heard_words(catalogue, store, joint, words))
    mask = None if where is None else filtered(catalogue, where)
    _say(question, mask, words)
    rows = _moments(catalogue, question, count, mask) if moments else _tracks(catalogue, question, count, mask, correct)
    _show(rows, as_json, moments)
    return 0


def _parts(
    catalogue: Catalogue, ear: Any, track: str | None, at: str | None, likes: tuple[str, ...], artists: tuple[str, ...]
) -> list[Part]:
    from mirclr.library.query import artist_part, weighted

    found = [] if track is None else [_track_part(catalogue, ear, track, 1.0, at)]
    found += [_track_part(catalogue, ear, *weighted(text, 1.0)) for text in likes]
    return found + [artist_part(catalogue, *weighted(text, 1.0)) for text in artists]


def _unliked(catalogue: Catalogue, ear: Any, unlikes: tuple[str, ...]) -> list[Part]:
    from mirclr.library.query import UNLIKED, weighted

    return [_track_part(catalogue, ear, *weighted(text, UNLIKED)) for text in unlikes]


def _track_part(catalogue: Catalogue, ear: Any, text: str, weight: float, at: str | None = None) -> Part:
    """A track that was named, whole or at a moment."""
    from mirclr.library.moments import clock, nearest_moment, seconds_of
    from mirclr.library.query import Part
    from mirclr.library.resolve import resolve

    seed = resolve(catalogue, text, ear)
    rows = () if seed.row is None else (seed.row,)
    if at is None:
        return Part(seed.name, seed.unit, weight, rows)
    if seed.row is None:
        heard = ear.hear(Path(text))
        units, starts = catalogue.space.unit(heard.segments), heard.starts
    else:
        units, starts = catalogue.segments(seed.row)
    place = nearest_moment(starts, seconds_of(at), seed.track["duration"])
    return Part(f"{seed.name} at {clock(starts[place])}", units[place], weight, rows)


def _heard_words(catalogue: Catalogue, store: Path, joint: Path | None, words: str | None) -> np.ndarray | None:
    if words is None or joint is None:
        return None
    from mirclr.features.joint_file import load_joint
    from mirclr.library.query import words_scores
    from mirclr.library.text_search import doubts, shelf_of_store

    space = load_joint(joint)
    scores = words_scores(catalogue, shelf_of_store(space, store), space, words)
    for line in doubts(space, words):
        face.say(line)
    return scores


def _say(question: Question, mask: np.ndarray | None, words: str | None) -> None:
    """What is asked, in one line."""
    told = [f"like {part.name}{_weight(part.weight, 1.0)}" for part in question.likes]
    told += [] if words is None else [f"for {words}"]
    told += [f"unlike {part.name}{_weight(part.weight, 0.5)}" for part in question.unlikes]
    told += [] if mask is None else [f"among {int(mask.sum())} track(s)"]
    face.say(printable("; ".join(told)))


def _weight(weight: float, usual: float) -> str:
    return "" if weight == usual else f" (weight {weight:g})"


def _tracks(
    catalogue: Catalogue, question: Question, count: int, mask: np.ndarray | None, correct: bool | None
) -> list[dict[str, Any]]:
    from mirclr.library.query import answer

    hits = answer(catalogue, question, count, mask=mask, near=catalogue.correction(correct))
    return [ranked(rank, hit.similarity, catalogue.track(hit.row)) for rank, hit in enumerate(hits, 1)]


def _moments(catalogue: Catalogue, question: Question, count: int, mask: np.ndarray | None) -> list[dict[str, Any]]:
    import numpy as np

    from mirclr.library.moments import best_moments, clock

    out = np.zeros(len(catalogue.tracks), bool) if mask is None else ~mask
    out[list(question.own)] = True
    direction = question.direction
    found = [] if direction is None else best_moments(catalogue, direction, count, out)
    return [
        ranked(rank, moment.similarity, catalogue.track(moment.row))
        | {"at": clock(moment.start), "seconds": moment.start}
        for rank, moment in enumerate(found, 1)
    ]


def _show(rows: list[dict[str, Any]], as_json: bool, moments: bool) -> None:
    columns = [*COLUMNS[:2], *(["at"] if moments else []), *COLUMNS[2:]]
    face.show_json(rows) if as_json else face.show_table(rows, columns)
