"""Answers of protocols on disk, so that an evaluation that was interrupted, or is asked for more, repeats nothing.

A protocol that trains 216 networks takes minutes for every split of every row. What it answered is kept in one .npz a
split, never a pickle, under a digest of all it depends on: the protocol, its settings, vectors, targets, split.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from mirclr.evaluation.crossfit import Parts, Problem
from mirclr.evaluation.material import Material
from mirclr.evaluation.protocols import Answers, Protocol, Where
from mirclr.files import write_atomic

FORMAT = 1  # raise it whenever a protocol answers otherwise than before


class AnswerMemory:
    """Answers kept in `folder`, made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(
        self, name: str, protocol: Protocol, problem: Problem, split: Parts, material: Material, where: Where
    ) -> Answers:
        """What the protocol called `name` answers; it is run only where that is not known. Raises what it raises."""
        place = self.folder / f"{_key(name, protocol, problem, split, material, where)}.npz"
        if (known := _read(place, len(split.test))) is not None:
            return known
        answers = protocol.run(problem, split, material, where)
        place.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, scores=answers.scores, chosen=np.array(json.dumps(dict(answers.chosen))))
        write_atomic(place, buffer.getvalue())
        return answers


def _read(place: Path, tested: int) -> Answers | None:
    """Kept answers; None where there are none, or the file is damaged (it is then replaced)."""
    try:
        with np.load(place, allow_pickle=False) as arrays:
            scores, chosen = arrays["scores"], json.loads(str(arrays["chosen"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Answers(scores, chosen) if len(scores) == tested else None


def _key(name: str, protocol: Protocol, problem: Problem, split: Parts, material: Material, where: Where) -> str:
    settings = f"{FORMAT} {name} {protocol.settings} {problem.task} {problem.classes} {where.seed}"
    digest = hashlib.blake2b(settings.encode(), digest_size=16)
    tables = [problem.targets, problem.groups, split.train, split.valid, split.test, material.vectors]
    if protocol.clips:
        tables += [part for segments in material.segments for part in segments]
    for table in tables:
        digest.update(f"{table.dtype} {table.shape}".encode())
        digest.update(np.ascontiguousarray(table).data)
    return digest.hexdigest()
