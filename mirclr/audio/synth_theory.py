"""Keys, scales and chords by their pitch classes (C is 0), with the names the field uses."""

from __future__ import annotations

from collections.abc import Sequence

PITCHES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KEYS = tuple(f"{pitch} {mode}" for mode in ("major", "minor") for pitch in PITCHES)
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
# Chord qualities by their intervals above the root, with Harte's names (Harte et al., ISMIR 2005).
QUALITIES = {
    (0, 4, 7): "maj",
    (0, 3, 7): "min",
    (0, 3, 6): "dim",
    (0, 4, 7, 11): "maj7",
    (0, 3, 7, 10): "min7",
    (0, 4, 7, 10): "7",
    (0, 3, 6, 10): "hdim7",
}


def chord_classes(key: str, degree: int, kind: str) -> tuple[int, ...]:
    """Pitch classes of the chord on a scale degree (1..7), root first; the fifth degree of a minor key is major.

    `kind` is `triad`, `seventh`, or `dominant` (a minor seventh above every chord, the blues).
    """
    pitch, mode = key.split()
    scale = SCALES[mode]
    tones = [scale[(degree - 1 + k) % 7] + 12 * ((degree - 1 + k) // 7) for k in (0, 2, 4, 6)]
    intervals = [t - tones[0] for t in tones]
    if mode == "minor" and degree == 5:
        intervals[1] = 4
    if kind == "dominant":
        intervals[3] = 10
    root = PITCHES.index(pitch) + tones[0]
    return tuple((root + i) % 12 for i in intervals[: 3 if kind == "triad" else 4])


def label_of(classes: Sequence[int]) -> str:
    """Harte's label of a chord given root first."""
    return f"{PITCHES[classes[0]]}:{QUALITIES[tuple((c - classes[0]) % 12 for c in classes)]}"


def nearest_pitch(target: float, classes: Sequence[int], avoid: int | None = None) -> int:
    """The MIDI pitch of one of `classes` nearest to `target`, not `avoid`; the lower of two as near."""
    near = range(int(target) - 12, int(target) + 13)
    return min((p for p in near if p % 12 in classes and p != avoid), key=lambda p: (abs(p - target), p))
