"""`mirclr plot embeddings`: vectors in the plane."""

from __future__ import annotations

from pathlib import Path

import click

from mirclr.cli import face


@click.group()
def plot() -> None:
    """Draw embeddings, coloured by any tag."""


@plot.command()
@click.argument("vectors", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Picture to write: .png or .svg.")
@click.option(
    "--by",
    "names",
    required=True,
    multiple=True,
    metavar="TAG",
    help="Colour by artist, album, title, genre, year or track of the files, or a column of --table; repeatable.",
)
@click.option(
    "--table", type=click.Path(path_type=Path), help="A csv with a column path, and the columns to colour by."
)
@click.option(
    "--method", "wanted", multiple=True, help="PCA, t-SNE or UMAP; repeatable. Default: all that are installed."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="For t-SNE and UMAP.")
@face.command
def embeddings(
    vectors: Path, output: Path, names: tuple[str, ...], table: Path | None, wanted: tuple[str, ...], seed: int
) -> int:
    """Draw VECTORS, a file that `mirclr embed` wrote, in the plane: a panel a method, a row of them a tag.

    Near in t-SNE and UMAP means near in the space; far means nothing. Exit code 3: drawn, but the tags of some files
    could not be read (listed).
    """
    from mirclr.errors import UsageError
    from mirclr.evaluation.projection import FEWEST, chosen_methods, project, sampled
    from mirclr.features.vector_file import read_vectors
    from mirclr.plots.embeddings import draw_embeddings
    from mirclr.plots.figure import saver
    from mirclr.plots.tagged import tags_from_files, tags_from_table

    save = saver(output)
    methods = chosen_methods(wanted)
    paths, table_of = read_vectors(vectors)
    if len(paths) < FEWEST:
        raise UsageError(f"{vectors}: {len(paths)} tracks; at least {FEWEST} are needed to see anything")
    chosen = sampled(len(paths), seed)
    kept = [paths[i] for i in chosen]
    tagged = tags_from_table(kept, names, table) if table else tags_from_files(kept, names)
    maps = {method: project(table_of[chosen], method, seed) for method in methods}
    if len(kept) < len(paths):
        face.say(f"{len(kept)} of {len(paths)} tracks are drawn, chosen by the seed")
    save(draw_embeddings(maps, tagged.values, vectors.name), output)
    face.show_table([{"picture": str(output), "tracks": len(kept)}], ["picture", "tracks"])
    return face.list_quarantine(tagged.unread)
