"""Flags follow the sound: one case on each side of every threshold."""

from __future__ import annotations

import numpy as np
import pytest

from mirclr.audio.quality import Measurement, flags_of
from mirclr.audio.reasons import FLAGS

RATE = 44_100


def tone(frequency: float, level: float, seconds: float = 5.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def flags(*channels: np.ndarray, seconds: float = 60.0) -> list[str]:
    measured = Measurement()
    measured.add(np.stack(channels, axis=1))
    return flags_of(measured, seconds, clip_seconds=4.0)


def test_music_has_no_flag() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32)
    assert flags(tone(220, 0.5) + noise, tone(330, 0.3)) == []


def test_silence_is_judged_without_its_offset() -> None:
    assert flags(tone(440, 0.0009)) == ["silent"]
    assert flags(tone(440, 0.0012)) == []
    assert flags(np.full(RATE, 0.3, np.float32)) == ["silent", "dc_offset"]
    assert flags(np.zeros(RATE, np.float32), tone(440, 0.1, 1.0)) == []


@pytest.mark.parametrize("frequency", [20.0, 50.0, 440.0, 5000.0])
@pytest.mark.parametrize("level", [0.3, 0.95, 1.0])
def test_a_pure_tone_is_not_clipped(frequency: float, level: float) -> None:
    sixteen_bit = np.round(tone(frequency, level) * 32_767) / 32_768
    assert flags(sixteen_bit.astype(np.float32)) == []


@pytest.mark.parametrize("frequency", [50.0, 440.0, 3000.0])
@pytest.mark.parametrize("ceiling", [1.0, 0.95])
def test_cut_peaks_are_clipped_at_full_scale_or_under_a_limiter(ceiling: float, frequency: float) -> None:
    assert flags(np.clip(tone(frequency, 2.0), -ceiling, ceiling)) == ["clipped"]
    assert flags(np.maximum(np.minimum(tone(frequency, 2.0), ceiling), -0.5))[:1] == ["clipped"]


def test_a_lossy_codecs_overshoot_counts_as_clipped() -> None:
    assert flags(tone(440, 1.2)) == ["clipped"]


def test_a_few_hits_at_the_ceiling_are_not_clipping() -> None:
    sound = tone(220, 0.5)
    sound[::RATE] = 1.0
    for start in range(0, 5 * RATE, RATE):
        sound[start : start + 10] = 1.0  # 10 of 44,100 samples: a quarter of the threshold
    assert flags(sound) == []


def test_one_clipped_channel_is_enough() -> None:
    assert flags(tone(330, 0.4), np.clip(tone(440, 1.3), -1, 1)) == ["clipped"]


def test_square_waves_of_old_games_are_flat_by_design() -> None:
    assert flags(np.sign(tone(440, 1.0)) * np.float32(0.5)) == []


def test_offset_of_one_channel() -> None:
    assert flags(tone(440, 0.3) + np.float32(0.012), tone(440, 0.3)) == ["dc_offset"]
    assert flags(tone(440, 0.3) - np.float32(0.008)) == []
    assert flags(tone(440, 0.3) + np.float32(0.5), seconds=0.5) == ["short"]  # too short to judge


def test_short_is_shorter_than_a_clip() -> None:
    assert flags(tone(440, 0.3), seconds=3.999) == ["short"]
    assert flags(tone(440, 0.3), seconds=4.0) == []


def test_blocks_add_up_to_the_whole() -> None:
    sound = np.stack([tone(440, 0.5) + np.float32(0.02), tone(330, 0.2)], axis=1)
    whole, parts = Measurement(), Measurement()
    whole.add(sound)
    for part in [*np.array_split(sound, 7), sound[:0]]:
        parts.add(part)
    assert (parts.samples, parts.cut) == (whole.samples, whole.cut)
    assert parts.offset == pytest.approx(whole.offset, rel=1e-6)
    assert parts.peak == pytest.approx(whole.peak, rel=1e-2)


def test_every_flag_has_a_sentence() -> None:
    assert set(flags(np.full(RATE, 0.3, np.float32), seconds=2.0)) <= set(FLAGS)
    assert {"silent", "clipped", "dc_offset", "short", "duplicate"} == set(FLAGS)
