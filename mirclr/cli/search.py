"""`mirclr search`: a text finds the music of a library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirclr.cli import face
from mirclr.cli.library import show_ranked
from mirclr.errors import UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    from mirclr.features.joint_file import SavedJoint
    from mirclr.library.text_search import Shelf


@click.command()
@click.argument("text")
@click.option(
    "--joint",
    type=click.Path(path_type=Path),
    help="The folder that `mirclr align` wrote. Default: STORE.joint or joint, beside the store.",
)
@click.option("--store", type=click.Path(path_type=Path), help="The library store. Default: library.db")
@click.option("--vectors", type=click.Path(path_type=Path), help="In place of a store: a file of `mirclr embed`.")
@click.option("-k", "count", default=10, show_default=True, type=click.IntRange(min=1), help="How many to show.")
@face.json_option
@face.command
def search(text: str, joint: Path | None, store: Path | None, vectors: Path | None, count: int, as_json: bool) -> int:
    """The tracks of the library that TEXT says most of: "calm piano", "sad 1970s", an artist, a title.

    The joint space decides, not the tags: tracks without a tag are found, too. The store has to be one of the encoder
    that the joint space hears by. What held-out tracks said of it is repeated with every answer.
    """
    from mirclr.features.joint_file import load_joint
    from mirclr.library.text_search import doubts, joint_beside, worth
    from mirclr.library.text_search import search as find

    if store is not None and vectors is not None:
        raise UsageError("give --store or --vectors, not both")
    if joint is None and vectors is not None:
        raise UsageError("--vectors has no joint space beside it: name one with --joint")
    space = load_joint(joint) if joint else joint_beside(store or Path("library.db"))
    shelf = _shelf(space, store, vectors)
    hits = find(shelf, space, text, count)
    for line in (f"for {printable(text)}", *worth(space), *doubts(space, text)):
        face.say(line)
    show_ranked([(shelf.track(hit.row), hit.similarity) for hit in hits], as_json)
    return 0


def _shelf(space: SavedJoint, store: Path | None, vectors: Path | None) -> Shelf:
    from mirclr.library.text_search import shelf_of_store, shelf_of_vectors

    if vectors is not None:
        return shelf_of_vectors(space, vectors)
    return shelf_of_store(space, store or Path("library.db"))
