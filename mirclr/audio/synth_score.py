"""From a style, a key, a tempo and a seed to every note, hit, beat and chord of a track. No sound here.

The draws depend on the seed and the style alone, so one song in another key or at another tempo is the same music
transposed or played faster; and the artist never enters, so two artists can play the very same score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mirclr.audio.synth_events import Chord, Hit, Note, Score, Section
from mirclr.audio.synth_styles import STYLES, Drums, Style
from mirclr.audio.synth_theory import PITCHES, SCALES, chord_classes, label_of, nearest_pitch
from mirclr.seeds import generator

FORMS = ("ivcvcbcc", "ivcbvccv", "vcivcbcv", "ivccvbcc")
BASS_LOWEST, COMP_CENTRE, LEAD_CENTRE = 33, 59, 71


@dataclass(frozen=True)
class _Texture:
    """What plays in a section: level, busy drums, kick, bass, how much of the lead and how many semitones up."""

    name: str
    level: float
    busy: bool
    kick: bool
    bass: bool
    lead: float
    lift: int


_TEXTURES = {
    "i": _Texture("intro", 0.7, busy=False, kick=False, bass=False, lead=0.0, lift=0),
    "v": _Texture("verse", 0.85, busy=False, kick=True, bass=True, lead=0.95, lift=0),
    "c": _Texture("chorus", 1.0, busy=True, kick=True, bass=True, lead=1.0, lift=5),
    "b": _Texture("bridge", 0.75, busy=False, kick=False, bass=True, lead=0.6, lift=2),
}


@dataclass(frozen=True)
class Grid:
    """Bars and sixteenths in seconds: constant tempo, `start` s before the first beat, swing inside a unit."""

    tempo: float
    start: float
    style: Style

    @property
    def steps(self) -> int:
        """Sixteenths a bar."""
        return 4 * self.style.beats

    @property
    def bar(self) -> float:
        """Seconds a bar."""
        return self.style.beats * 60 / self.tempo

    def time(self, bar: int, step: int) -> float:
        """When a sixteenth of a bar sounds; `step` may run past the end of the bar."""
        whole, phase = divmod(step / 4 / self.style.swing_beats, 1.0)
        swing = self.style.swing
        swung = phase * 2 * swing if phase < 0.5 else swing + (phase - 0.5) * 2 * (1 - swing)
        return self.start + bar * self.bar + (whole + swung) * self.style.swing_beats * 60 / self.tempo


class _Bar(NamedTuple):
    """A bar being written: its `number` in the track, its section's letter, its `place` in the section, the chords."""

    number: int
    letter: str
    place: int
    last: bool
    classes: tuple[int, ...]
    coming: int

    @property
    def texture(self) -> _Texture:
        """What plays."""
        return _TEXTURES[self.letter]


class _Held(NamedTuple):
    """One character of a pattern: from which sixteenth, for how many."""

    step: int
    steps: int
    char: str

    @property
    def accent(self) -> float:
        """Notes on the beat are a little louder."""
        return 0.9 if self.step % 4 == 0 else 0.75


class _Motif(NamedTuple):
    """A two-bar rhythm and the contour (semitones about the centre) that its notes follow."""

    cell: str
    contour: tuple[int, ...]


class _Plan(NamedTuple):
    """What a song picked from its style: the same all through the track, so that its parts belong together."""

    form: str
    verse: Drums
    chorus: Drums
    bass: tuple[str, str]
    comp: tuple[str, str]
    progressions: dict[str, tuple[int, ...]]
    motifs: dict[str, _Motif]


def _motif(cell: str, rng: np.random.Generator) -> _Motif:
    """A contour that wanders and comes home: a bounded random walk in steps of up to a fourth."""
    count = sum(c in "xo" for c in cell)
    walk = np.cumsum(rng.choice([-4, -2, -2, 0, 2, 2, 3, 5], count))
    arch = walk - np.linspace(0, walk[-1], count)
    return _Motif(cell, tuple(int(c) for c in np.clip(np.round(arch), -8, 8)))


