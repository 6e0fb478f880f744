"""`mirclr index`, `mirclr similar`, `mirclr playlist`: a store of a collection, and what to ask of it."""

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
    from mirclr.library.playlist import Seed
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

    catalogue, embed = _opened(store, encoder)
    seed = resolve(catalogue, track, embed)
    hits = nearest(catalogue, seed.unit, count, exclude=[] if seed.row is None else [seed.row])
    face.say(f"like {seed.name}")
    show_ranked([(catalogue.track(hit.row), hit.similarity) for hit in hits], as_json)
    return 0


@click.command()
@click.argument("seeds", metavar="SEED...", nargs=-1, required=True)
@click.option("--length", default=20, show_default=True, type=click.IntRange(min=1), help="Tracks in all.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="list.m3u8, .json or .csv. Default: only show it."
)
@click.option(
    "--per-artist",
    type=click.IntRange(min=1),
    help="At most N tracks of one artist, kept even if the list comes out short. Default: a tenth of the list, "
    "raised (and said) where the library needs it.",
)
@click.option(
    "--seeds/--no-seeds", "include", default=True, show_default=True, help="Begin with the seeds, or omit them."
)
@click.option("--absolute/--relative", default=False, help="How paths are written. Default: relative to the playlist.")
@click.option(
    "--order",
    type=click.Choice(["journey", "ranked"]),
    default="journey",
    show_default=True,
    help="Each track like the one before it, or the most alike first.",
)
@store_option
@encoder_option
@face.json_option
@face.command
def playlist(
    *,
    seeds: tuple[str, ...],
    length: int,
    output: Path | None,
    per_artist: int | None,
    include: bool,
    absolute: bool,
    order: str,
    store: Path,
    encoder: Path | None,
    as_json: bool,
) -> int:
    """A playlist that follows from SEED: paths, other audio files, words of a name, or playlists (.m3u8, .m3u, .json).

    Never the same audio nor the same artist and title twice. Exit code 3: some tracks could not be written or found
    (listed).
    """
    from mirclr.library.playlist import Rules, make_playlist
    from mirclr.library.playlist_file import check_target

    if output is not None:
        check_target(output)
    catalogue, embed = _opened(store, encoder)
    started, lost = _seeds(catalogue, seeds, embed)
    made = make_playlist(catalogue, started, Rules(length, per_artist, include, order))  # type: ignore[arg-type]
    for note in made.notes:
        face.say(printable(note))
    show_ranked([(entry.track, entry.similarity) for entry in made.entries], as_json)
    face.say(f"neighbours in the list are alike by {made.smoothness:.2f} (mean cosine)")
    if output is not None:
        lost += _written(output, made.entries, absolute, seeds)
    return face.list_quarantine(lost)


def _written(output: Path, entries: Sequence[Any], absolute: bool, seeds: Sequence[str]) -> list[dict[str, str]]:
    """Write the file and say so; the tracks it could not hold."""
    from mirclr.library.playlist_file import write_playlist

    story = ["made by mirclr", *(f"seed: {printable(seed)}" for seed in seeds)]
    written = write_playlist(output, entries, absolute=absolute, story=story)
    face.say(f"wrote {written.tracks} track(s) to {printable(output)}")
    return written.quarantine


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


def _opened(store: Path, encoder: Path | None) -> tuple[Catalogue, Any]:
    """The library in memory, and how to embed a file outside it; the encoder is loaded only if one is met."""
    from mirclr.library.outside import embed_file
    from mirclr.library.search import Catalogue
    from mirclr.library.store import Library

    with Library.open(store) as library:
        catalogue, binding = Catalogue.load(library), library.binding

    def embed(path: Path) -> tuple[Mapping[str, Any], Any]:
        extractor = _load(encoder or _folder_of(binding, store))
        Library.open(store, extractor).close()  # refuses another encoder
        return embed_file(path, extractor)

    return catalogue, embed


def _seeds(catalogue: Catalogue, texts: Sequence[str], embed: Any) -> tuple[list[Seed], list[dict[str, str]]]:
    """Every seed that was named, those inside playlists too, and the playlist lines that lead nowhere."""
    from mirclr.library.playlist_file import READABLE, read_playlist
    from mirclr.library.resolve import resolve

    found: list[Seed] = []
    lost: list[dict[str, str]] = []
    for text in texts:
        if Path(text).suffix.lower() not in READABLE or not Path(text).is_file():
            found.append(resolve(catalogue, text, embed))
            continue
        listed = read_playlist(Path(text))
        lost += [{"path": line, "reason": "stream", "detail": f"in {text}: not a file"} for line in listed.skipped]
        for path in listed.paths:
            if catalogue.row_at(path) is None and not path.is_file():
                lost.append(
                    {"path": str(path), "reason": "missing_file", "detail": f"in {text}: not there, not indexed"}
                )
            else:
                found.append(resolve(catalogue, str(path), embed))
    return found, lost


def show_ranked(rows: Sequence[tuple[Mapping[str, Any], float]], as_json: bool) -> None:
    """Ranked tracks as a table or as JSON."""
    shown = [
        {"rank": rank, "similarity": round(similarity, 4), **{name: track[name] for name in COLUMNS[2:]}}
        for rank, (track, similarity) in enumerate(rows, 1)
    ]
    face.show_json(shown) if as_json else face.show_table(shown, COLUMNS)
