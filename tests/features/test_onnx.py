"""Encoders as ONNX: what the file computes, what it says of itself, and what is refused."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from mirclr.errors import CheckpointError, UsageError
from mirclr.features import onnx_file
from mirclr.features.encoder import EncoderExtractor, fingerprint_of
from mirclr.features.onnx_file import OPSETS, difference, export_onnx, trace
from mirclr.models.embedder import Embedder
from mirclr.models.table import FRONTENDS

RATE = 8000
SMALL: dict[str, Any] = {
    "sample_rate": RATE,
    "clip_seconds": 0.5,
    "frontend": {"name": "logmel", "n_fft": 256, "hop": 128, "n_mels": 16},
    "encoder": {"name": "resnet", "width": 4, "stages": 2},
}


def extractor(**parts: Any) -> EncoderExtractor:
    torch.manual_seed(3)
    embedder = Embedder({**SMALL, **parts})
    embedder.fit([embedder.frontend(0.1 * torch.randn(4, RATE))])
    return EncoderExtractor(embedder, name="mine", device="cpu")


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def sound(clips: int, length: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((clips, length))).astype(np.float32)


@pytest.mark.parametrize(("clips", "frames"), [(1, 31), (1, 1), (5, 100)])
def test_frames_of_any_count_and_length_give_torchs_embedding(tmp_path: Path, clips: int, frames: int) -> None:
    made = extractor()
    written = export_onnx(made, tmp_path / "e.onnx")
    log_mel = torch.randn(clips, 16, frames) * 3 - 5
    (got,) = session(tmp_path / "e.onnx").run(["embedding"], {"frames": log_mel.numpy()})
    expected = made.embedder.from_spectrogram(log_mel).detach().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
    assert written.inputs == "frames (batch, 16, frames)"
    assert (written.dim, written.bytes) == (made.dim, (tmp_path / "e.onnx").stat().st_size)
    assert written.error is not None
    assert written.error < 1e-5


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_every_frontend_is_written_from_the_samples_on(tmp_path: Path, frontend: str) -> None:
    """Also of a length that is no multiple of the hop, and of another number of clips than was traced."""
    options = {"logmel": SMALL["frontend"], "cqt": {"name": "cqt", "n_bins": 60}, "vqt": {"name": "vqt", "n_bins": 60}}
    encoder = {"name": "samplecnn", "width": 4} if FRONTENDS[frontend].domain == "wave" else SMALL["encoder"]
    made = extractor(frontend=options.get(frontend, {"name": frontend}), encoder=encoder)
    written = export_onnx(made, tmp_path / "e.onnx", samples=True)
    samples = sound(3, 7001)
    (got,) = session(tmp_path / "e.onnx").run(["embedding"], {"samples": samples})
    expected = made.embedder(torch.from_numpy(samples)).detach().numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
    assert written.inputs == "samples (batch, samples)"


@pytest.mark.parametrize("trainable", [False, True])
def test_nnaudios_kernels_are_written_as_they_are(tmp_path: Path, trainable: bool) -> None:
    made = extractor(frontend={**SMALL["frontend"], "backend": "nnaudio", "trainable": trainable})
    if trainable:  # a learned kernel, not the one that n_fft implies
        with torch.no_grad():
            for parameter in made.embedder.frontend.parameters():
                parameter.mul_(1 + 0.1 * torch.rand_like(parameter))
    written = export_onnx(made, tmp_path / "e.onnx", samples=True)
    assert written.error is not None
    assert written.error < 1e-5


@pytest.mark.parametrize("normalise", ["clip", "none"])
@pytest.mark.parametrize("opset", [OPSETS[0], OPSETS[-1]])
@pytest.mark.parametrize("encoder", ["crnn", "transformer"])
def test_every_opset_and_normalisation(tmp_path: Path, encoder: str, opset: int, normalise: str) -> None:
    made = extractor(encoder={"name": encoder, "width": 8}, normalise={"name": normalise})
    written = export_onnx(made, tmp_path / "e.onnx", opset=opset)
    assert written.error is not None
    assert written.error < 1e-5
    assert onnx.load(tmp_path / "e.onnx").opset_import[0].version == opset


def test_the_file_says_what_a_program_must_know_to_feed_it(tmp_path: Path) -> None:
    made = extractor()
    export_onnx(made, tmp_path / "e.onnx")
    told = session(tmp_path / "e.onnx").get_modelmeta().custom_metadata_map
    assert (told["name"], told["fingerprint"]) == ("mine", fingerprint_of(made.embedder))
    assert (told["sample_rate"], told["clip_seconds"], told["clip_frames"]) == ("8000", "0.5", "31")
    frontend = json.loads(told["frontend"])
    assert (frontend["name"], frontend["n_fft"], frontend["f_min"], frontend["floor"]) == ("logmel", 256, 30.0, 1e-6)
    assert json.loads(told["encoder"])["dropout"] == 0.0
    assert told["input"] == "the frontend's frames, not normalised"


def test_exporting_leaves_the_encoder_as_it_was(tmp_path: Path) -> None:
    made = extractor()
    made.embedder.train()
    before = fingerprint_of(made.embedder)
    export_onnx(made, tmp_path / "e.onnx", samples=True)
    assert made.embedder.training
    assert fingerprint_of(made.embedder) == before


@pytest.mark.parametrize(
    ("name", "options", "parts", "said"),
    [
        ("e.pt", {}, {}, r"e\.pt: write to a name that ends in \.onnx"),
        ("no/e.onnx", {}, {}, "no: no such folder; make it first"),
        ("e.onnx", {"opset": 13}, {}, r"opset must be in 14\.\.20, got 13"),
        ("e.onnx", {}, {"compression": {"name": "pcen"}}, "compression 'pcen' has no ONNX form"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, name: str, options: dict[str, Any], parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        export_onnx(extractor(**parts), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def _absent(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)


def test_without_onnx_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = extractor()
    _absent(monkeypatch, "onnx")
    with pytest.raises(UsageError, match=r"pip install 'mirclr\[onnx\]'"):
        export_onnx(made, tmp_path / "e.onnx")


def test_without_onnxruntime_it_is_written_and_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = extractor()
    _absent(monkeypatch, "onnxruntime")
    assert export_onnx(made, tmp_path / "e.onnx").error is None
    assert (tmp_path / "e.onnx").is_file()


class Fixed(nn.Module):
    """A graph that tracing gets wrong: it divides by the length of the example, whatever the input's."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.sum(dim=2) / int(frames.shape[2])


def test_a_number_of_the_example_written_down_as_a_constant_is_noticed() -> None:
    content = trace(Fixed().eval(), torch.ones(2, 3, 10), "frames", opset=17)
    assert difference(content, Fixed(), [torch.ones(2, 3, 10)]) == 0
    assert difference(content, Fixed(), [torch.ones(2, 3, 10), torch.ones(1, 3, 20)]) == pytest.approx(1.0)


class Cut(nn.Module):
    """Likewise, with a shape that fits no other length."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.reshape(-1, 3 * int(frames.shape[2]))


def test_a_graph_that_fails_for_another_length_is_refused() -> None:
    content = trace(Cut().eval(), torch.ones(2, 3, 10), "frames", opset=17)
    with pytest.raises(CheckpointError, match=r"ONNX cannot compute an input of \(1, 3, 11\)"):
        difference(content, Cut(), [torch.ones(1, 3, 11)])


def test_a_graph_that_does_not_agree_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "difference", lambda *given: 3e-3)
    with pytest.raises(CheckpointError, match=r"not written: ONNX and torch differ by 3\.0e-03, more than 1e-04"):
        export_onnx(extractor(), tmp_path / "e.onnx")
    assert list(tmp_path.iterdir()) == []