def _plan(style: Style, mode: str, rng: np.random.Generator) -> _Plan:
    """Pick one variant of everything; verse and chorus differ wherever the style has two variants."""

    def two(options: Sequence[str]) -> tuple[str, str]:
        first, second = rng.permutation(len(options))[:2]
        return options[first], options[second]

    form = FORMS[rng.integers(len(FORMS))]
    progressions = style.major if mode == "major" else style.minor
    a, b = rng.permutation(len(progressions))[:2]
    turned = progressions[a][2:] + progressions[a][:2]
    chosen = {"i": progressions[a], "v": progressions[a], "c": progressions[b], "b": turned}
    verse = style.verse[rng.integers(len(style.verse))]
    chorus = style.chorus[rng.integers(len(style.chorus))]
    cells = two(style.cells)
    motifs = {"v": _motif(cells[0], rng), "c": _motif(cells[1], rng)}
    motifs |= {"i": motifs["v"], "b": motifs["v"]}
    return _Plan(form, verse, chorus, two(style.bass), two(style.comp), chosen, motifs)


def _holds(pattern: str, sounding: str) -> list[_Held]:
    """Every note of a pattern: a character and the `-` after it."""
    found = []
    for step, char in enumerate(pattern):
        if char in sounding:
            rest = pattern[step + 1 :]
            found.append(_Held(step, 1 + len(rest) - len(rest.lstrip("-")), char))
    return found


