"""`mirclr map`: a library as one page that shows, finds and plays its music."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.library import heard_by_owner, store_option

if TYPE_CHECKING:
    from mirclr.library.search import Catalogue

method_option = click.option(
    "--method",
    "wanted",
    multiple=True,
    help="PCA, t-SNE or UMAP; repeatable, the page opens on the first. Default: all, for many tracks PCA.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="For t-SNE, UMAP and the clusters."
)


@click.command("map")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Page to write: .html.")
@store_option
@method_option
@click.option("--previews", "with_previews", is_flag=True, help="Put 8 s of every track into the page (40 KiB each).")
@click.option("--playlist", type=click.Path(path_type=Path), help="Draw a playlist (.m3u8, .m3u, .json) as a path.")
@click.option("--table", type=click.Path(path_type=Path), help="A csv with a column path, for --by.")
@click.option("--by", "names", multiple=True, metavar="COLUMN", help="A column of --table to colour by; repeatable.")
@seed_option
@face.json_option
@face.command
def map_library(
    *,
    output: Path,
    store: Path,
    wanted: tuple[str, ...],
    with_previews: bool,
    playlist: Path | None,
    table: Path | None,
    names: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> int:
    """Write the library as one page: every track a point, near those that sound like it. Open it in any browser.

    The page needs no network and no server. Points link to the music files where they lie, unless --previews puts a few
    seconds of each into the page. Exit code 3: written, but some files were left out (listed).
    """
    from dataclasses import replace

    from mirclr.files import write_atomic
    from mirclr.library.store import Library
    from mirclr.plots.map_data import lay_out
    from mirclr.plots.map_page import map_page
    from mirclr.plots.map_sound import previews

    _check(output, table, names)
    with Library.open(store) as library:
        catalogue = heard_by_owner(library)
    given = _given(catalogue, table, names)
    path, lost = _path(catalogue, playlist)
    laid = face.show_work(lay_out(catalogue, store.name, wanted, seed, given))
    for note in laid.notes:
        face.say(note)
    if with_previews:
        made = face.show_work(previews(laid.tracks))
        laid, lost = replace(laid, previews=made.uris), lost + made.quarantine
    write_atomic(output, map_page(replace(laid, playlist=path)))
    size = output.stat().st_size
    said = {"page": str(output), "tracks": len(laid.tracks), "layouts": ", ".join(laid.layouts), "bytes": size}
    face.show_json(said) if as_json else face.show_table([said], list(said))
    return face.list_quarantine(lost)


def _check(output: Path, table: Path | None, names: tuple[str, ...]) -> None:
    """What can be said before anything is read. Raises UsageError."""
    from mirclr.errors import UsageError
    from mirclr.files import check_folder

    if output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{output}: a map is written to a name that ends in .html")
    check_folder(output)
    if (table is None) != (not names):
        raise UsageError("--table names the file and --by its columns: give both or neither")


def _given(catalogue: Catalogue, table: Path | None, names: tuple[str, ...]) -> list[Any]:
    from mirclr.plots.map_fields import given_fields
    from mirclr.plots.tagged import tags_from_table

    if table is None:
        return []
    return given_fields(tags_from_table(catalogue.tracks["path"].tolist(), names, table).values)


def _path(catalogue: Catalogue, playlist: Path | None) -> tuple[tuple[int, ...], list[dict[str, str]]]:
    """The rows of a playlist, and its lines that lead to no track of the library."""
    from mirclr.library.playlist_match import Finder
    from mirclr.library.playlist_read import read_playlist

    if playlist is None:
        return (), []
    found = Finder(catalogue).match(read_playlist(playlist).tracks, str(playlist))
    return tuple(seed.row for seed in found.tracks if seed.row is not None), found.lost
