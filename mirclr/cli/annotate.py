"""`mirclr annotate`: beats, onsets, notes and sections of music, as tables, JAMS or MIDI."""

from __future__ import annotations

from pathlib import Path

import click

from mirclr.cli import face


@click.command()
@click.argument("music", metavar="FOLDER|FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "runs", multiple=True, type=click.Path(path_type=Path), help="A run of finetune for frames.")
@click.option("--sections", type=click.Path(path_type=Path), help="An encoder whose features tell sections apart.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for what is written.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    default=("csv",),
    show_default=True,
    type=click.Choice(["csv", "jams", "midi"]),
    help="NAME.KIND.csv, NAME.jams with all kinds, NAME.mid with the notes. Repeatable.",
)
@face.json_option
@face.command
def annotate(
    *,
    music: tuple[Path, ...],
    runs: tuple[Path, ...],
    sections: Path | None,
    output: Path,
    formats: tuple[str, ...],
    as_json: bool,
) -> int:
    """Write NAME.beats.csv, .onsets.csv, .notes.csv or .sections.csv for every track, in seconds; or JAMS, or MIDI.

    Each --run is a folder of `mirclr finetune --task beats`, `onsets` or `notes`. Exit codes: 0 done, 1 error, 2 usage,
    3 done but files were left out (listed).
    """
    import pandas as pd

    from mirclr.audio.scan import scan
    from mirclr.errors import UsageError
    from mirclr.features.annotate import annotate as write
    from mirclr.features.annotate import load_annotators

    if not runs and sections is None:
        raise UsageError("nothing to write: give a --run of `mirclr finetune --task beats`, or --sections ENCODER")
    annotators = load_annotators(runs, sections)
    found = face.show_work(scan(list(music)))
    done = face.show_work(write([str(path) for path in found.tracks["path"]], annotators, output, formats))
    rows = done.written.to_dict("records")
    if as_json:
        face.show_json(rows)
    else:
        face.show_table(({str(k): v for k, v in row.items()} for row in rows), list(done.written.columns))
    return face.list_quarantine(pd.concat([found.quarantine, done.quarantine]).to_dict("records"))
