"""`mirclr augment list` and `mirclr augment preview`: the augmentations in words, to look at and to listen to."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirclr.cli import face


@click.group()
def augment() -> None:
    """List the augmentations; hear and see what they do."""


@augment.command("list")
@face.json_option
@face.command
def list_(as_json: bool) -> None:
    """Every augmentation: its domain, what it changes, and what it does; with --json also its options and why."""
    from mirclr.augment.table import effect_rows

    rows = effect_rows()
    face.show_json(rows) if as_json else face.show_table(rows, ("name", "domain", "changes", "what"))


@augment.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("augment-preview"),
    show_default=True,
    help="Folder for the sounds, the pictures and index.html.",
)
@click.option("--effect", "effects", multiple=True, metavar="NAME", help="An effect by name; repeatable. Default: all.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the effects' parameters.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 60),
    default=4.0,
    show_default=True,
    help="Length of the excerpt; the default of a training clip.",
)
@click.option("--start", "start_s", type=click.FloatRange(0), default=0.0, show_default=True, help="Where, in seconds.")
@face.json_option
@face.command
def preview(
    file: Path,
    output: Path,
    effects: tuple[str, ...],
    seed: int,
    seconds: float,
    start_s: float,
    as_json: bool,
) -> None:
    """Apply augmentations to an excerpt of FILE: a sound for each that works on samples, a picture for each.

    Pictures are log-mel spectrograms before and after. Open index.html in the folder to go through them.
    """
    from mirclr.plots.preview import preview as write_preview

    work = write_preview(file, output, effects=effects, seed=seed, seconds=seconds, start_s=start_s)
    rows = [asdict(shown) for shown in face.show_work(work)]
    face.show_json(rows) if as_json else face.show_table(rows, ("name", "domain", "drawn", "picture", "sound"))
    face.say(f"page: {output / 'index.html'}")
