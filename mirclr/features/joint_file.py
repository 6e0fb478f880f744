"""Joint spaces on disk: `joint.safetensors` (weights) and `joint.json` (plan, the audio encoder, digest); no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mirclr.errors import CheckpointError, UsageError
from mirclr.features.described import Kind
from mirclr.features.extractor import Extractor
from mirclr.models.joint import TEXT, JointSpace
from mirclr.models.text import words_of

PARTS = {"plan": dict, "encoder": dict, "story": dict, "digest": str}
JOINT = Kind("joint", "a joint space", "align", "align", 1, PARTS)
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
    """Write `space`, which hears by `encoder`, to `folder`; `story` is JSON for people."""
    JOINT.write(folder, space.state_dict(), {"plan": space.plan, "encoder": vars(encoder), "story": dict(story)})


def load_joint(path: str | Path) -> SavedJoint:
    """A joint space from the folder that `mirclr align -o` wrote, or its `joint/` folder.

    Raises CheckpointError, naming the file and what to do, when it is missing, damaged, of another format, or does not
    fit the plan beside it.
    """
    about, tensors, file = JOINT.read(Path(path))
    try:
        space = JointSpace(about["plan"])
        space.load_state_dict(tensors)
        encoder = Bound(**about["encoder"])
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{file}: does not fit the space it describes: {error}") from error
    return SavedJoint(space, encoder, about["story"], file.parent)
