"""Exported encoders on disk: `encoder.safetensors` (weights) and `encoder.json` (plan, story, digest); no code in them.

A training checkpoint holds the same under the prefix `ema.`; both are read here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mirclr import __version__
from mirclr.errors import CheckpointError
from mirclr.features.encoder import EncoderExtractor
from mirclr.files import write_atomic
from mirclr.models.embedder import Embedder

FORMAT = 1
WEIGHTS, PLAN = "encoder.safetensors", "encoder.json"


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and bytes: safetensors itself does not notice a flipped bit."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_encoder(folder: Path, embedder: Embedder, story: Mapping[str, Any]) -> None:
    """Write `embedder` to `folder`; `story` is JSON for people and reports (name, steps, tracks, notes).

    The plan is written last: a folder without it is no encoder yet, and its digest ties the two files together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in embedder.state_dict().items()}
    about = {"format": FORMAT, "mirclr": __version__, "plan": embedder.plan, "story": dict(story)}
    write_atomic(folder / WEIGHTS, save(tensors))
    write_atomic(folder / PLAN, json.dumps({**about, "digest": digest_of(tensors)}, indent=2) + "\n")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises CheckpointError when it is missing or not one."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file ({error}); restore or train again") from error


def load_encoder(path: str | Path, device: str = "auto") -> EncoderExtractor:
    """An encoder from a run folder, its `encoder/` folder, or a checkpoint file.

    Raises CheckpointError, naming the file and what to do, when it is missing, damaged, of another format, or does not
    fit the model it describes; nothing is ever loaded in part.
    """
    place = Path(path)
    if place.is_file():
        return _from_checkpoint(place, device)
    folder = next((f for f in (place / "encoder", place) if (f / PLAN).is_file()), None)
    if folder is None:
        raise CheckpointError(f"{place}: no encoder here (no encoder/{PLAN}); give the folder that `pretrain -o` wrote")
    about = _about((folder / PLAN).read_bytes(), folder / PLAN)
    tensors, _ = read_tensors(folder / WEIGHTS)
    if digest_of(tensors) != about.get("digest"):
        raise CheckpointError(f"{folder / WEIGHTS}: its bytes are not those {PLAN} describes; restore or export again")
    return _extractor(about, tensors, folder / WEIGHTS, device)


def _from_checkpoint(path: Path, device: str) -> EncoderExtractor:
    """The averaged weights inside a training checkpoint."""
    tensors, metadata = read_tensors(path)
    if metadata.get("digest") != digest_of(tensors):
        raise CheckpointError(f"{path}: its bytes are not those that were saved; use another checkpoint")
    about = _about(metadata.get("encoder", "").encode(), path)
    return _extractor(about, {n[4:]: t for n, t in tensors.items() if n.startswith("ema.")}, path, device)


def _about(text: bytes, path: Path) -> dict[str, Any]:
    """The description beside the weights, checked for its format."""
    try:
        about = json.loads(text)
        if about["format"] != FORMAT:
            raise CheckpointError(
                f"{path}: encoder format {about['format']}, this mirclr reads {FORMAT}; install the version that wrote "
                f"it ({about.get('mirclr')}) or export again"
            )
        return {**about, "plan": dict(about["plan"]), "story": dict(about["story"])}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not an encoder's description ({error!r}); restore or export again") from error


def _extractor(about: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path, device: str) -> EncoderExtractor:
    try:
        embedder = Embedder(about["plan"])
        embedder.load_state_dict(dict(tensors))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: does not fit the model it describes: {error}") from error
    story = about["story"]
    return EncoderExtractor(
        embedder, name=str(story.get("name", path.parent.name)), device=device, notes=tuple(story.get("notes", ()))
    )
