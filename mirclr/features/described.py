"""Weights on disk beside what they are: `NAME.safetensors` and `NAME.json`, tied together by a digest; no code in them.

Encoders, task heads and joint spaces are all kept like this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mirclr import __version__
from mirclr.errors import CheckpointError
from mirclr.files import write_atomic


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and bytes: safetensors itself does not notice a flipped bit."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises CheckpointError when it is missing or not one."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file ({error}); restore or train again") from error


@dataclass(frozen=True)
class Kind:
    """What is kept: the `name` of its files and of its folder in a run, its `noun` with an article, the `command` that
    writes the run, what to do `again` when it is lost, its `format`, and the `parts` of its description with their
    types."""

    name: str
    noun: str
    command: str
    again: str
    format: int
    parts: Mapping[str, Callable[[Any], Any]]

    @property
    def weights(self) -> str:
        """The file of the tensors."""
        return f"{self.name}.safetensors"

    @property
    def plan(self) -> str:
        """The file of the description."""
        return f"{self.name}.json"

    def write(self, folder: Path, state: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        """Write the tensors of `state` and what they are to `folder`, made if missing.

        The description is written last: a folder without it holds nothing yet, and its digest ties the two together.
        """
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.detach().cpu().contiguous() for name, t in state.items()}
        told = {"format": self.format, "mirclr": __version__, **about, "digest": digest_of(tensors)}
        write_atomic(folder / self.weights, save(tensors))
        write_atomic(folder / self.plan, json.dumps(told, indent=2) + "\n")

    def read(self, place: Path) -> tuple[dict[str, Any], dict[str, Tensor], Path]:
        """The description, the tensors and their file, from a run's folder or the folder inside it.

        Raises CheckpointError, naming the file and what to do, when it is missing, damaged or of another format.
        """
        folder = next((f for f in (place / self.name, place) if (f / self.plan).is_file()), None)
        if folder is None:
            what = self.noun.partition(" ")[2]
            raise CheckpointError(
                f"{place}: no {what} here (no {self.name}/{self.plan}); give the folder that `{self.command} -o` wrote"
            )
        about, file = self.described((folder / self.plan).read_bytes(), folder / self.plan), folder / self.weights
        tensors, _ = read_tensors(file)
        if digest_of(tensors) != about.get("digest"):
            raise CheckpointError(
                f"{file}: its bytes are not those {self.plan} describes; restore or {self.again} again"
            )
        return about, tensors, file

    def described(self, text: bytes, path: Path) -> dict[str, Any]:
        """A description, checked for its format. Raises CheckpointError when it is none; `path` is where it stood."""
        try:
            about = json.loads(text)
            if about["format"] != self.format:
                raise CheckpointError(
                    f"{path}: {self.name} format {about['format']}, this mirclr reads {self.format}; install the "
                    f"version that wrote it ({about.get('mirclr')}) or {self.again} again"
                )
            return {**about, **{name: kind(about[name]) for name, kind in self.parts.items()}}
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{path}: not {self.noun}'s description ({error!r}); restore or {self.again} again"
            ) from error
