"""Annotations on disk, and the truth of the procedural band."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.audio.annotations import KINDS, read_annotation, together, truth_of, write_annotation
from mirclr.audio.synth import Song, render
from mirclr.audio.synth_catalogue import catalogue, write_songs
from mirclr.errors import DatasetError
from mirclr.reports import finish


@pytest.fixture(scope="module")
def truth() -> dict[str, pd.DataFrame]:
    return truth_of(render(Song("waltz", "The Amber Foxes", 100, "Eb major", 4, 10), 16_000))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back_to_a_tenth_of_a_millisecond(
    kind: str, truth: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    write_annotation(tmp_path / "a" / "x.csv", kind, truth[kind])
    back = read_annotation(tmp_path / "a" / "x.csv", kind)
    assert list(back) == list(KINDS[kind])
    wanted = truth[kind].sort_values(KINDS[kind][0], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(back, wanted, check_dtype=False, atol=5.1e-5, rtol=0)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("onsets", "when\n1", "onsets need the columns time; time not found"),
        ("onsets", "time\n1\nsoon", "line 3: time has to be seconds, 0 or more, got 'soon'"),
        ("onsets", "time\n-1", "line 2: time has to be seconds"),
        ("beats", "time,position\n1,0", "line 2: position has to be a whole number in 1..64, got '0'"),
        ("notes", "start,end,pitch\n1,2,60.5", "line 2: pitch has to be a whole number in 0..127"),
        ("notes", "start,end,pitch\n1,1,60", "line 2: end has to be after its start, got '1'"),
        ("sections", "", "not a table of sections"),
    ],
)
def test_a_bad_file_is_refused_by_line(kind: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_annotation(tmp_path / "x.csv", kind)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"x\.csv: no such file, though it is listed as beats"):
        read_annotation(tmp_path / "x.csv", "beats")


def test_what_begins_together_is_one_onset() -> None:
    assert together(np.array([1.0, 0.0, 0.01, 0.035, 1.02])).tolist() == [0.0, 0.035, 1.0]
    assert together(np.array([])).tolist() == []


def test_bars_of_a_waltz_have_three_beats_and_sections_follow_each_other(truth: dict[str, pd.DataFrame]) -> None:
    assert truth["beats"]["position"].tolist() == [k % 3 + 1 for k in range(len(truth["beats"]))]
    ends, starts = truth["sections"]["end"].to_numpy(), truth["sections"]["start"].to_numpy()
    np.testing.assert_allclose(ends[:-1], starts[1:])


def test_the_truth_is_in_the_sound() -> None:
    """Where the drums alone are hit the energy rises within 10 ms."""
    rate = 16_000
    drums = render(Song("rock", "The Amber Foxes", 100, "A minor", 4, 6), rate, parts=("drums",))
    assert drums.notes == ()
    assert len(drums.hits) > 10
    power = np.square(drums.samples.astype(float))
    for hit in [h for h in drums.hits if h.drum in ("kick", "snare")][:8]:
        at = round(hit.start * rate)
        assert power[at : at + 160].sum() > 1.5 * power[at - 160 : at].sum()


def test_the_notes_are_in_the_sound() -> None:
    """The lead alone: at each of its notes the spectrum has a peak at the pitch or its octave."""
    rate = 8_000
    lead = render(Song("rock", "The Amber Foxes", 100, "A minor", 4, 12), rate, parts=("lead",))
    long = [note for note in lead.notes if note.duration > 0.3][:4]
    assert long
    for note in long:
        at = round((note.start + 0.1) * rate)
        spectrum = np.abs(np.fft.rfft(lead.samples[at : at + 1600] * np.hanning(1600), 16_000))
        hz = 440 * 2 ** ((note.pitch - 69) / 12)
        near = [spectrum[round(h * hz / 0.5) - 8 : round(h * hz / 0.5) + 9].max() for h in (1, 2, 3)]
        assert max(near) == pytest.approx(spectrum.max(), rel=0.01)


def test_a_collection_names_the_truth_of_its_tracks(tmp_path: Path) -> None:
    songs = catalogue(1, 1, 0, duration=2)
    table = finish(write_songs(tmp_path, songs, sample_rate=16_000, truth=True, workers=1))
    for kind in KINDS:
        expected = truth_of(render(songs[0], 16_000))[kind]
        assert len(read_annotation(tmp_path / table[kind].iloc[0], kind)) == len(expected) > 0
    assert not set(KINDS) & set(finish(write_songs(tmp_path / "b", songs, sample_rate=16_000, workers=1)))
