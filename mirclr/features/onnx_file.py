"""Encoders as ONNX: the embedder as a graph that other programs compute, without torch and without mirclr.

The graph is traced. The exporter built on torch.export cannot decompose a GRU over a length that varies (torch 2.13).
What tracing might get wrong, numbers of the example written down as constants, is looked for: the graph is computed
for other batches and other lengths than the one it was traced with, and must agree with torch.
"""

from __future__ import annotations

import copy
import importlib
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mirclr import __version__
from mirclr.errors import CheckpointError, UsageError
from mirclr.features.encoder import EncoderExtractor
from mirclr.files import write_atomic
from mirclr.models.compression import Log
from mirclr.models.embedder import Embedder
from mirclr.models.frontend_fourier import FilterBank, FourierFft, FourierKernels
from mirclr.tables import options_of

OPSETS = range(14, 21)
"""From the first that torch writes scaled dot-product attention in, to the last it traces to."""
TOLERANCE = 1e-4
INSTALL = "pip install 'mirclr[onnx]'"


@dataclass(frozen=True)
class OnnxFile:
    """What was written: `inputs`, e.g. `frames (batch, 64, frames)`; `dim`, the size of an embedding; `bytes`.

    `error`: the largest relative difference from torch, `||onnx - torch|| / ||torch||`; None when there was no
    onnxruntime to compute the graph with.
    """

    inputs: str
    dim: int
    opset: int
    bytes: int
    error: float | None


class FromFrames(nn.Module):
    """The frontend's frames `(B, F, N)`, not compressed and not normalised, to `(B, D)`."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, frames: Tensor) -> Tensor:
        return self.embedder.from_spectrogram(frames)


class FromSamples(nn.Module):
    """`(B, T)` samples to `(B, D)`, Fourier spectra by convolution, to rounding those of the FFT.

    T must exceed what a frame reads before or behind its place: ONNX mirrors the ends only once.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder, self.frontend = embedder, copy.deepcopy(embedder.frontend)
        for part in self.frontend.modules():
            if isinstance(part, FilterBank) and isinstance(part.power, FourierFft):
                part.power = FourierKernels(part.power.n_fft, part.power.hop, trainable=False)

    def forward(self, samples: Tensor) -> Tensor:
        # All clips at once: the frontend's own blocks would be written down for the batch of the example.
        beyond = (self.frontend.before, self.frontend.after)
        frames = self.frontend.transform(functional.pad(samples[:, None], beyond, mode="reflect")[:, 0])
        return self.embedder.from_spectrogram(frames[:, :, : self.frontend.frames(samples.shape[1])])


def export_onnx(extractor: EncoderExtractor, path: Path, *, samples: bool = False, opset: int = 17) -> OnnxFile:
    """Write the encoder to `path`; batch and length are free. See `OnnxFile`.

    The input is `frames`, `(batch, F, frames)` as the frontend makes them, by default log-mel, or with `samples` the
    sound itself, `samples`, `(batch, samples)` in -1..1 at the encoder's sample rate; the output is `embedding`,
    `(batch, D)`. The metadata of the file (`metadata_of`) say what a program must know to feed it.

    Raises UsageError when a package is missing, an option is out of range, or the compression has no ONNX form;
    CheckpointError when the graph does not agree with torch to a relative 1e-4, and then writes nothing.
    """
    _check(extractor.embedder, path, opset)
    embedder = copy.deepcopy(extractor.embedder).cpu().eval()
    examples = [_example(embedder, samples, *size) for size in _sizes(embedder, samples)]
    graph = FromSamples(embedder) if samples else FromFrames(embedder)
    traced = trace(graph.eval(), examples[0], "samples" if samples else "frames", opset)
    content = _with_metadata(traced, metadata_of(extractor, samples))
    error = difference(content, embedder if samples else graph, examples)
    if error is not None and not error <= TOLERANCE:
        raise CheckpointError(f"{path}: not written: ONNX and torch differ by {error:.1e}, more than {TOLERANCE:.0e}")
    write_atomic(path, content)
    rows = "samples (batch, samples)" if samples else f"frames (batch, {embedder.frontend.bands}, frames)"
    return OnnxFile(rows, embedder.dim, opset, len(content), error)


