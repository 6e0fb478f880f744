"""`mirclr export`: what mirclr made, as other programs take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.errors import UsageError
from mirclr.units import printable

if TYPE_CHECKING:
    from mirclr.features.onnx_file import OnnxFile


@click.group()
def export() -> None:
    """Encoders, tags and playlists for other programs."""


@export.command()
@click.argument("encoder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="encoder.onnx.")
@click.option("--samples", is_flag=True, help="From samples to embedding. Default: from log-mel frames.")
@click.option("--opset", type=int, default=17, show_default=True, help="Version of the ONNX operators, 14 to 20.")
@face.json_option
@face.command
def onnx(encoder: Path, output: Path, samples: bool, opset: int, as_json: bool) -> None:
    """Write the encoder of RUN (a run folder, its encoder/ or a checkpoint) as ONNX, for programs without torch.

    Its input is `frames` (batch, bands, frames), or `samples` (batch, samples); its output `embedding` (batch, D).
    Sample rate, clip length, the frontend's options and the fingerprint are in the file's metadata.
    """
    from mirclr.features.encoder_file import load_encoder
    from mirclr.features.onnx_file import export_onnx

    written = export_onnx(load_encoder(encoder, "cpu"), output, samples=samples, opset=opset)
    result = {"output": str(output), **asdict(written)}
    face.show_json(result) if as_json else face.show_table([result], list(result))
    face.say(_compared(written))


def _compared(written: OnnxFile) -> str:
    from mirclr.features.onnx_file import INSTALL, TOLERANCE

    if written.error is None:
        return f"not compared with torch: onnxruntime is not installed ({INSTALL})"
    return f"compared with torch by onnxruntime: equal to {written.error:.0e} (allowed: {TOLERANCE:.0e})"


@export.command()
@click.argument("tags", metavar="TAGS.json", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The script, e.g. to-beets.sh.")
@face.json_option
@face.command
def beets(tags: Path, output: Path, as_json: bool) -> int:
    """Write what `mirclr tag -o TAGS.json` said as a script that gives beets' tracks attributes (mirclr_genre=...).

    Exit code 3: some paths cannot be named to beets (listed).
    """
    from mirclr.files import check_folder, write_atomic
    from mirclr.library.beets_script import beets_script
    from mirclr.library.tag_table import read_tags_file

    rows = read_tags_file(tags)
    script = beets_script(rows)
    check_folder(output)
    write_atomic(output, script.text)
    tracks = len({row["path"] for row in rows})
    result = {"output": str(output), "tracks": tracks, "commands": len(script.commands)}
    face.show_json(result) if as_json else face.show_table([result], list(result))
    face.say(f"run it with: sh {printable(output)}")
    return face.list_quarantine(script.quarantine)


def _for_player(name: str, where: str) -> Callable[..., Any]:
    """The command of a player that reads a folder of playlists."""

    @click.argument("playlists", metavar="[PLAYLIST...]", nargs=-1, type=click.Path(path_type=Path))
    @click.option("--music", required=True, type=click.Path(path_type=Path), help="The player's music folder.")
    @click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help=where)
    @click.option("--tags", type=click.Path(path_type=Path), help="TAGS.json: a playlist for every tag in it, too.")
    @face.json_option
    @face.command
    def command(playlists: tuple[Path, ...], music: Path, output: Path, tags: Path | None, as_json: bool) -> int:
        from mirclr.library.players import hand_over, lists_of_tags, read_lists
        from mirclr.library.tag_table import read_tags_file

        if not playlists and tags is None:
            raise UsageError("nothing to hand over: name a PLAYLIST, or --tags TAGS.json")
        lists, lost = read_lists(playlists)
        tagged = lists_of_tags(read_tags_file(tags)) if tags else {}
        if twice := sorted(lists.keys() & tagged.keys()):
            raise UsageError(f"{twice[0]}: the name of a playlist and of a tag; rename the playlist")
        done = hand_over(name, {**lists, **tagged}, music, output)
        rows = [{"playlist": str(place), "tracks": count} for place, count in done.files.items()]
        face.show_json(rows) if as_json else face.show_table(rows, ["playlist", "tracks"])
        return face.list_quarantine([*lost, *done.quarantine])

    command.__doc__ = (
        f"Write playlists (of `mirclr playlist`, or any M3U) into a folder as {name} reads them.\n\n"
        "Exit code 3: some tracks are out of the player's sight (listed)."
    )
    return command


for _name, _where in {
    "mpd": "MPD's playlist_directory.",
    "navidrome": "A folder inside the music folder that Navidrome scans for playlists.",
    "jellyfin": "A folder inside the music library.",
}.items():
    export.command(_name)(_for_player(_name, _where))


@export.command()
@click.argument("playlist", metavar="PLAYLIST", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="list.jspf.")
@click.option("--title", help="What it is called there. Default: the playlist's name.")
@click.option("--public", is_flag=True, help="Everybody may see it there. Default: only you.")
@face.json_option
@face.command
def listenbrainz(playlist: Path, output: Path, title: str | None, public: bool, as_json: bool) -> int:
    """Write a playlist as JSPF that ListenBrainz imports; nothing is sent.

    Tracks need a MusicBrainz recording in their tags. Exit code 3: some have none (listed).
    """
    from mirclr.files import write_atomic
    from mirclr.library.listenbrainz import listenbrainz_text
    from mirclr.library.players import read_lists
    from mirclr.library.playlist_file import check_target

    if output.suffix.lower() != ".jspf":
        raise UsageError(f"{output}: write to a name that ends in .jspf")
    check_target(output)
    lists, lost = read_lists([playlist])
    listed = lists[playlist.stem]
    text, bad = listenbrainz_text(title or playlist.stem, listed, public)
    write_atomic(output, text)
    result = {"output": str(output), "tracks": len(listed) - len(bad)}
    face.show_json(result) if as_json else face.show_table([result], list(result))
    return face.list_quarantine([*lost, *bad])
