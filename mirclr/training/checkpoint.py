"""Checkpoints: one safetensors file with everything a restart needs; its header holds the configuration and counters.

Written to a temporary file, fsynced and renamed, so that SIGKILL at any moment leaves the last whole one. Loading runs
no code, verifies a digest of every byte, and changes nothing unless all of it fits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save
from torch import Tensor

from mirclr import __version__
from mirclr.config import PretrainConfig, merged
from mirclr.errors import CheckpointError
from mirclr.features.described import digest_of, read_tensors
from mirclr.features.encoder_file import ENCODER
from mirclr.files import write_atomic

FORMAT = 1
LAST, BEST = "last.safetensors", "best.safetensors"


class Planned(Protocol):
    """A model that plain data rebuilds."""

    @property
    def plan(self) -> dict[str, Any]:
        """That data."""


class Restorable(Protocol):
    """What a checkpoint asks of what learns, in pretraining, fine-tuning and aligning."""

    @property
    def ema(self) -> Planned:
        """The averaged model, whose plan the file states; an encoder's file can so be loaded as an encoder."""

    def tensors(self) -> dict[str, Tensor]:
        """Everything a restart needs, by name."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave; KeyError or RuntimeError, and nothing changed, unless all of it fits."""


def check_shapes(expected: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]) -> None:
    """Raises KeyError when `tensors` are not exactly those `expected`, by name and shape."""
    wrong = sorted(expected.keys() ^ tensors.keys())
    wrong += [n for n in expected.keys() & tensors.keys() if expected[n] != tensors[n].shape]
    if wrong:
        raise KeyError(f"{len(wrong)} tensors differ from the model: {', '.join(wrong[:3])}, ...")


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors named `prefix.` something, by the something."""
    return {name[len(prefix) + 1 :]: t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


@dataclass
class Position:
    """Where a run is. `epoch` and `batch`: the next batch of the sampler; `elapsed_s`: training time so far;
    `planned`: steps of the schedule; `best`: the best held-out score so far, at `best_step`."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    planned: int = 0
    best: float = -1.0
    best_step: int = 0
    last_report: int = 0


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself: configuration, position, the tracks it was trained on, the encoder's story."""

    config: dict[str, Any]
    collection: str
    position: Position
    story: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(path: Path, learner: Restorable, header: Header) -> None:
    """Write `learner` and `header` to `path`, atomically."""
    tensors = learner.tensors() | {"rng.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    about = {
        "format": ENCODER.format, "mirclr": __version__, "plan": learner.ema.plan, "story": header.story,
    }  # fmt: skip
    metadata = {
        "format": str(FORMAT),
        "mirclr": __version__,
        "config": json.dumps(header.config),
        "collection": header.collection,
        "position": json.dumps(asdict(header.position)),
        "encoder": json.dumps(about),
        "digest": digest_of(tensors),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save(tensors, metadata))


def load_checkpoint(path: Path, learner: Restorable, config: dict[str, Any], collection: str) -> Position:
    """Restore `learner` from `path` and return where it was.

    Raises CheckpointError, naming what differs and what to do, when the file is damaged, of another format, of another
    configuration or of another collection; then `learner` is as it was.
    """
    tensors, metadata = read_tensors(path)
    _check_format(path, metadata)
    rng = {name: tensors.pop(name) for name in list(tensors) if name.startswith("rng.")}
    if metadata["digest"] != digest_of(tensors | rng):
        raise CheckpointError(f"{path}: its bytes are not those that were saved; delete it and start again")
    _check_config(path, json.loads(metadata["config"]), config)
    if metadata["collection"] != collection:
        raise CheckpointError(
            f"{path}: was trained on other tracks than the folder holds now; restore the folder, or start a new run"
        )
    try:
        learner.restore(tensors)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path}: was written by other code: {error}; start a new run") from error
    torch.set_rng_state(rng["rng.torch"])
    if "rng.cuda" in rng and torch.cuda.is_available():
        torch.cuda.set_rng_state(rng["rng.cuda"])
    return Position(**json.loads(metadata["position"]))


def _check_format(path: Path, metadata: dict[str, str]) -> None:
    if metadata.get("format") != str(FORMAT) or "digest" not in metadata:
        raise CheckpointError(
            f"{path}: checkpoint format {metadata.get('format')!r}, this mirclr reads {FORMAT!r}; resume with the "
            f"version that wrote it ({metadata.get('mirclr', 'unknown')}) or start a new run"
        )


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        out |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


# What may change between a run and its continuation: where and how fast it computes, and how long.
_FREE = ("cache.", "budget.", "threads", "device", "tensorboard", "workers")


def _check_config(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """The same learning settings, or an error that lists those that differ."""
    # A run of an older version knows fewer keys; those it did not have are at their defaults.
    old, new = _flat(merged(PretrainConfig().model_dump(mode="json"), before)), _flat(now)
    differ = [k for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k) and not k.startswith(_FREE)]
    if differ:
        lines = "; ".join(f"{k} was {old.get(k)!r}, is {new.get(k)!r}" for k in differ)
        raise CheckpointError(f"{path}: cannot go on with other settings ({lines}); start a new run for those")
