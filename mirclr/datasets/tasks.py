"""What a collection asks for, and which of the three things a head can learn that is.

`key` and `tempo` are learned like any label and any quantity, and judged by measures of their own. Keys are the 24 of
`KEYS`, whatever their spelling; tempi are learned as logarithms, base 2, of beats per minute: an error of so many per
cent is the same at any tempo, and half and double tempo are one step away.

Beats, onsets and notes are asked of every frame, not of a track: a table names a file of annotations for each
(mirclr.audio.annotations), and a head says of each of its outputs whether it is there, as for several labels.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from mirclr.audio.synth_theory import PITCHES

Task = Literal["multiclass", "multilabel", "regression", "key", "tempo", "onsets", "beats", "notes"]
FRAMEWISE: tuple[Task, ...] = ("onsets", "beats", "notes")
TEMPI = (20.0, 500.0)
"""Beats per minute that are believed; outside a number is a count of something else."""
_LEARNED: dict[Task, Task] = {
    "key": "multiclass",
    "tempo": "regression",
    **dict.fromkeys(FRAMEWISE, "multilabel"),
}
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SPELLING = re.compile(r"([A-G])([#b♯♭]*)[\s:_-]*(major|minor|maj|min)", re.IGNORECASE)


def learned(task: Task) -> Task:
    """What a head learns for `task`: multiclass, multilabel or regression."""
    return _LEARNED.get(task, task)


def key_of(text: str) -> str | None:
    """The name in `KEYS` of a key such as `Db major`, `C#:maj` or `cb min`; None where it is not one of the 24.

    Enharmonic spellings are one key. Modes other than major and minor have no place among the 24.
    """
    found = _SPELLING.fullmatch(text.strip())
    if found is None:
        return None
    letter, signs, mode = found.groups()
    raised = sum(sign in "#♯" for sign in signs) - sum(sign in "bB♭" for sign in signs)
    pitch = PITCHES[(_NATURAL[letter.upper()] + raised) % 12]
    return f"{pitch} {'major' if mode.lower().startswith('maj') else 'minor'}"


def spoken(task: Task, values: np.ndarray) -> np.ndarray:
    """Targets or predictions in the unit people use: beats per minute for `tempo`, all others as they are."""
    return np.exp2(values.astype(np.float64)) if task == "tempo" else values
