"""`mirclr index` and `mirclr similar`: a store of a collection, and the plainest question to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.errors import StoreError, UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    from mirclr.features.extractor import Extractor
    from mirclr.library.rows import Binding
    from mirclr.library.search import Catalogue

COLUMNS = ["rank", "similarity", "artist", "title", "path"]

store_option = click.option(
    "--store", default="library.db", show_default=True, type=click.Path(path_type=Path), help="The library store."
)
encoder_option = click.option(
    "--encoder",
    type=click.Path(path_type=Path),
    help="Run folder of the encoder. Default: where the store saw it last.",
)


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@encoder_option
@store_option
@click.option("--prune", is_flag=True, help="Delete what is gone from the folders, even when it is most of them.")
@click.option("--workers", type=click.IntRange(min=1), help="Decoding processes and threads. Default: all cores.")
@face.json_option
@face.command
def index(
    *, folders: tuple[Path, ...], encoder: Path | None, store: Path, prune: bool, workers: int | None, as_json: bool
) -> int:
    """Bring the store up to date with FOLDER: new, changed, moved and removed files.

    Run it as often as you like: files that did not change are not opened, and a run that was killed goes on where it
    stopped. Removed tracks are out of every answer but keep their vectors until --prune.

    Exit codes: 0 done, 1 error, 2 usage, 3 done but files were left out (listed).
    """
    from mirclr.library.index import index_folder
    from mirclr.library.store import Library

    folder = encoder or _known_encoder(store)
    extractor = _load(folder)
    with Library.open_or_create(store, extractor, folder) as library:
        done = face.show_work(index_folder(library, list(folders), extractor, workers=workers, prune=prune))
    counts = {**done.counts, "quarantined": len(done.quarantine)}
    face.show_json({"store": str(store), **counts}) if as_json else face.show_table([counts], list(counts))
    return face.list_quarantine(done.quarantine)


@click.command()
@click.argument("track")
@click.option("-k", "count", default=10, show_default=True, type=click.IntRange(min=1), help="How many to show.")
@store_option
@encoder_option
@face.json_option
@face.command
def similar(track: str, count: int, store: Path, encoder: Path | None, as_json: bool) -> int:
    """The tracks of the library most like TRACK.

    TRACK is a path in the library, any audio file, or words of one track's "artist - title".
    """
    from mirclr.library.resolve import resolve
    from mirclr.library.search import similar as nearest

    catalogue, embed = opened(store, encoder)
    seed = resolve(catalogue, track, embed)
    hits = nearest(catalogue, seed.unit, count, exclude=[] if seed.row is None else [seed.row])
    face.say(f"like {seed.name}")
    show_ranked([(catalogue.track(hit.row), hit.similarity) for hit in hits], as_json)
    return 0


def _known_encoder(store: Path) -> Path:
    """Where the store saw its encoder last. Raises UsageError when only --encoder can tell."""
    from mirclr.library.store import Library

    if not store.is_file():
        raise UsageError(f"{store} does not exist yet: say which encoder to use, with --encoder RUN")
    with Library.open(store) as library:
        return _folder_of(library.binding, store)


def _folder_of(binding: Binding, store: Path) -> Path:
    if binding.folder is None or not binding.folder.exists():
        was = f"its encoder {binding.name!r} was at {binding.folder} and is not there"
        raise StoreError(f"{store}: {was}; say where it is now, with --encoder RUN")
    return binding.folder


def _load(folder: Path) -> Extractor:
    from mirclr.features.encoder_file import load_encoder

    return load_encoder(folder)


def opened(store: Path, encoder: Path | None) -> tuple[Catalogue, Any]:
    """The library in memory, in its owner's taste where one is kept, and how to embed a file outside it; the encoder is
    loaded only if one is met."""
    from mirclr.library.outside import embed_file
    from mirclr.library.store import Library
    from mirclr.library.taste import load_catalogue, place_of

    with Library.open(store) as library:
        (catalogue, taste), binding = load_catalogue(library), library.binding
    if taste is not None:
        face.say(f"by the taste in {printable(place_of(store))} (mirclr adapt --forget takes it back)")

    def embed(path: Path) -> tuple[Mapping[str, Any], Any]:
        extractor = _load(encoder or _folder_of(binding, store))
        Library.open(store, extractor).close()  # refuses another encoder
        return embed_file(path, extractor)

    return catalogue, embed


def show_ranked(rows: Sequence[tuple[Mapping[str, Any], float]], as_json: bool) -> None:
    """Ranked tracks as a table or as JSON."""
    shown = [
        {"rank": rank, "similarity": round(similarity, 4), **{name: track[name] for name in COLUMNS[2:]}}
        for rank, (track, similarity) in enumerate(rows, 1)
    ]
    face.show_json(shown) if as_json else face.show_table(shown, COLUMNS)