def metadata_of(extractor: EncoderExtractor, samples: bool) -> dict[str, str]:
    """What is written into the file, every value a text.

    `mirclr` (version), `name`, `fingerprint`, `input` (what to feed), `sample_rate` (Hz), `clip_seconds` (the length
    the encoder was trained on), `clip_frames` (the same in frames); and as JSON with all their options `frontend`,
    `compression`, `normalise` and `encoder`.
    """
    embedder, plan = extractor.embedder, extractor.embedder.plan
    told = {
        "mirclr": __version__,
        "name": extractor.name,
        "fingerprint": extractor.fingerprint,
        "input": "samples in -1..1, mono" if samples else "the frontend's frames, not normalised",
        "sample_rate": str(plan["sample_rate"]),
        "clip_seconds": str(plan["clip_seconds"]),
        "clip_frames": str(embedder.clip_frames),
    }
    parts = {"frontend": "frontend", "compression": "compress", "normalise": "normalise", "encoder": "encoder"}
    for key, name in parts.items():
        defaults = options_of(type(getattr(embedder, name)), ("sample_rate", "bands", "frame_rate", "least"))
        told[key] = json.dumps({**defaults, **plan.get(key, {})})
    return told


def _check(embedder: Embedder, path: Path, opset: int) -> None:
    """Everything that can be refused before the work begins."""
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"{path}: write to a name that ends in .onnx")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder; make it first")
    if opset not in OPSETS:
        raise UsageError(f"opset must be in {OPSETS[0]}..{OPSETS[-1]}, got {opset}")
    if not isinstance(embedder.compress, Log):
        name = embedder.plan["compression"]["name"]
        raise UsageError(f"compression {name!r} has no ONNX form: it filters along time, as many steps as there are")
    if _package("onnx") is None:
        raise UsageError(f"ONNX export needs a package: {INSTALL}")


def _package(name: str) -> Any:
    """A module of the extra `onnx`, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _sizes(embedder: Embedder, samples: bool) -> list[tuple[int, int]]:
    """(batch, length) of the examples: the first is traced, all of them are compared."""
    frontend, clip, least = embedder.frontend, embedder.clip_frames, embedder.encoder.min_frames
    if samples:
        clip, least = clip * frontend.hop, max(frontend.before, frontend.after) + least * frontend.hop
    longer = clip + clip // 2 + (3 * frontend.hop // 2 if samples else 3)  # no multiple of what a network counts in
    return [(2, max(clip, least)), (1, max(longer, least)), (3, least)]


def _example(embedder: Embedder, samples: bool, batch: int, length: int) -> Tensor:
    """Noise as loud as music: samples, or the frontend's frames of them."""
    count = length if samples else length * embedder.frontend.hop
    noise = 0.1 * torch.randn(batch, count, generator=torch.Generator().manual_seed(length))
    if samples:
        return noise
    with torch.no_grad():
        frames: Tensor = embedder.frontend(noise)[:, :, :length]
    return frames.contiguous()


def trace(graph: nn.Module, example: Tensor, name: str, opset: int) -> bytes:
    """`graph` as the bytes of an ONNX model from an input `name` to `embedding`; first and last dimension are free."""
    free = {name: {0: "batch", example.ndim - 1: name}, "embedding": {0: "batch"}}
    with tempfile.TemporaryDirectory(prefix="mirclr-onnx-") as folder, torch.no_grad(), warnings.catch_warnings():
        # Each says that tracing may not hold for other inputs, or that it is the older way. Both is known, see above.
        for chatter in (torch.jit.TracerWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", chatter)
        file = Path(folder) / "traced.onnx"
        torch.onnx.export(
            graph,
            (example,),
            file,
            input_names=[name],
            output_names=["embedding"],
            dynamic_axes=free,
            opset_version=opset,
            dynamo=False,
        )
        return file.read_bytes()


def _with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    onnx = _package("onnx")
    model = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written


def difference(content: bytes, module: nn.Module, examples: Sequence[Tensor]) -> float | None:
    """The largest `||onnx - torch|| / ||torch||` of an embedding of `examples`, or None without onnxruntime.

    Raises CheckpointError when the graph cannot be computed for one of them.
    """
    runtime = _package("onnxruntime")
    if runtime is None:
        return None
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    worst = 0.0
    for example in examples:
        with torch.no_grad():
            expected = module(example).numpy()
        got = _computed(session, example)
        if got.shape != expected.shape or not np.isfinite(got).all():
            return float("inf")
        size = np.maximum(np.linalg.norm(expected, axis=1), 1e-12)  # an embedding may be all zeros
        worst = max(worst, float((np.linalg.norm(got - expected, axis=1) / size).max()))
    return worst


def _computed(session: Any, example: Tensor) -> np.ndarray:
    try:
        (got,) = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    except Exception as error:  # onnxruntime's own classes have no common public base
        raise CheckpointError(f"ONNX cannot compute an input of {tuple(example.shape)}: {error}") from error
    return np.asarray(got)
