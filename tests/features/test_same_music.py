"""One recording, one piece or neither: told by the sound, whatever was done to it on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mirclr.audio.synth import Song, render
from mirclr.features.same_music import HOP, RATE, SAME_PIECE, SAME_RECORDING, compare, correlation, hear, recurrence
from mirclr.seeds import generator

TUNE = ("bass", "chords", "lead")


def play(artist: str = "A", tempo: float = 100, key: str = "C major", seed: int = 1, seconds: float = 30) -> np.ndarray:
    return render(Song("waltz", artist, tempo, key, seed, seconds), RATE, parts=TUNE).samples


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    return play()


def tilted(samples: np.ndarray) -> np.ndarray:
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (np.interp(hertz, [0, RATE / 2], [-6, 6]) / 20)).astype(np.float32)


def noisy(samples: np.ndarray) -> np.ndarray:
    return samples + 0.003 * generator(0, "same").normal(size=len(samples)).astype(np.float32)


@pytest.mark.parametrize("change", [lambda x: x / 4, tilted, noisy, lambda x: np.clip(2 * x, -1, 1)])
def test_a_recording_is_known_whatever_its_level_and_colour(
    song: np.ndarray, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    match = compare(hear(song), hear(change(song)))
    assert match.recording > SAME_RECORDING + 0.1
    assert (match.offset, match.speed, match.semitones) == (0, 1, 0)


def test_a_cut_recording_is_known_and_where_it_begins(song: np.ndarray) -> None:
    match = compare(hear(song), hear(song[3 * RATE :]))
    assert match.recording > SAME_RECORDING
    assert match.offset == pytest.approx(3, abs=HOP / RATE)
    assert compare(hear(song[3 * RATE :]), hear(song)).offset == pytest.approx(-3, abs=HOP / RATE)


@pytest.mark.parametrize("speed", [1.03, 0.95])
def test_a_tape_at_another_speed_is_known_and_how_fast_it_runs(song: np.ndarray, speed: float) -> None:
    import soxr

    match = compare(hear(song), hear(soxr.resample(song, RATE * speed, RATE)))
    assert match.recording > SAME_RECORDING
    assert match.speed == pytest.approx(speed, abs=0.003)


def test_another_band_plays_the_same_piece(song: np.ndarray) -> None:
    match = compare(hear(song), hear(play("The Others")))
    assert match.recording < SAME_RECORDING
    assert match.piece > SAME_PIECE


def test_the_same_piece_is_known_in_another_key_and_which(song: np.ndarray) -> None:
    lower = play(key="B major")
    match = compare(hear(song), hear(lower))
    assert match.recording < SAME_RECORDING
    assert (match.piece > SAME_PIECE, match.semitones) == (True, -1)
    assert compare(hear(lower), hear(song)).semitones == 1


def test_another_piece_by_the_same_band_in_the_same_key_and_tempo_is_another(song: np.ndarray) -> None:
    match = compare(hear(song), hear(play(seed=2)))
    assert match.recording < SAME_RECORDING
    assert match.piece < SAME_PIECE


def test_noise_and_silence_are_like_nothing(song: np.ndarray) -> None:
    silence, draw = np.zeros(30 * RATE, np.float32), generator(1, "same")
    noises = [draw.normal(size=30 * RATE).astype(np.float32) / 10 for _ in range(2)]
    broken = np.full(30 * RATE, np.nan, np.float32)
    for one, other in ((silence, silence), (silence, song), noises, (song, broken)):
        match = compare(hear(one), hear(other))
        assert match.recording < SAME_RECORDING / 2
        assert match.piece < SAME_PIECE


@pytest.mark.parametrize("samples", [1, 3 * HOP, RATE])
def test_a_sound_too_short_to_say_is_no_version(song: np.ndarray, samples: int) -> None:
    match = compare(hear(song), hear(play(seed=2)[:samples]))
    assert match.piece == 0
    assert match.recording <= 1


def test_the_correlation_is_that_of_the_overlap() -> None:
    draw = generator(2, "same")
    long, short = draw.normal(size=(2, 3, 400)).astype(np.float32)
    long[:, 120:400] = short[:, :280]
    height, lag = correlation(long, short)
    assert lag == 120
    assert height == pytest.approx(1, abs=1e-5)


def test_a_path_tells_what_was_skipped_and_no_chroma_is_too_short() -> None:
    chroma = generator(3, "same").uniform(size=(12, 120)).astype(np.float32)
    share, semitones, path = recurrence(chroma, np.roll(np.delete(chroma, range(50, 60), axis=1), 3, axis=0))
    assert share > 0.75
    assert semitones == 3
    assert {tuple(path[0]), tuple(path[-1])} == {(0, 0), (115, 105)}
    assert recurrence(chroma, chroma[:, :9])[0] == 0
