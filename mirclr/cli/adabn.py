"""`mirclr adabn`: an encoder and a folder of other music to an encoder that fits it, without training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mirclr.cli import face
from mirclr.cli.settings import resolved
from mirclr.training.adabn_config import AdaBNConfig


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--encoder", required=True, type=click.Path(path_type=Path), help="A run folder, or its encoder folder.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--share", type=float, help="Weight of this folder's statistics, 0..1; 1 drops the old ones. Default 1.")
@click.option("--keep-input", is_flag=True, help="Leave the fitted normalisation of the input as it is.")
@click.option("--max-seconds", type=float, help="Hear at most so much of a track, as even excerpts. Default 120.")
@click.option("--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="YAML or JSON file.")
@click.option("--set", "sets", multiple=True, metavar="a.b=c", help="Change one setting; may be repeated.")
@face.json_option
@face.command
def adabn(
    folders: tuple[Path, ...],
    encoder: Path,
    output: Path,
    share: float | None,
    keep_input: bool,
    max_seconds: float | None,
    config: Path | None,
    sets: tuple[str, ...],
    as_json: bool,
) -> int:
    """Measure the statistics of an encoder's batch norm anew on FOLDER (AdaBN); no label, and no weight moves.

    Prints how far each layer had to move: `moved` in deviations of the source (mean over channels), `spread` as a
    ratio of deviations. Exit codes: 0 done, 1 error, 2 usage, 3 done but files were left out (listed).
    """
    from mirclr.training.adabn import adabn as work

    given: dict[str, Any] = {"encoder": encoder.absolute(), "share": share, "max_seconds": max_seconds}
    given |= {"normalisation": False} if keep_input else {}
    told = {name: value for name, value in given.items() if value is not None}
    done = face.show_work(work(folders, resolved(AdaBNConfig, config, sets, told), output))
    rows = [asdict(shift) for shift in done.shifts]
    for name in ("encoder", "head"):
        if getattr(done, name) is not None:
            face.say(f"{name}: {getattr(done, name)}")
    if as_json:
        face.show_json({"encoder": str(done.encoder), "head": done.head, "tracks": done.tracks, "layers": rows})
    else:
        rounded = [{**row, **{name: f"{row[name]:.3f}" for name in ("moved", "spread")}} for row in rows]
        face.show_table(rounded, list(rows[0]))
    return face.list_quarantine(done.quarantine.to_dict("records"))
