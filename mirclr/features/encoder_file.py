"""Exported encoders on disk: `encoder.safetensors` (weights) and `encoder.json` (plan, story, digest); no code in them.

A training checkpoint holds the same under the prefix `ema.`; both are read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mirclr.errors import CheckpointError
from mirclr.features.described import Kind, digest_of, read_tensors
from mirclr.features.encoder import EncoderExtractor
from mirclr.models.embedder import Embedder

ENCODER = Kind("encoder", "an encoder", "pretrain", "export", 1, {"plan": dict, "story": dict})
WEIGHTS, PLAN = ENCODER.weights, ENCODER.plan


def save_encoder(folder: Path, embedder: Embedder, story: Mapping[str, Any]) -> None:
    """Write `embedder` to `folder`; `story` is JSON for people and reports (name, steps, tracks, notes)."""
    ENCODER.write(folder, embedder.state_dict(), {"plan": embedder.plan, "story": dict(story)})


def load_encoder(path: str | Path, device: str = "auto") -> EncoderExtractor:
    """An encoder from a run folder, its `encoder/` folder, or a checkpoint file.

    Raises CheckpointError, naming the file and what to do, when it is missing, damaged, of another format, or does not
    fit the model it describes; nothing is ever loaded in part.
    """
    place = Path(path)
    if place.is_file():
        return _from_checkpoint(place, device)
    return _extractor(*ENCODER.read(place), device)


def _from_checkpoint(path: Path, device: str) -> EncoderExtractor:
    """The averaged weights inside a training checkpoint."""
    tensors, metadata = read_tensors(path)
    if metadata.get("digest") != digest_of(tensors):
        raise CheckpointError(f"{path}: its bytes are not those that were saved; use another checkpoint")
    about = ENCODER.described(metadata.get("encoder", "").encode(), path)
    return _extractor(about, {n[4:]: t for n, t in tensors.items() if n.startswith("ema.")}, path, device)


def _as_written(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan from before an encoder's defaults were written out: its residual network was of size "small"."""
    encoder = plan["encoder"]
    return {**plan, "encoder": {"size": "small", **encoder} if encoder["name"] == "resnet" else encoder}


def _extractor(about: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path, device: str) -> EncoderExtractor:
    try:
        embedder = Embedder(_as_written(about["plan"]))
        embedder.load_state_dict(dict(tensors))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: does not fit the model it describes: {error}") from error
    story = about["story"]
    return EncoderExtractor(
        embedder, name=str(story.get("name", path.parent.name)), device=device, notes=tuple(story.get("notes", ()))
    )
