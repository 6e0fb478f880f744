"""An artist of the procedural band: its instruments, its drum kit, its room and its mix, all drawn from its name.

The name alone decides, whatever the style, key or tempo of the song, as with real bands, only more strictly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from mirclr.audio.synth_drums import DrumKit, play_drums
from mirclr.audio.synth_events import Score
from mirclr.audio.synth_tones import Voice, play
from mirclr.seeds import generator

PARTS = ("drums", "bass", "chords", "lead")

# Families of instruments: ranges from which an artist draws its own, uniformly; times and Hz on a logarithmic scale.
_FAMILIES: dict[str, dict[str, tuple[float, float]]] = {
    "plucked": {
        "slope": (0.9, 1.6), "even": (0.5, 1.0), "closing": (0.8, 1.8), "bright_s": (0.08, 0.3),
        "attack_s": (0.002, 0.005), "decay_s": (0.25, 0.9), "sustain": (0.0, 0.05), "release_s": (0.04, 0.12),
        "detune": (0, 3), "vibrato": (0, 0), "noise": (0.02, 0.12),
    },
    "keys": {
        "slope": (1.2, 2.2), "even": (0.6, 1.0), "closing": (0.4, 1.4), "bright_s": (0.15, 0.5),
        "attack_s": (0.003, 0.008), "decay_s": (0.5, 1.6), "sustain": (0.05, 0.25), "release_s": (0.06, 0.2),
        "detune": (0, 5), "vibrato": (0, 0), "noise": (0.0, 0.05),
    },
    "organ": {
        "slope": (0.6, 1.4), "even": (0.2, 1.0), "closing": (0.0, 0.2), "bright_s": (0.3, 0.6),
        "attack_s": (0.004, 0.015), "decay_s": (1.0, 2.0), "sustain": (0.85, 1.0), "release_s": (0.03, 0.08),
        "detune": (0, 8), "vibrato": (0, 14), "noise": (0.0, 0.04),
    },
    "bowed": {
        "slope": (0.8, 1.5), "even": (0.7, 1.0), "closing": (-0.4, 0.1), "bright_s": (0.1, 0.3),
        "attack_s": (0.03, 0.08), "decay_s": (0.5, 1.0), "sustain": (0.7, 0.95), "release_s": (0.08, 0.25),
        "detune": (4, 12), "vibrato": (8, 26), "noise": (0.0, 0.06),
    },
    "blown": {
        "slope": (1.4, 2.4), "even": (0.0, 0.6), "closing": (-0.3, 0.2), "bright_s": (0.05, 0.2),
        "attack_s": (0.015, 0.05), "decay_s": (0.3, 0.8), "sustain": (0.7, 0.95), "release_s": (0.04, 0.1),
        "detune": (0, 0), "vibrato": (4, 24), "noise": (0.03, 0.15),
    },
    "synth": {
        "slope": (0.5, 1.0), "even": (0.0, 1.0), "closing": (0.4, 1.6), "bright_s": (0.06, 0.35),
        "attack_s": (0.002, 0.02), "decay_s": (0.2, 0.8), "sustain": (0.3, 0.8), "release_s": (0.04, 0.15),
        "detune": (6, 18), "vibrato": (0, 10), "noise": (0.0, 0.0),
    },
}  # fmt: skip
_LOGARITHMIC = ("bright_s", "attack_s", "decay_s", "release_s", "low_hz", "peak_hz")
_PLAYERS: dict[str, tuple[str, ...]] = {
    "bass": ("plucked", "keys", "synth", "bowed"),
    "chords": ("plucked", "keys", "organ", "bowed", "synth"),
    "lead": ("plucked", "keys", "bowed", "blown", "synth"),
}
# The body of an instrument by its part: high-pass, place and height of its resonance.
_BODIES: dict[str, dict[str, tuple[float, float]]] = {
    "bass": {"low_hz": (30, 50), "peak_hz": (80, 700), "peak_db": (0, 8)},
    "chords": {"low_hz": (90, 260), "peak_hz": (300, 2500), "peak_db": (2, 10)},
    "lead": {"low_hz": (150, 350), "peak_hz": (700, 3500), "peak_db": (2, 10)},
}
_TONE_HZ = (60, 170, 480, 1_350, 3_800, 10_000)


@dataclass(frozen=True)
class Band:
    """An artist. `levels` in dB by part; the room: `reverb_s` to -60 dB, `wet` level, `damping_hz`; `tone_db` of the
    whole mix at _TONE_HZ; `drive` into a soft limiter (1 gentle .. 4 loud)."""

    kit: DrumKit
    voices: Mapping[str, Voice]
    levels: Mapping[str, float]
    reverb_s: float
    wet: float
    damping_hz: float
    tone_db: tuple[float, ...]
    drive: float
    room_seed: int


def _drawn(rng: np.random.Generator, ranges: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """One value from each range."""
    out = {}
    for name, (low, high) in ranges.items():
        u = rng.random()
        out[name] = float(low * (high / low) ** u if name in _LOGARITHMIC else low + (high - low) * u)
    return out


def _voice(rng: np.random.Generator, part: str) -> Voice:
    """An instrument for a part."""
    family = _PLAYERS[part][rng.integers(len(_PLAYERS[part]))]
    drawn = _drawn(rng, _FAMILIES[family])
    if part == "bass":
        drawn["slope"] += 0.6  # a bass that buzzes covers everybody
    formant = {"formant": float(rng.uniform(1.5, 8)), "formant_gain": float(rng.uniform(0, 3))}
    return Voice(**drawn, **_drawn(rng, _BODIES[part]), **formant)


def _kit(rng: np.random.Generator) -> DrumKit:
    """A drum kit."""
    return DrumKit(
        kick_hz=rng.uniform(42, 68),
        kick_sweep=rng.uniform(1.0, 5.0),
        kick_s=rng.uniform(0.08, 0.3),
        click=rng.uniform(0.05, 0.5),
        snare_hz=rng.uniform(150, 260),
        snare_s=rng.uniform(0.06, 0.2),
        wires=rng.uniform(0.3, 0.85),
        hat_hz=rng.uniform(4_000, 8_000),
        hat_s=rng.uniform(0.02, 0.06),
        metal=rng.uniform(0.0, 0.7),
        tom_hz=rng.uniform(75, 120),
        seed=int(rng.integers(2**31)),
    )


def band_of(artist: str) -> Band:
    """The band of a name."""
    rng = generator(0, "artist", artist)
    return Band(
        kit=_kit(rng),
        voices={part: _voice(rng, part) for part in PARTS[1:]},
        levels={part: rng.uniform(-3.5, 3.5) for part in PARTS},
        reverb_s=float(0.25 * 10 ** rng.uniform(0, 0.9)),
        wet=rng.uniform(0.03, 0.3),
        damping_hz=rng.uniform(1_500, 6_000),
        tone_db=tuple(rng.uniform(-4.5, 4.5, len(_TONE_HZ))),
        drive=rng.uniform(1.0, 3.0),
        room_seed=int(rng.integers(2**31)),
    )


def _body(voice: Voice, frequency: np.ndarray) -> np.ndarray:
    """Gain over frequency: nothing below `low_hz`, a resonance half an octave wide at `peak_hz`."""
    octaves = np.log2(np.maximum(frequency, 1.0) / voice.peak_hz)
    low = 1 / (1 + (voice.low_hz / np.maximum(frequency, 1.0)) ** 4)
    return np.asarray(low * 10 ** (voice.peak_db / 20 * np.exp(-2 * octaves**2)))


def _room(band: Band, rate: int) -> np.ndarray:
    """An impulse response: decaying noise, darker with time, with the direct sound as its first sample."""
    rng = np.random.Generator(np.random.PCG64(band.room_seed))
    time = np.arange(int(band.reverb_s * rate)) / rate
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / band.reverb_s)
    spectrum = rfft(tail)
    tail = irfft(spectrum / (1 + np.linspace(0, rate / 2, len(spectrum)) / band.damping_hz), len(tail))
    tail[: int(0.012 * rate)] = 0  # the first wall is 4 m away
    tail *= band.wet / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return tail


# Root mean square a part is brought to before its level: what makes an even mix of parts so different in kind.
_LOUDNESS = {"drums": 0.11, "bass": 0.10, "chords": 0.075, "lead": 0.08}


def _part(part: str, score: Score, band: Band, rate: int, count: int) -> np.ndarray:
    """A part alone at its loudness in an even mix, `(count,)` float32."""
    if part == "drums":
        sound = play_drums(score.hits, band.kit, rate, count)
    else:
        notes = {"bass": score.bass, "chords": score.comp, "lead": score.lead}[part]
        sound = play(notes, band.voices[part], rate, count)
    level = float(np.sqrt(np.mean(np.square(sound))))
    return sound * np.float32(_LOUDNESS[part] / max(level, 1e-9))


def perform(score: Score, band: Band, seed: int, rate: int, count: int, *, parts: Sequence[str] = PARTS) -> np.ndarray:
    """The score played by the band: `(count,)` float32, peaks 1 dB below full scale.

    `seed` moves the level of each part by up to 1 dB, as no two mixes are the same. Bodies, room and tone of the mix
    are one multiplication in the frequency domain.
    """
    moods = generator(seed, "mix").uniform(-1, 1, len(PARTS))
    room = _room(band, rate).astype(np.float32)
    size = next_fast_len(count + len(room), real=True)
    frequency = np.linspace(0, rate / 2, size // 2 + 1)
    mix = np.zeros(len(frequency), np.complex64)
    for part, mood in zip(PARTS, moods, strict=True):
        if part in parts:
            level = 10 ** ((band.levels[part] + mood) / 20)
            body = level if part == "drums" else level * _body(band.voices[part], frequency)
            mix += rfft(_part(part, score, band, rate, count), size) * np.float32(body)
    tone = 10 ** (np.interp(np.log(np.maximum(frequency, 1.0)), np.log(_TONE_HZ), band.tone_db) / 20)
    wet = irfft(mix * tone.astype(np.float32) * rfft(room, size), size)[:count]
    loud = np.tanh(band.drive * wet / max(1e-9, float(np.abs(wet).max())))
    loud *= np.clip(np.arange(count, 0, -1) / (0.5 * rate), 0, 1)  # half a second of fading out
    return (loud * (0.891 / max(1e-9, float(np.abs(loud).max())))).astype(np.float32)
