"""The kinds of events a frame-level head is trained for, and the outputs it has for each."""

from __future__ import annotations

LOWEST, HIGHEST = 21, 108
"""MIDI pitches of the piano, the 88 that transcription is measured on."""
PITCHES = tuple(range(LOWEST, HIGHEST + 1))
OUTPUTS: dict[str, tuple[str, ...]] = {
    "onsets": ("onset",),
    "beats": ("beat", "downbeat"),
    "notes": (*(f"onset {pitch}" for pitch in PITCHES), *(f"frame {pitch}" for pitch in PITCHES)),
}


def kind_of(vocabulary: tuple[str, ...]) -> str | None:
    """The kind of events whose outputs these are; None where they are something else."""
    return next((kind for kind, outputs in OUTPUTS.items() if outputs == vocabulary), None)
