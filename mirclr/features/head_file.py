"""Task heads on disk: `head.safetensors` (weights) and `head.json` (plan, vocabulary, digest); no code in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save

from mirclr import __version__
from mirclr.errors import CheckpointError
from mirclr.features.encoder_file import digest_of, read_tensors
from mirclr.files import write_atomic
from mirclr.models.task_head import TaskHead

FORMAT = 1
WEIGHTS, PLAN = "head.safetensors", "head.json"


@dataclass(frozen=True)
class SavedHead:
    """A head in eval mode, the K labels (or names of quantities) of its outputs, and the fingerprint of the encoder it
    was trained on."""

    head: TaskHead
    vocabulary: tuple[str, ...]
    encoder: str


def save_head(folder: Path, head: TaskHead, vocabulary: Sequence[str], encoder: str) -> None:
    """Write `head` to `folder`; `encoder` is the fingerprint of the encoder whose embeddings it reads.

    The plan is written last: a folder without it is no head yet, and its digest ties the two files together.
    Raises ValueError unless there is one name in `vocabulary` for every output.
    """
    if len(vocabulary) != head.outputs:
        raise ValueError(f"{len(vocabulary)} labels for a head of {head.outputs} outputs")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().cpu().contiguous() for name, t in head.state_dict().items()}
    about = {"format": FORMAT, "mirclr": __version__, "plan": head.plan, "vocabulary": list(vocabulary),
             "encoder": encoder, "digest": digest_of(tensors)}  # fmt: skip
    write_atomic(folder / WEIGHTS, save(tensors))
    write_atomic(folder / PLAN, json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def load_head(path: str | Path, encoder: str | None = None) -> SavedHead:
    """A head from a run folder or its `head/` folder; with `encoder`, a fingerprint, only the head of that encoder.

    Raises CheckpointError, naming the file and what to do, when it is missing, damaged, of another format, or was
    trained on another encoder.
    """
    place = Path(path)
    folder = next((f for f in (place / "head", place) if (f / PLAN).is_file()), None)
    if folder is None:
        raise CheckpointError(f"{place}: no head here (no head/{PLAN}); give the folder that `finetune -o` wrote")
    about = _about(folder / PLAN)
    tensors, _ = read_tensors(folder / WEIGHTS)
    if digest_of(tensors) != about["digest"]:
        raise CheckpointError(f"{folder / WEIGHTS}: its bytes are not those {PLAN} describes; restore or train again")
    if encoder is not None and encoder != about["encoder"]:
        raise CheckpointError(f"{folder}: reads the embeddings of another encoder; use the encoder/ saved beside it")
    try:
        head = TaskHead(**about["plan"])
        head.load_state_dict(tensors)
    except (ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{folder / WEIGHTS}: does not fit the head it describes: {error}") from error
    return SavedHead(head.eval(), tuple(about["vocabulary"]), about["encoder"])


def _about(path: Path) -> dict[str, Any]:
    """The description beside the weights, checked for its format."""
    try:
        about = json.loads(path.read_bytes())
        if about["format"] != FORMAT:
            raise CheckpointError(
                f"{path}: head format {about['format']}, this mirclr reads {FORMAT}; install the version that wrote "
                f"it ({about.get('mirclr')}) or train again"
            )
        known = {"plan": dict(about["plan"]), "vocabulary": list(about["vocabulary"])}
        return {**known, "digest": str(about["digest"]), "encoder": str(about["encoder"])}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not a head's description ({error!r}); restore or train again") from error
