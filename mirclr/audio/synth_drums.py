"""The drum sounds of the procedural band: each is made once per artist and copied to where it is hit.

Every sound starts at its first sample at nearly full strength, so a hit is where the score says it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from mirclr.audio.synth_events import Hit


@dataclass(frozen=True)
class DrumKit:
    """A drum timbre: tunings in Hz, decays in seconds, `click` and `wires` levels, `metal` 0 noisy .. 1 ringing."""

    kick_hz: float
    kick_sweep: float
    kick_s: float
    click: float
    snare_hz: float
    snare_s: float
    wires: float
    hat_hz: float
    hat_s: float
    metal: float
    tom_hz: float
    seed: int


def _bent_sine(frequency: float, sweep: float, decay_s: float, time: np.ndarray) -> np.ndarray:
    """A membrane: a sine that falls from `frequency * (1 + sweep)` and dies away, beginning at its crest."""
    bend = 0.035
    phase = frequency * (time + sweep * bend * (1 - np.exp(-time / bend)))
    return np.cos(2 * np.pi * phase) * np.exp(-time / decay_s)


def _noise(rng: np.random.Generator, kind: str, edge_hz: float, rate: int, count: int) -> np.ndarray:
    """White noise above or below an edge, of unit deviation."""
    edge = min(edge_hz, 0.45 * rate)
    out = sosfilt(butter(2, edge, kind, fs=rate, output="sos"), rng.standard_normal(count))
    return np.asarray(out / out.std())


def _cymbal(kit: DrumKit, edge_hz: float, decay_s: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise above an edge, with the inharmonic partials of a plate; the ring outlives the noise."""
    count = int(5 * decay_s * rate)
    time = np.arange(count) / rate
    partials = np.array([1.0, 1.34, 1.63, 1.98, 2.44, 2.91]) * edge_hz * 0.8
    partials = partials[partials < 0.45 * rate]
    ring = np.cos(2 * np.pi * partials[:, None] * time).sum(0) / np.sqrt(len(partials) / 2)
    hiss = _noise(rng, "high", edge_hz, rate, count)
    return ((1 - kit.metal) * hiss + kit.metal * ring) * np.exp(-time / decay_s)


def _clap(rng: np.random.Generator, rate: int) -> np.ndarray:
    """Three quick bursts and a tail, the first at once."""
    count = int(0.25 * rate)
    time = np.arange(count) / rate
    bursts = sum(np.exp(-np.maximum(time - d, 0) / 0.006) * (time >= d) for d in (0.0, 0.011, 0.023))
    return _noise(rng, "low", 2_500, rate, count) * (bursts + 0.5 * np.exp(-time / 0.06))


def drum_sounds(kit: DrumKit, rate: int) -> dict[str, np.ndarray]:
    """Every drum by name, `(n,)` float32, at the levels they have among themselves."""
    rng = np.random.Generator(np.random.PCG64(kit.seed))
    time = np.arange(int(1.2 * rate)) / rate
    click = _noise(rng, "high", 3_000, rate, len(time)) * np.exp(-time / 0.004)
    wires = _noise(rng, "high", 1_200, rate, len(time)) * np.exp(-time / kit.snare_s)
    skin = _bent_sine(kit.snare_hz, 0.5, 0.7 * kit.snare_s, time)
    shaker = _noise(rng, "high", 4_500, rate, len(time)) * np.exp(-time / 0.03)
    rim = np.cos(2 * np.pi * 1_750 * time) * np.exp(-time / 0.012) + 0.4 * click
    sounds = {
        "kick": 1.0 * (_bent_sine(kit.kick_hz, kit.kick_sweep, kit.kick_s, time) + kit.click * click),
        "snare": 0.5 * ((1 - kit.wires) * skin + kit.wires * wires),
        "rim": 0.35 * rim,
        "clap": 0.35 * _clap(rng, rate),
        "hat": 0.22 * _cymbal(kit, kit.hat_hz, kit.hat_s, rate, rng),
        "open": 0.22 * _cymbal(kit, kit.hat_hz, 5 * kit.hat_s, rate, rng),
        "ride": 0.16 * _cymbal(kit, 0.7 * kit.hat_hz, 0.25, rate, rng),
        "crash": 0.3 * _cymbal(kit, 0.55 * kit.hat_hz, 0.5, rate, rng),
        "shaker": 0.12 * shaker,
        "tom_high": 0.7 * _bent_sine(1.5 * kit.tom_hz, 0.4, 0.16, time),
        "tom_low": 0.8 * _bent_sine(kit.tom_hz, 0.4, 0.22, time),
    }
    return {name: _trimmed(sound) for name, sound in sounds.items()}


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Without the end that nobody hears (60 dB down)."""
    loud = np.flatnonzero(np.abs(sound) > 1e-3 * np.abs(sound).max())
    return sound[: loud[-1] + 1].astype(np.float32)


def _choked(sound: np.ndarray, after: int, rate: int) -> np.ndarray:
    """A sound that ends `after` samples, within 4 ms."""
    fade = 1 - (np.arange(len(sound)) - after) / (0.004 * rate)
    return (sound * np.clip(fade, 0, 1))[: after + rate // 250].astype(np.float32)


def play_drums(hits: list[Hit], kit: DrumKit, rate: int, count: int) -> np.ndarray:
    """All hits, `(count,)` float32. A closed hat cuts an open one short, as on a stand."""
    sounds = drum_sounds(kit, rate)
    closing = np.array([h.start for h in hits if h.drum == "hat"])
    out = np.zeros(count, np.float32)
    for hit in hits:
        start = round(hit.start * rate)
        sound = sounds[hit.drum][: count - start]
        if hit.drum == "open" and (later := closing[closing > hit.start]).size:
            sound = _choked(sound, round((later[0] - hit.start) * rate), rate)
        out[start : start + len(sound)] += np.float32(hit.velocity**1.5) * sound
    return out
