"""`mirclr export`: an encoder for programs that have neither torch nor mirclr."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirclr.cli import face

if TYPE_CHECKING:
    from mirclr.features.onnx_file import OnnxFile


@click.command()
@click.argument("encoder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="encoder.onnx.")
@click.option("--samples", is_flag=True, help="From samples to embedding. Default: from log-mel frames.")
@click.option("--opset", type=int, default=17, show_default=True, help="Version of the ONNX operators, 14 to 20.")
@face.json_option
@face.command
def export(encoder: Path, output: Path, samples: bool, opset: int, as_json: bool) -> None:
    """Write the encoder of RUN (a run folder, its encoder/ or a checkpoint) as ONNX.

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
