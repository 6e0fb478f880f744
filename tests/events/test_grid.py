"""Truth on a grid: hand-computed frames, and that decoding the truth gives the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirclr.audio.annotations import truth_of
from mirclr.audio.synth import Song, render
from mirclr.events.decode import decode, flat_thresholds
from mirclr.events.grid import occurring, on_grid, within
from mirclr.events.kinds import OUTPUTS, PITCHES, kind_of
from mirclr.events.scores import score_events


def columns(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in table}


@pytest.fixture(scope="module")
def truth() -> dict[str, pd.DataFrame]:
    return truth_of(render(Song("rock", "The Amber Foxes", 120, "A minor", 1, 12), 16_000))


def test_an_event_is_one_where_it_is_and_half_beside_it() -> None:
    grid = on_grid("onsets", {"time": np.array([0.101, 0.32])}, 0.0, 0.1, 5)
    np.testing.assert_allclose(grid[:, 0], [0.5, 1, 0.5, 1, 0.5])


def test_an_event_just_outside_a_crop_is_seen_from_within() -> None:
    grid = on_grid("onsets", {"time": np.array([0.9, 1.5])}, 1.0, 0.1, 5)
    np.testing.assert_allclose(grid[:, 0], [0.5, 0, 0, 0, 0.5])


def test_downbeats_are_the_first_beats_of_their_bars() -> None:
    grid = on_grid("beats", {"time": np.array([0.0, 0.3]), "position": np.array([4, 1])}, 0.0, 0.1, 4)
    np.testing.assert_allclose(grid, [[1, 0], [0.5, 0], [0.5, 0.5], [1, 1]])


def test_a_note_sounds_from_its_start_to_its_end_and_the_shortest_for_a_frame() -> None:
    events = {"start": np.array([0.1, 0.2, 0.0]), "end": np.array([0.4, 0.21, 9.0]), "pitch": np.array([60, 108, 20])}
    grid = on_grid("notes", events, 0.0, 0.1, 5)
    assert grid[:, len(PITCHES) + 60 - 21].tolist() == [0, 1, 1, 1, 0]
    assert grid[:, len(PITCHES) + 87].tolist() == [0, 0, 1, 0, 0]
    assert grid[:, 60 - 21].tolist() == [0.5, 1, 0.5, 0, 0]
    assert grid[:, :21].sum() == 0  # 20 lies below the piano and has no output
    assert occurring("notes", events).sum() == 4


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_crop_of_the_grid_is_the_grid_of_the_crop(kind: str, truth: dict[str, pd.DataFrame]) -> None:
    events = columns(truth[kind])
    whole = on_grid(kind, events, 0.0, 0.016, 700)
    np.testing.assert_array_equal(on_grid(kind, events, 300 * 0.016, 0.016, 100), whole[300:400])


@pytest.mark.parametrize("step", [0.01, 0.032])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_decoding_the_truth_gives_the_truth(kind: str, step: float, truth: dict[str, pd.DataFrame]) -> None:
    grid = on_grid(kind, columns(truth[kind]), 0.0, step, round(12 / step))
    scores = score_events(kind, truth[kind], decode(kind, grid, step, flat_thresholds(kind, 0.75)))
    exact = {name: value for name, value in scores.items() if name not in ("multipitch_accuracy", "downbeat_f")}
    assert min(exact.values()) > 0.99, scores
    assert scores.get("multipitch_accuracy", 1.0) > 0.9
    assert scores.get("downbeat_f", 1.0) > 0.9


def test_an_excerpt_counts_from_its_own_start() -> None:
    notes = {"start": np.array([1.0, 2.0, 4.0]), "end": np.array([3.0, 9.0, 5.0]), "pitch": np.array([1, 2, 3])}
    cut = within(notes, 2.0, 2.0)
    assert (cut["start"].tolist(), cut["end"].tolist(), cut["pitch"].tolist()) == ([0.0], [2.0], [2])
    assert within({"time": np.array([1.0, 2.5])}, 2.0, 2.0)["time"].tolist() == [0.5]


def test_a_kind_is_known_by_its_outputs() -> None:
    assert [kind_of(outputs) for outputs in OUTPUTS.values()] == list(OUTPUTS)
    assert kind_of(("jazz", "rock")) is None
