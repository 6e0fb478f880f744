"""Task heads on disk: `head.safetensors` (weights) and `head.json` (plan, vocabulary, digest); no code in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirclr.errors import CheckpointError
from mirclr.features.calibration import Calibration
from mirclr.features.described import Kind
from mirclr.models.task_head import TaskHead

# What answers are as a tag, where the head does not say it.
DEFAULT_FIELDS = {"multiclass": "genre", "multilabel": "tag", "regression": "mood"}
HEAD = Kind("head", "a head", "finetune", "train", 1, {"plan": dict, "vocabulary": list, "digest": str, "encoder": str})
WEIGHTS, PLAN = HEAD.weights, HEAD.plan


@dataclass(frozen=True)
class SavedHead:
    """A head in eval mode, the K labels (or names of quantities) of its outputs, and the fingerprint of the encoder it
    was trained on. `field`: what its answers are as a tag (genre, mood); `calibration`: what they are worth, None for a
    head of which that was not measured."""

    head: TaskHead
    vocabulary: tuple[str, ...]
    encoder: str
    field: str
    calibration: Calibration | None = None


def save_head(
    folder: Path,
    head: TaskHead,
    vocabulary: Sequence[str],
    encoder: str,
    *,
    field: str | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Write `head` to `folder`; `encoder` is the fingerprint of the encoder whose embeddings it reads.

    Raises ValueError unless there is one name in `vocabulary` for every output.
    """
    if len(vocabulary) != head.outputs:
        raise ValueError(f"{len(vocabulary)} labels for a head of {head.outputs} outputs")
    about: dict[str, Any] = {"plan": head.plan, "vocabulary": list(vocabulary), "encoder": encoder}
    about |= {
        "field": field or DEFAULT_FIELDS[head.task],
        "calibration": calibration.to_json() if calibration else None,
    }
    HEAD.write(folder, head.state_dict(), about)


def load_head(path: str | Path, encoder: str | None = None) -> SavedHead:
    """A head from a run folder or its `head/` folder; with `encoder`, a fingerprint, only the head of that encoder.

    Raises CheckpointError, naming the file and what to do, when it is missing, damaged, of another format, or was
    trained on another encoder.
    """
    about, tensors, file = HEAD.read(Path(path))
    if encoder is not None and encoder != about["encoder"]:
        raise CheckpointError(
            f"{file.parent}: reads the embeddings of another encoder; use the encoder/ saved beside it"
        )
    try:
        head = TaskHead(**about["plan"])
        head.load_state_dict(tensors)
        # Heads written before answers were calibrated say nothing of it.
        told = about.get("calibration")
        calibration = None if told is None else Calibration.from_json(told, head.outputs)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"{file}: does not fit the head it describes: {error}") from error
    vocabulary = tuple(str(name) for name in about["vocabulary"])
    if len(vocabulary) != head.outputs:
        raise CheckpointError(f"{file}: {len(vocabulary)} labels for a head of {head.outputs} outputs; train again")
    field = str(about.get("field") or DEFAULT_FIELDS[head.task])
    return SavedHead(head.eval(), vocabulary, about["encoder"], field, calibration)