class _Composer:
    """Writes a score bar by bar; holds what the bars share."""

    def __init__(self, style: Style, key: str, grid: Grid, rng: np.random.Generator) -> None:
        self.style, self.key, self.grid, self.rng = style, key, grid, rng
        tonic, mode = key.split()
        self.scale = [(PITCHES.index(tonic) + s) % 12 for s in SCALES[mode]]
        self.plan = _plan(style, mode, rng)
        self.score = Score()

    def write(self, end: float) -> Score:
        """Sections until `end` seconds, the form repeating without its intro."""
        bar, form = 0, self.plan.form
        while self.grid.time(bar, 0) < end:
            for letter in form:
                bar = self._section(bar, letter)
            form = form.replace("i", "")
        return self.score

    def _section(self, first: int, letter: str) -> int:
        """One section from bar `first`; returns the bar after it. An intro is two bars of four beats, or as long."""
        bars = 8 // self.style.beats if letter == "i" else self.style.phrase
        progression = self.plan.progressions[letter]
        for k in range(bars):
            here, coming = (
                chord_classes(self.key, progression[(k + j) % len(progression)], self.style.chords) for j in (0, 1)
            )
            self._bar(_Bar(first + k, letter, k, k == bars - 1, here, coming[0]))
        times = self.grid.time(first, 0), self.grid.time(first + bars, 0)
        self.score.sections.append(Section(*times, _TEXTURES[letter].name))
        return first + bars

    def _bar(self, bar: _Bar) -> None:
        """Everything in one bar."""
        times = self.grid.time(bar.number, 0), self.grid.time(bar.number + 1, 0)
        self.score.chords.append(Chord(*times, label_of(bar.classes), bar.classes))
        self._drums(bar)
        self._comp(bar)
        if bar.texture.bass:
            self._bass(bar)
        if bar.texture.lead:
            self._lead(bar, self.plan.motifs[bar.letter])

    def _velocity(self, level: float) -> float:
        """A level with a player's unevenness, 10 % either way."""
        return float(np.clip(level * self.rng.normal(1.0, 0.1), 0.05, 1.0))

    def _drums(self, bar: _Bar) -> None:
        """The pattern of the section, a crash where a chorus begins, a fill on the last beat of most sections."""
        texture = bar.texture
        fill_from = self.grid.steps - 4 if bar.last and self.rng.random() < 0.8 else self.grid.steps
        for drum, pattern in (self.plan.chorus if texture.busy else self.plan.verse).items():
            if drum != "kick" or texture.kick:
                for step, char in enumerate((pattern * (self.grid.steps // len(pattern)))[:fill_from]):
                    if char != ".":
                        self._hit(bar, step, drum, int(char) / 9)
        for k, drum in enumerate(("snare", "tom_high", "tom_high", "tom_low")[: self.grid.steps - fill_from]):
            if k == 0 or self.rng.random() < 0.8:
                self._hit(bar, fill_from + k, drum, 0.5 + 0.12 * k)
        if bar.place == 0 and texture.busy:
            self._hit(bar, 0, "crash", 0.6)

    def _hit(self, bar: _Bar, step: int, drum: str, level: float) -> None:
        """Drums are exactly on the grid: they carry the beat."""
        time = self.grid.time(bar.number, step)
        self.score.hits.append(Hit(time, drum, self._velocity(level * bar.texture.level)))

    def _note(self, part: list[Note], bar: _Bar, held: _Held, pitch: int) -> None:
        """A note, up to 6 ms late, as players are, and let go a little before the next one."""
        start = self.grid.time(bar.number, held.step)
        length = 0.95 * (self.grid.time(bar.number, held.step + held.steps) - start)
        velocity = self._velocity(held.accent * bar.texture.level)
        part.append(Note(start + self.rng.uniform(0, 0.006), length, pitch, velocity))

    def _bass(self, bar: _Bar) -> None:
        """The bass line: chord tones by name; `7` leads by a step into the root of the next bar."""
        root, coming = (BASS_LOWEST + (c - BASS_LOWEST) % 12 for c in (bar.classes[0], bar.coming))
        third, fifth = ((c - bar.classes[0]) % 12 for c in bar.classes[1:3])
        step_below = nearest_pitch(coming - 1.6, self.scale, avoid=coming)
        pitches = {"R": root, "3": root + third, "5": root + fifth, "6": root + 9, "8": root + 12, "7": step_below}
        for held in _holds(self.plan.bass[bar.texture.busy], "R35687"):
            self._note(self.score.bass, bar, held, pitches[held.char])

    def _comp(self, bar: _Bar) -> None:
        """Chords in close position about the middle of the keyboard, so that voices move little."""
        voicing = sorted(COMP_CENTRE - 6 + (c - COMP_CENTRE + 6) % 12 for c in bar.classes)
        for held in _holds(self.plan.comp[bar.texture.busy], "x1234"):
            for pitch in voicing if held.char == "x" else [[*voicing, voicing[0] + 12][int(held.char) - 1]]:
                self._note(self.score.comp, bar, held, pitch)

    def _lead(self, bar: _Bar, motif: _Motif) -> None:
        """Half of the motif's two bars, its contour bent to the chord; the last bar of a section comes to rest."""
        steps, half = self.grid.steps, bar.place % 2
        notes = [
            (held._replace(step=held.step % steps), rise)
            for held, rise in zip(_holds(motif.cell, "xo"), motif.contour, strict=True)
            if held.step // steps == half
        ]
        if bar.last and notes:
            (first, rise) = notes[0]
            notes = [(_Held(first.step, steps - first.step, "x"), rise)]
        previous = None
        for held, rise in notes:
            if self.rng.random() < bar.texture.lead:
                target = LEAD_CENTRE + bar.texture.lift + rise + (bar.place % 4 == 2)
                previous = nearest_pitch(target, bar.classes if held.char == "x" else self.scale, avoid=previous)
                self._note(self.score.lead, bar, held, previous)


def compose(style: str, key: str, tempo: float, seed: int, duration: float) -> Score:
    """Write `duration` seconds of a style (a name of `STYLES`) in a key of `KEYS` at `tempo` beats per minute.

    Beats before `duration` only; the last chord and section are cut there; no note starts after it.
    """
    rng = generator(seed, "score", style)
    grid = Grid(tempo, float(rng.uniform(0.05, 0.5)), STYLES[style])
    score = _Composer(STYLES[style], key, grid, rng).write(duration)
    beats = np.arange(int((duration - grid.start) * tempo / 60) + 1)
    score.beats = grid.start + beats * 60 / tempo
    score.downbeats = score.beats[:: grid.style.beats]
    for part in (score.bass, score.comp, score.lead):
        part[:] = [n._replace(duration=min(n.duration, duration - n.start)) for n in part if n.start < duration]
    score.hits = sorted(h for h in score.hits if h.start < duration)
    score.chords = [c._replace(end=min(c.end, duration)) for c in score.chords if c.start < duration]
    score.sections = [s._replace(end=min(s.end, duration)) for s in score.sections if s.start < duration]
    return score
