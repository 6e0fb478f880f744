"""`mirclr export onnx` as typed: what is written, what goes to stdout, what is said."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from mirclr.features.encoder_file import load_encoder, save_encoder
from mirclr.models.embedder import Embedder
from tests.support.tiny import TINY

PLAN = {
    "sample_rate": TINY["audio"]["sample_rate"],
    "clip_seconds": TINY["views"]["seconds"],
    "frontend": TINY["frontend"],
    "encoder": TINY["encoder"],
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with an untrained encoder in it."""
    torch.manual_seed(0)
    save_encoder(tmp_path / "run" / "encoder", Embedder(PLAN), {"name": "tiny"})
    return tmp_path / "run"


def export(*words: object) -> Result:
    return CliRunner().invoke(main, ["export", "onnx", *(str(word) for word in words)])


def test_a_run_becomes_a_file_that_another_program_reads(run: Path, tmp_path: Path) -> None:
    done = export(run, "-o", tmp_path / "encoder.onnx")
    assert done.exit_code == 0, done.stderr
    columns, row = (line.split("\t") for line in done.stdout.splitlines())
    told = dict(zip(columns, row, strict=True))
    assert (told["output"], told["inputs"]) == (str(tmp_path / "encoder.onnx"), "frames (batch, 16, frames)")
    assert "compared with torch by onnxruntime: equal to" in done.stderr
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"))
    assert session.get_modelmeta().custom_metadata_map["fingerprint"] == load_encoder(run).fingerprint


def test_json_is_the_only_thing_on_stdout_and_every_option_reaches_the_file(run: Path, tmp_path: Path) -> None:
    done = export(run / "encoder", "-o", tmp_path / "e.onnx", "--samples", "--opset", 18, "--json")
    told = json.loads(done.stdout)
    assert (told["inputs"], told["opset"]) == ("samples (batch, samples)", 18)
    assert told["dim"] == load_encoder(run).dim
    assert told["error"] < 1e-4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "encoder.pt"], 2, "encoder.pt: write to a name that ends in .onnx"),
        (["-o", "encoder.onnx", "--opset", "99"], 2, "opset must be in 14..20, got 99"),
    ],
)
def test_mistakes_are_usage(run: Path, words: list[str], code: int, said: str) -> None:
    done = export(run, *words)
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr


def test_a_folder_without_an_encoder_is_an_error_that_says_so(tmp_path: Path) -> None:
    done = export(tmp_path, "-o", tmp_path / "encoder.onnx")
    assert done.exit_code == 1
    assert "no encoder here" in done.stderr
