"""The procedural band: music whose style, artist, tempo, key, beats and chords are known exactly.

It gives tests their ground truth and the demo its music when the user has none. `Song` says what is played, `render`
plays it, `catalogue` makes a collection of songs whose factors are independent of each other where asked, and
`write_collection` writes them as tagged files with a labelled table beside them.

>>> song = Song("bossa", "The Amber Foxes", tempo=84, key="A minor", seed=1, duration=30)
>>> rendered = render(song, 22_050)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mirclr.audio.synth_band import PARTS, band_of, perform
from mirclr.audio.synth_events import Chord, Hit, Note, Section
from mirclr.audio.synth_score import compose
from mirclr.audio.synth_styles import STYLES
from mirclr.audio.synth_theory import KEYS

__all__ = ["KEYS", "PARTS", "STYLES", "Rendered", "Song", "render"]


@dataclass(frozen=True)
class Song:
    """What is played. `style`: a name of STYLES; `artist`: any name, which decides every sound; `tempo`: beats per
    minute, 40 to 240; `key`: one of KEYS ("Eb minor"); `seed`: the composition; `duration`: seconds, at least 1.

    Raises ValueError on anything else.
    """

    style: str
    artist: str
    tempo: float
    key: str
    seed: int
    duration: float = 30.0

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ValueError(f"no style {self.style!r}; known: {', '.join(STYLES)}")
        if self.key not in KEYS:
            raise ValueError(f"no key {self.key!r}; known: {', '.join(KEYS)}")
        if not 40 <= self.tempo <= 240 or self.duration < 1 or self.seed < 0:
            raise ValueError(f"need tempo in 40..240, duration >= 1 and seed >= 0, got {self}")


@dataclass(frozen=True)
class Rendered:
    """A song as sound, and the truth about it.

    `samples` `(T,)` float32 at `sample_rate` Hz, peak 0.89; `beats` and `downbeats` `(K,)` in seconds; `chords`,
    `sections` and the pitched `notes` and drum `hits` of the parts that play with their times in seconds.

    A note begins where its player strikes, bows or blows it; a bowed one is at its full level up to 80 ms later.
    """

    samples: np.ndarray
    sample_rate: int
    beats: np.ndarray
    downbeats: np.ndarray
    chords: tuple[Chord, ...]
    sections: tuple[Section, ...]
    notes: tuple[Note, ...]
    hits: tuple[Hit, ...]


def render(song: Song, sample_rate: int = 22_050, *, parts: Sequence[str] = PARTS) -> Rendered:
    """Play a song, or only some of its PARTS. The same bits every time on one machine with one numpy.

    Raises ValueError on an unknown part.
    """
    if not parts or set(parts) - set(PARTS):
        raise ValueError(f"parts must be some of {', '.join(PARTS)}, got {list(parts)}")
    score = compose(song.style, song.key, song.tempo, song.seed, song.duration)
    count = round(song.duration * sample_rate)
    samples = perform(score, band_of(song.artist), song.seed, sample_rate, count, parts=parts)
    lines = {"bass": score.bass, "chords": score.comp, "lead": score.lead}
    return Rendered(
        samples,
        sample_rate,
        score.beats,
        score.downbeats,
        tuple(score.chords),
        tuple(score.sections),
        tuple(sorted(note for part, notes in lines.items() if part in parts for note in notes)),
        tuple(score.hits) if "drums" in parts else (),
    )
