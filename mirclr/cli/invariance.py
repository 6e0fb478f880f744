"""`mirclr invariance`: how far changes of tempo, key, loudness and sound move a track among its neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import datasets_option
from mirclr.cli.evaluate import default_folder

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("music", metavar="FOLDER|DATASET")
@click.option("--encoder", required=True, type=click.Path(path_type=Path), help="A run folder, or its encoder folder.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the card. Default: evaluation/NAME in the run folder.",
)
@click.option(
    "--tracks", "count", type=click.IntRange(3), default=200, show_default=True, help="At most so many, chosen by seed."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=20.0,
    show_default=True,
    help="Of a track, its middle, that is changed and compared.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Tracks, equalisers, untrained twin, bootstrap.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Threads. Default: all cores.")
@datasets_option
@face.json_option
@face.command
def invariance(music: str, encoder: Path, output: Path | None, registry: Path | None, as_json: bool, **how: Any) -> int:
    """Change tracks in tempo, key, loudness, EQ, bitrate, treble and noise, and see how far each change moves them.

    A shift of 1 is as far as to the next track. Rows: MFCC statistics, the untrained twin, the encoder. Exit codes: 0
    done, 1 error, 2 usage, 3 done but files were left out (listed).
    """
    import pandas as pd

    from mirclr.evaluation.invariance import invariance as judge
    from mirclr.evaluation.invariance import write_invariance
    from mirclr.features.encoder_file import load_encoder
    from mirclr.plots.figure import save_png
    from mirclr.plots.invariance import draw_invariance

    extractor = load_encoder(encoder)
    name, tracks, unread = _tracks(music, registry)
    report = face.show_work(judge(tracks, extractor, **how))
    folder = output or default_folder(encoder, name)
    figure = save_png(draw_invariance(report, name), folder / "invariance.png")
    paths = [*write_invariance(report, folder), figure]
    if as_json:
        face.show_json({**report.to_json(), "files": [str(path) for path in paths]})
    else:
        card = report.card()
        face.show_table(card, list(card[0]), name)
    for line in (*(f"note: {note}" for note in report.notes), f"report: {paths[1]}", f"figure: {figure}"):
        face.say(line)
    bad = pd.concat([unread, report.quarantine]).to_dict("records")
    return face.list_quarantine(bad)


def _tracks(music: str, registry: Path | None) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Name, tracks and what could not be read of a folder of music, else of a labelled collection."""
    import pandas as pd

    from mirclr.audio.scan import scan
    from mirclr.datasets.table import read_collection

    if Path(music).is_dir():
        found = face.show_work(scan(Path(music)))
        return Path(music).resolve().name, found.tracks, found.quarantine
    collection = read_collection(music, registry=registry, folds=2)  # none is used: two ask least of it
    gone = [(path, "missing", "listed, but not on disk") for path in collection.missing]
    return collection.name, collection.tracks, pd.DataFrame(gone, columns=["path", "reason", "detail"])
