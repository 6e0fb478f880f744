"""`mirclr embed`: one vector per track, as arrays or a table."""

from __future__ import annotations

from pathlib import Path

import click

from mirclr.cli import face


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--encoder", required=True, type=click.Path(path_type=Path), help="A run folder, or its encoder folder.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="vectors.npz, .csv or .parquet.")
@click.option("--workers", type=click.IntRange(min=1), help="Decoding threads. Default: all cores.")
@face.json_option
@face.command
def embed(folders: tuple[Path, ...], encoder: Path, output: Path, workers: int | None, as_json: bool) -> int:
    """Write arrays `path` (N,) and `vector` (N, D) float32; .csv and .parquet have columns path, v0, v1, ..."""
    import pandas as pd

    from mirclr.audio.scan import scan
    from mirclr.features.embed import embed_tracks
    from mirclr.features.encoder_file import load_encoder
    from mirclr.features.vector_file import check_suffix, write_vectors

    check_suffix(output)
    extractor = load_encoder(encoder)
    found = face.show_work(scan(list(folders)))
    done = face.show_work(embed_tracks(extractor, found.tracks, workers))
    write_vectors(output, list(done.tracks["path"]), done.vectors)
    result = {"output": str(output), "tracks": len(done.vectors), "dim": extractor.dim}
    face.show_json(result) if as_json else face.show_table([result], list(result))
    return face.list_quarantine(pd.concat([found.quarantine, done.quarantine]).to_dict("records"))
