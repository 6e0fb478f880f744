"""Activations to events, and measures that are mir_eval's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mirclr.events.decode import beats, flat_thresholds, notes, peaks
from mirclr.events.kinds import PITCHES
from mirclr.events.scores import MAIN, score_events
from mirclr.events.thresholds import choose_thresholds


def test_peaks_are_local_maxima_above_the_threshold_and_apart() -> None:
    activation = np.array([0.9, 0.1, 0.3, 0.6, 0.2, 0.55, 0.5, 0.0, 0.4, 0.8])
    assert peaks(activation, 0.5, 0.03).tolist() == [0, 3, 5, 9]
    assert peaks(activation, 0.5, 0.01).tolist() == [0, 3, 9]  # 5 lies 20 ms after the higher 3
    assert peaks(np.zeros(4), 0.5, 0.01).tolist() == []


def off(times: np.ndarray, period: float) -> np.ndarray:
    """How far times are from the nearest multiple of a period."""
    return times - period * np.round(times / period)


def test_a_steady_pulse_has_its_tempo_and_its_bars() -> None:
    scores = np.zeros((1500, 2))
    scores[10::50] = [1.0, 0.1]  # 120 a minute at 100 frames a second
    scores[60::150, 1] = 1.0  # the second of them begins a bar of three
    found = beats(scores, 0.01)
    inside = found[(found["time"] > 2) & (found["time"] < 13)]
    np.testing.assert_allclose(off(inside["time"].to_numpy() - 0.1, 0.5), 0.0, atol=0.02)
    starts = inside["time"][inside["position"] == 1].to_numpy()
    np.testing.assert_allclose(np.diff(starts), 1.5, atol=0.03)
    np.testing.assert_allclose(off(starts - 0.6, 1.5), 0.0, atol=0.03)


def test_silence_has_no_beats() -> None:
    assert len(beats(np.zeros((400, 2)), 0.01)) == 0


def test_a_note_needs_an_onset_and_lasts_while_its_frames_do() -> None:
    scores = np.zeros((40, 2 * len(PITCHES)))
    column = 60 - 21
    scores[[5, 15], column] = 0.9
    scores[5:20, len(PITCHES) + column] = 0.8  # struck again at 15, sounding to 20
    scores[2:30, len(PITCHES) + column + 1] = 0.9  # frames without an onset
    scores[35, column + 2] = 0.9  # an onset without frames
    found = notes(scores, 0.1, flat_thresholds("notes", 0.5))
    np.testing.assert_allclose(found.to_numpy(), [[0.5, 1.5, 60], [1.5, 2.0, 60], [3.5, 3.6, 62]])


def test_the_threshold_of_the_best_f_measure_is_chosen() -> None:
    activation = np.zeros((100, 1))
    activation[[10, 40, 70], 0] = 0.35
    activation[[20, 50], 0] = 0.12  # what is no onset
    truth = {"time": np.array([0.1, 0.4, 0.7])}
    assert choose_thresholds("onsets", [activation], [truth], 0.01).tolist() == [np.float32(0.3)]


def test_the_frames_threshold_is_chosen_by_where_notes_end() -> None:
    scores = np.zeros((200, 2 * len(PITCHES)))
    scores[20, 0] = 0.9
    scores[20:60, len(PITCHES)], scores[60:150, len(PITCHES)] = 0.55, 0.25
    truth = {"start": np.array([0.2]), "end": np.array([0.6]), "pitch": np.array([21])}
    chosen = choose_thresholds("notes", [scores], [truth], 0.01)
    assert (chosen[0], chosen[-1]) == (np.float32(0.8), np.float32(0.5))


NOTES = pd.DataFrame({"start": [0.0, 1.0], "end": [1.0, 2.0], "pitch": [60, 64]})


def test_notes_are_right_by_pitch_onset_and_end() -> None:
    late = NOTES.assign(start=[0.04, 1.2], end=[1.0, 2.0])
    short = NOTES.assign(end=[0.5, 2.0])
    assert score_events("notes", NOTES, NOTES)["note_offset_f"] == 1.0
    assert score_events("notes", NOTES, late)["note_f"] == 0.5
    assert (score_events("notes", NOTES, short)["note_f"], score_events("notes", NOTES, short)["note_offset_f"]) == (
        1,
        0.5,
    )
    assert score_events("notes", NOTES, NOTES.iloc[:1])["multipitch_accuracy"] == pytest.approx(0.5, abs=0.01)


def test_sections_are_right_by_boundaries_and_by_what_belongs_together() -> None:
    truth = pd.DataFrame({"start": [0.2, 10, 20], "end": [10, 20, 30.0], "label": ["verse", "chorus", "verse"]})
    found = pd.DataFrame({"start": [0.0, 12, 20], "end": [12, 20, 31.0], "label": ["A", "B", "A"]})
    scores = score_events("sections", truth, found)
    assert (scores["boundary_f_05"], scores["boundary_f_3"]) == (0.5, 1.0)
    assert 0.5 < scores["pairwise_f"] < 1
    assert score_events("sections", truth, truth)["pairwise_f"] == 1.0


def test_beats_of_half_the_tempo_are_right_at_another_level_only() -> None:
    truth = pd.DataFrame({"time": np.arange(0, 30, 0.5), "position": 1})
    scores = score_events("beats", truth, truth.iloc[::2])
    assert (scores["cmlt"], scores["amlt"]) == (0, 1)
    assert scores["beat_f"] == pytest.approx(2 / 3, abs=0.02)


@pytest.mark.parametrize("kind", ["onsets", "beats", "notes"])
def test_finding_nothing_is_worth_nothing(kind: str) -> None:
    some = {"time": np.array([6.0, 7.0]), "position": np.array([1, 2])} if kind != "notes" else NOTES
    none = {name: np.asarray(some[name])[:0] for name in some}
    assert set(score_events(kind, some, none).values()) == {0.0}
    assert MAIN[kind] in score_events(kind, some, none)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of onsets, beats, notes, sections, got 'chords'"):
        score_events("chords", NOTES, NOTES)
