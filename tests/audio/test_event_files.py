"""Notes go into MIDI files and come back; beats of other programs are read; what is wrong is named by its line."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirclr.audio.annotations import read_annotation
from mirclr.audio.midi import DRUMS, read_midi, write_midi
from mirclr.errors import DatasetError

TICK = 1 / 960


def table(*rows: tuple[float, float, int]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["start", "end", "pitch"])


def written(folder: Path, notes: pd.DataFrame) -> pd.DataFrame:
    write_midi(folder / "a.mid", notes)
    return read_annotation(folder / "a.mid", "notes")


def test_chords_and_repeated_notes_come_back(tmp_path: Path) -> None:
    notes = table((0.5, 1.0, 60), (0.5, 2.0, 64), (1.0, 1.5, 60), (3.25, 3.5, 127))
    pd.testing.assert_frame_equal(written(tmp_path, notes), notes, atol=TICK)
    assert written(tmp_path, table()).empty


def test_overlapping_notes_of_one_pitch_end_where_the_next_begins(tmp_path: Path) -> None:
    found = written(tmp_path, table((0.0, 2.0, 60), (1.0, 1.5, 60), (1.0, 3.0, 60)))
    pd.testing.assert_frame_equal(found, table((0.0, 1.0, 60), (1.0, 3.0, 60)), atol=TICK)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 100), st.integers(0, 127)), max_size=40))
def test_any_notes_keep_every_beginning(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]]
) -> None:
    notes = table(*((start / 32, (start + length) / 32, pitch) for start, length, pitch in rows))
    found = written(tmp_path_factory.mktemp("midi"), notes)
    wanted = sorted({(start / 32, pitch) for start, _, pitch in rows})
    assert [(round(s * 32) / 32, p) for s, p in zip(found["start"], found["pitch"], strict=True)] == wanted
    assert (found["end"] > found["start"]).all()


def test_times_follow_the_files_own_tempi_and_drums_are_no_notes(tmp_path: Path) -> None:
    track = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=1_000_000),
            mido.Message("note_on", note=60, velocity=9, time=100),
            mido.Message("note_on", note=36, velocity=9, channel=DRUMS, time=0),
            mido.MetaMessage("set_tempo", tempo=250_000, time=100),
            mido.Message("note_on", note=60, velocity=0, time=100),  # how many files say note_off
            mido.Message("note_on", note=72, velocity=9, time=0),
            mido.MetaMessage("end_of_track", time=400),
        ]
    )
    mido.MidiFile(type=0, ticks_per_beat=100, tracks=[track]).save(tmp_path / "b.midi")
    found = read_midi(tmp_path / "b.midi")
    np.testing.assert_allclose(found[["start", "end", "pitch"]], [[1.0, 2.25, 60], [2.25, 3.25, 72]])


@pytest.mark.parametrize(
    "content", [b"", b"RIFF....", b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x00\x00\x09\x00"]
)
def test_what_is_no_midi_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.mid").write_bytes(content)
    with pytest.raises(DatasetError, match=r"c\.mid: not a MIDI file"):
        read_midi(tmp_path / "c.mid")
    with pytest.raises(DatasetError, match=r"d\.mid: no such file"):
        read_midi(tmp_path / "d.mid")


def test_beats_of_other_programs_are_read_and_their_lines_named(tmp_path: Path) -> None:
    (tmp_path / "a.beats").write_text("0.04 4\n0.51\t1\n")
    found = read_annotation(tmp_path / "a.beats", "beats")
    assert (found["time"].tolist(), found["position"].tolist()) == ([0.04, 0.51], [4, 1])
    (tmp_path / "b.beats").write_text("0.04 4\n0.51\n")
    with pytest.raises(DatasetError, match=r"b\.beats: line 2: position has to be a whole number in 1\.\.64"):
        read_annotation(tmp_path / "b.beats", "beats")
