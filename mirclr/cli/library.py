"""`mirclr index`: a store of a collection; and what every command about a store needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.errors import MirclrError, StoreError, UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    import numpy as np

    from mirclr.features.extractor import Extractor
    from mirclr.library.index import IndexResult
    from mirclr.library.outside import Outside
    from mirclr.library.rows import Binding
    from mirclr.library.search import Catalogue
    from mirclr.library.store import Library
    from mirclr.library.where import Where

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
@click.option(
    "--reencode", is_flag=True, help="Hear everything with --encoder, a new one, and replace the store by it."
)
@click.option("--watch", type=click.FloatRange(min=1), help="Look again every so many seconds, until Ctrl-C.")
@click.option("--workers", type=click.IntRange(min=1), help="Decoding processes and threads. Default: all cores.")
@face.json_option
@face.command
def index(
    *,
    folders: tuple[Path, ...],
    encoder: Path | None,
    store: Path,
    prune: bool,
    reencode: bool,
    watch: float | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Bring the store up to date with FOLDER: new, changed, moved and removed files.

    Run it as often as you like: files that did not change are not opened, and a run that was killed goes on where it
    stopped. Removed tracks are out of every answer but keep their vectors until --prune.

    Exit codes: 0 done, 1 error, 2 usage, 3 done but files were left out (listed).
    """
    from mirclr.library.index import index_folder
    from mirclr.library.reencode import reencode as heard_anew
    from mirclr.library.store import Library

    if reencode and (encoder is None or watch is not None):
        raise UsageError("--reencode needs the new encoder, --encoder RUN, and ends by itself: no --watch")
    folder = encoder or _known_encoder(store)
    extractor = _load(folder)
    if reencode:
        done = face.show_work(heard_anew(store, list(folders), extractor, folder, workers=workers))
        return _told(store, done, as_json)
    with Library.open_or_create(store, extractor, folder) as library:

        def look() -> Any:
            return face.show_work(index_folder(library, list(folders), extractor, workers=workers, prune=prune))

        code = _told(store, look(), as_json)
        return code if watch is None else _watched(look, watch, store, as_json)


def _told(store: Path, done: IndexResult, as_json: bool) -> int:
    """The counts of a run, and its exit code."""
    counts = {**done.counts, "quarantined": len(done.quarantine)}
    face.show_json({"store": str(store), **counts}) if as_json else face.show_table([counts], list(counts))
    return face.list_quarantine(done.quarantine)


def _watched(look: Callable[[], IndexResult], seconds: float, store: Path, as_json: bool) -> int:
    """Look again and again, and tell what changed, until Ctrl-C; what fails is said and tried again."""
    face.say(f"watching; looking again every {seconds:g} s, Ctrl-C to stop")
    try:
        while True:
            time.sleep(seconds)
            try:
                done = look()
            except MirclrError as error:  # a disk that is away comes back
                face.say(f"error: {error}")
                continue
            if any(count for name, count in done.counts.items() if name != "unchanged"):
                _told(store, done, as_json)
    except KeyboardInterrupt:
        face.say("stopped watching; the store is up to date with the last look")
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


class Ear:
    """Files outside the library, as its encoder hears them; the encoder is loaded when the first is met."""

    def __init__(self, catalogue: Catalogue, store: Path, encoder: Path | None, binding: Binding) -> None:
        self._catalogue, self._store, self._encoder, self._binding = catalogue, store, encoder, binding
        self._heard: dict[Path, Outside] = {}
        self._known: dict[Path, tuple[Mapping[str, Any], Any, int | None]] = {}

    def hear(self, path: Path) -> Outside:
        """A file, heard once."""
        from mirclr.library.outside import hear_file
        from mirclr.library.store import Library

        if path not in self._heard:
            extractor = _load(self._encoder or _folder_of(self._binding, self._store))
            Library.open(self._store, extractor).close()  # refuses another encoder
            self._heard[path] = hear_file(path, extractor)
        return self._heard[path]

    def __call__(self, path: Path) -> tuple[Mapping[str, Any], Any, int | None]:
        """The row of the track table and the vector of a file, and the row of the library that is this recording."""
        if path not in self._known:
            self._known[path] = self._with_row(path)
        return self._known[path]

    def _with_row(self, path: Path) -> tuple[Mapping[str, Any], Any, int | None]:
        from mirclr.library.outside import own_row

        heard = self.hear(path)
        row = own_row(self._catalogue, heard)
        if row is not None:
            own = self._catalogue.tracks["path"].iloc[row]
            face.say(
                f"{printable(path)}: the library has this recording, and it is no answer to itself: {printable(own)}"
            )
        return heard.track, heard.vector, row


def opened(store: Path, encoder: Path | None) -> tuple[Catalogue, Ear]:
    """The library in memory, in its owner's taste where one is kept, and an ear for files outside it."""
    from mirclr.library.store import Library

    with Library.open(store) as library:
        catalogue = heard_by_owner(library)
        return catalogue, Ear(catalogue, store, encoder, library.binding)


def heard_by_owner(library: Library) -> Catalogue:
    """The library in memory, in its owner's taste where one is kept, which is said."""
    from mirclr.library.taste import load_catalogue, place_of

    catalogue, taste = load_catalogue(library)
    if taste is not None:
        face.say(f"by the taste in {printable(place_of(library.path))} (mirclr adapt --forget takes it back)")
    return catalogue


def filtered(catalogue: Catalogue, where: Where) -> np.ndarray:
    """`(U,)` bool: the rows of the catalogue that meet a filter; tracks whose tags were never read are told of."""
    mask = where.mask(catalogue.tracks, catalogue.tags)
    if where.tags:
        say_unread(catalogue.tags.unread)
    return mask


def say_unread(tracks: int) -> None:
    """Of how many tracks the tags are not known, unless it is none."""
    if tracks:
        face.say(f"the tags of {tracks} track(s) were not read yet; mirclr index reads them")


def ranked(rank: int, similarity: float, track: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `COLUMNS`."""
    return {"rank": rank, "similarity": round(similarity, 4), **{name: track[name] for name in COLUMNS[2:]}}


def show_ranked(rows: Sequence[tuple[Mapping[str, Any], float]], as_json: bool) -> None:
    """Ranked tracks as a table or as JSON."""
    shown = [ranked(rank, similarity, track) for rank, (track, similarity) in enumerate(rows, 1)]
    face.show_json(shown) if as_json else face.show_table(shown, COLUMNS)
