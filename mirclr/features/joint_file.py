"""Joint spaces on disk: `joint.safetensors` (weights) and `joint.json` (plan, the audio encoder, digest); no code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch.nn import functional

from mirclr import __version__
from mirclr.errors import CheckpointError, UsageError
from mirclr.features.encoder_file import digest_of, read_tensors
from mirclr.features.extractor import Extractor
from mirclr.files import write_atomic
from mirclr.models.joint import TEXT, JointSpace
from mirclr.models.text import words_of

FORMAT = 1
WEIGHTS, PLAN = "joint.safetensors", "joint.json"
BLOCK = 4096  # tracks projected at a time


@dataclass(frozen=True)
class Bound:
    """The encoder whose vectors are the modality "audio": `fingerprint` and `dim` decide, `name` is for people."""

    name: str
    fingerprint: str
    dim: int

    @classmethod
    def of(cls, extractor: Extractor) -> Bound:
        """The binding to an encoder."""
        return cls(extractor.name, extractor.fingerprint, extractor.dim)

    def __str__(self) -> str:
        return f"{self.name!r} ({self.fingerprint[:12]}, {self.dim} values)"


class SavedJoint:
    """A joint space in eval mode, the encoder it hears by (`encoder`), and its story (JSON for people).

    Projections are `(N, dim)` float32 rows of length one, so that a dot product is a cosine.
    """

    def __init__(self, space: JointSpace, encoder: Bound, story: Mapping[str, Any], place: Path) -> None:
        self.space, self.encoder, self.story, self.place = space.eval(), encoder, dict(story), place

    @torch.inference_mode()
    def vectors(self, vectors: np.ndarray, modality: str = "audio") -> np.ndarray:
        """Project `(N, inputs)` vectors of a modality; of "audio", track vectors of the encoder it is bound to."""
        parts = torch.from_numpy(np.ascontiguousarray(vectors, np.float32)).split(BLOCK)
        rows = [functional.normalize(self.space.one(modality, part)) for part in parts]
        return torch.cat(rows).numpy()

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Project N texts. Raises UsageError when the space knows no text, or a text has no word."""
        hashed = self._hashed()
        for text in texts:
            if not words_of(text):
                raise UsageError(f"{text!r}: no word to search for; write letters or digits")
        return functional.normalize(self.space.one(TEXT, hashed.bags(texts))).numpy()

    def unseen(self, text: str) -> list[str]:
        """The words of `text` that were in no text it learned from."""
        return self._hashed().unseen(text)

    def _hashed(self) -> Any:
        if self.space.text is None:
            known = ", ".join(self.space.names)
            raise UsageError(f"{self.place}: aligns {known} and no text; align again with tagged files or --texts")
        return self.space.text


def save_joint(folder: Path, space: JointSpace, encoder: Bound, story: Mapping[str, Any]) -> None:
    """Write `space`, which hears by `encoder`, to `folder`; `story` is JSON for people.

    The plan is written last: a folder without it is no joint space yet, and its digest ties the two files together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in space.state_dict().items()}
    about = {"format": FORMAT, "mirclr": __version__, "plan": space.plan, "encoder": vars(encoder),
             "story": dict(story), "digest": digest_of(tensors)}  # fmt: skip
    write_atomic(folder / WEIGHTS, save(tensors))
    write_atomic(folder / PLAN, json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def load_joint(path: str | Path) -> SavedJoint:
    """A joint space from the folder that `mirclr align -o` wrote, or its `joint/` folder.

    Raises CheckpointError, naming the file and what to do, when it is missing, damaged, of another format, or does not
    fit the plan beside it.
    """
    place = Path(path)
    folder = next((f for f in (place / "joint", place) if (f / PLAN).is_file()), None)
    if folder is None:
        raise CheckpointError(f"{place}: no joint space here (no joint/{PLAN}); give the folder that `align -o` wrote")
    about = _about(folder / PLAN)
    tensors, _ = read_tensors(folder / WEIGHTS)
    if digest_of(tensors) != about["digest"]:
        raise CheckpointError(f"{folder / WEIGHTS}: its bytes are not those {PLAN} describes; restore or align again")
    try:
        space = JointSpace(about["plan"])
        space.load_state_dict(tensors)
        encoder = Bound(**about["encoder"])
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{folder / WEIGHTS}: does not fit the space it describes: {error}") from error
    return SavedJoint(space, encoder, about["story"], folder)


def _about(path: Path) -> dict[str, Any]:
    """The description beside the weights, checked for its format."""
    try:
        about = json.loads(path.read_bytes())
        if about["format"] != FORMAT:
            raise CheckpointError(
                f"{path}: joint format {about['format']}, this mirclr reads {FORMAT}; install the version that wrote "
                f"it ({about.get('mirclr')}) or align again"
            )
        known = {name: dict(about[name]) for name in ("plan", "encoder", "story")}
        return {**known, "digest": str(about["digest"])}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not a joint space's description ({error!r}); restore or align again") from error
