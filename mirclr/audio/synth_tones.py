"""The pitched voices of the procedural band: one cycle of a wave per pitch, read at any speed, shaped by an envelope.

A voice is a recipe of harmonics. Its wave exists bright and dark; a note fades from the one to the other, which is
what a struck string or a closing filter does. Waves hold no harmonic above 45 % of the sample rate, so nothing aliases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mirclr.audio.synth_events import Note

_CYCLE = 2048


@dataclass(frozen=True)
class Voice:
    """A pitched timbre.

    `slope`: harmonic n has amplitude n to the power -slope. `even`: amplitude of even harmonics, 0 (hollow) to 1.
    `formant`, `formant_gain`: the harmonic that stands out, and by what factor. `closing`: how much steeper the slope
    is when the note is dark. `bright_s`: how fast it darkens. `attack_s`, `decay_s`, `sustain` (0 plucked .. 1 bowed)
    and `release_s`: the envelope. `detune`: cents between two oscillators, 0 for one. `vibrato`: cents, at 5.5 Hz.
    `noise`: level of the breath or hammer at the start. `low_hz`, `peak_hz`, `peak_db`: the body of the instrument.
    """

    slope: float
    even: float
    formant: float
    formant_gain: float
    closing: float
    bright_s: float
    attack_s: float
    decay_s: float
    sustain: float
    release_s: float
    detune: float
    vibrato: float
    noise: float
    low_hz: float
    peak_hz: float
    peak_db: float


def frequency_of(pitch: int) -> float:
    """Hz of a MIDI pitch in equal temperament, A4 (69) = 440 Hz."""
    return float(440.0 * 2 ** ((pitch - 69) / 12))


@lru_cache(maxsize=512)
def _waves(voice: Voice, harmonics: int) -> tuple[np.ndarray, np.ndarray]:
    """One cycle bright and one dark, `(2048 + 1,)` float32 each, equally loud."""
    n = np.arange(1, harmonics + 1)
    colour = np.where(n % 2 == 0, voice.even, 1.0) * (
        1 + voice.formant_gain * np.exp(-0.5 * (n - voice.formant) ** 2 / 1.5**2)
    )
    phases = np.exp(2j * np.pi * ((n * 0.618034) % 1))  # spread, so that the peak of the wave stays low
    cycles = []
    for slope in (voice.slope, voice.slope + voice.closing):
        amplitude = colour * n**-slope
        spectrum = np.zeros(_CYCLE // 2 + 1, complex)
        spectrum[1 : harmonics + 1] = amplitude / np.sqrt((amplitude**2).sum()) * phases
        cycle = np.fft.irfft(spectrum) * _CYCLE / np.sqrt(2)
        cycles.append(np.append(cycle, cycle[0]).astype(np.float32))
    return cycles[0], cycles[1]


def _read(cycle: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """The wave at `phase` in cycles, linearly interpolated: errors 70 dB below the harmonics music has."""
    place = (phase % 1.0) * _CYCLE  # in float64: rounded to float32 first, a phase just below 1 would become 1
    left = place.astype(np.int32)
    here = cycle[left]
    return here + (place - left).astype(np.float32) * (cycle[left + 1] - here)


def _envelope(voice: Voice, time: np.ndarray, held_s: float) -> np.ndarray:
    """Rise, fall to the sustained level, and release after `held_s`."""
    rise = np.minimum(time / voice.attack_s, 1.0)
    fall = voice.sustain + (1 - voice.sustain) * np.exp(-time / voice.decay_s)
    release = np.exp(-np.maximum(time - held_s, 0) / voice.release_s)
    return rise * fall * release


def tone(voice: Voice, frequency: float, held_s: float, rate: int) -> np.ndarray:
    """One note of unit level, `(n,)` float32: `held_s` seconds and its release."""
    count = int((held_s + 4 * voice.release_s) * rate)
    time = np.arange(count, dtype=np.float32) / rate
    harmonics = max(1, min(48, int(0.45 * rate / frequency)))
    bright, dark = _waves(voice, harmonics)
    bend = voice.vibrato / 1200 * np.log(2) / (2 * np.pi * 5.5) * (1 - np.cos(2 * np.pi * 5.5 * time))
    openness = np.exp(-time / voice.bright_s).astype(np.float32)
    out = np.zeros(count, np.float32)
    for cents in (-voice.detune / 2, voice.detune / 2) if voice.detune else (0.0,):
        phase = frequency * 2 ** (cents / 1200) * (np.arange(count) / rate + bend)
        darker = _read(dark, phase)
        out += darker + openness * (_read(bright, phase) - darker)
    if voice.noise:
        breath = np.random.Generator(np.random.PCG64(1)).standard_normal(count, np.float32)
        out += voice.noise * breath * np.exp(-time / 0.03)
    return out * _envelope(voice, time, held_s).astype(np.float32)


def play(notes: list[Note], voice: Voice, rate: int, count: int) -> np.ndarray:
    """All notes of a part, `(count,)` float32. Notes of one pitch and about one length are made once.

    Lengths are rounded to 10 ms for that; velocity sets the level.
    """
    out = np.zeros(count, np.float32)
    made: dict[tuple[int, int], np.ndarray] = {}
    for note in notes:
        key = note.pitch, max(3, round(note.duration * 100))
        if key not in made:
            made[key] = tone(voice, frequency_of(note.pitch), key[1] / 100, rate)
        start = round(note.start * rate)
        sound = made[key][: count - start]
        out[start : start + len(sound)] += np.float32(note.velocity**1.5) * sound
    return out
