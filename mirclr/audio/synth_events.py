"""What a score is made of: notes, hits, chords and sections, each with its time in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Note(NamedTuple):
    """A pitched note: `start` and `duration` in seconds, MIDI `pitch`, `velocity` in 0..1."""

    start: float
    duration: float
    pitch: int
    velocity: float


class Hit(NamedTuple):
    """A drum hit: `start` in seconds, the drum, `velocity` in 0..1."""

    start: float
    drum: str
    velocity: float


class Chord(NamedTuple):
    """A chord from `start` to `end` seconds; `label` in Harte's syntax (`A:min7`); its pitch classes, root first."""

    start: float
    end: float
    label: str
    classes: tuple[int, ...]


class Section(NamedTuple):
    """Part of the form from `start` to `end` seconds: intro, verse, chorus or bridge."""

    start: float
    end: float
    name: str


@dataclass
class Score:
    """Everything that is played, and the truth about it. `beats` and `downbeats` are `(K,)` seconds."""

    hits: list[Hit] = field(default_factory=list)
    bass: list[Note] = field(default_factory=list)
    comp: list[Note] = field(default_factory=list)
    lead: list[Note] = field(default_factory=list)
    chords: list[Chord] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    beats: np.ndarray = field(default_factory=lambda: np.zeros(0))
    downbeats: np.ndarray = field(default_factory=lambda: np.zeros(0))
