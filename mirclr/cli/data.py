"""`mirclr data`: look at folders (`scan`) and at labelled collections (all the rest)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import check, list_
from mirclr.cli.curation import clean, show, split, stats
from mirclr.units import time_text

if TYPE_CHECKING:
    import pandas as pd

    from mirclr.audio.scan import ScanResult

_SHOWN = ("path", "container", "codec", "sample_rate", "channels", "duration", "artist", "title", "flags")


@click.group()
def data() -> None:
    """Look at folders and labelled collections."""


for _command in (list_, show, check, stats, split, clean):
    data.add_command(_command)


@data.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the whole track table here as CSV.")
@click.option(
    "--clip-seconds",
    type=click.FloatRange(min=0),
    default=4.0,
    show_default=True,
    help="Tracks shorter than this are flagged short.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Decoding processes. Default: all cores.")
@face.json_option
@face.command
def scan(
    folders: tuple[Path, ...], output: Path | None, clip_seconds: float, workers: int | None, as_json: bool
) -> int:
    """List the music under FOLDER, by content, and say why each bad file was left out (exit code 3)."""
    from mirclr.audio.scan import scan as scan_folders

    if output is not None:
        _refuse_no_folder(output)
    found = face.show_work(scan_folders(list(folders), clip_seconds=clip_seconds, workers=workers))
    if output is not None:
        _write(found.tracks, output)
    rows, bad = _records(found.tracks), _records(found.quarantine)
    if as_json:
        face.show_json({"tracks": rows, "quarantine": bad, "ignored": found.ignored})
    else:
        face.show_table(({**row, "duration": f"{row['duration']:.2f}"} for row in rows), _SHOWN)
    for line in _summary(found):
        face.say(line)
    return face.list_quarantine(bad)


def _refuse_no_folder(output: Path) -> None:
    """Before the work, not after it."""
    from mirclr.errors import UsageError

    if not output.absolute().parent.is_dir():
        raise UsageError(f"-o {output}: the folder {output.absolute().parent} does not exist")


def _write(tracks: pd.DataFrame, output: Path) -> None:
    from mirclr.errors import UsageError
    from mirclr.files import write_atomic

    try:
        write_atomic(output, tracks.to_csv(index=False))
    except OSError as error:
        raise UsageError(f"-o {output}: {error.strerror or error}") from error


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with None for what is missing, and plain Python numbers."""
    plain = table.astype(object)
    return [{str(k): v for k, v in row.items()} for row in plain.where(plain.notna(), None).to_dict("records")]


def _summary(found: ScanResult) -> list[str]:
    """What a person wants to know first."""
    tracks = found.tracks
    formats = Counter(tracks["container"])
    flags = Counter(flag for text in tracks["flags"] for flag in text.split(",") if flag)
    lines = [
        f"{len(tracks)} tracks, {time_text(tracks['duration'].sum())} of music",
        f"formats: {_counts(formats)}",
        f"flagged: {_counts(flags)}",
    ]
    other = [f"{found.ignored} other files (no audio by content or by name) were passed over"] if found.ignored else []
    return [line for line in [*lines, *other] if not line.endswith(": ")]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())
