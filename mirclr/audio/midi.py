"""Notes as MIDI files, by the package mido: what a score editor opens, and how many transcriptions are published."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import pandas as pd

from mirclr.errors import DatasetError
from mirclr.files import write_atomic

SUFFIXES = (".mid", ".midi")
TICKS = 480  # a quarter note
TEMPO_US = 500_000  # microseconds a quarter note: 120 beats per minute, so a tick is about a millisecond
VELOCITY = 80  # how loud a note was is not said here
DRUMS = 9  # General MIDI's channel 10: its numbers are instruments, no pitches


def write_midi(path: Path, notes: pd.DataFrame) -> None:
    """Write `start`, `end` (s) and `pitch` (MIDI number) as a file of one track at 120 beats per minute, times to the
    nearest tick (1.04 ms). Notes of one pitch that overlap end where the next begins: MIDI cannot tell them apart."""
    import mido

    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO_US)])
    now = 0
    for tick, message, pitch in sorted(_messages(notes)):
        track.append(mido.Message(message, note=pitch, velocity=VELOCITY, time=tick - now))
        now = tick
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track])
    buffer = io.BytesIO()
    file.save(file=buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())


def _messages(notes: pd.DataFrame) -> list[tuple[int, str, int]]:
    """(tick, message, pitch) of both ends of every note; sorted, a note's end comes before the next one's start."""
    a_second = TICKS * 1_000_000 / TEMPO_US
    out: list[tuple[int, str, int]] = []
    for pitch in notes["pitch"].unique().tolist():
        same = notes[notes["pitch"] == pitch]
        ends: dict[int, int] = {}  # two that begin in one tick are one, as long as the longer
        for start, end in zip(same["start"], same["end"], strict=True):
            tick = round(float(start) * a_second)
            ends[tick] = max(ends.get(tick, 0), tick + 1, round(float(end) * a_second))
        starts = sorted(ends)
        for tick, following in zip(starts, [*starts[1:], max(ends.values())], strict=True):
            out += [(tick, "note_on", int(pitch)), (min(ends[tick], following), "note_off", int(pitch))]
    return out


def read_midi(path: Path) -> pd.DataFrame:
    """`start`, `end` (s), `pitch` of every note of every track but the drums, by the file's own tempi; sorted by start.

    A note that is struck again before it ends, ends there; one that never ends, ends with the file. Raises DatasetError
    when the file is missing or is no MIDI.
    """
    import mido

    try:
        messages = [message for message in mido.MidiFile(path) if not message.is_meta or message.time]
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file, though it is listed as notes of a track") from error
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DatasetError(f"{path}: not a MIDI file that can be read: {error}") from error
    now = 0.0
    sounding: dict[tuple[int, int], list[float]] = defaultdict(list)
    rows: list[tuple[float, float, int]] = []
    for message in messages:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        begun = sounding[message.channel, message.note]
        if begun:
            rows.append((begun.pop(), now, message.note))
        if message.type == "note_on" and message.velocity:
            begun.append(now)
    rows += [(begun, now, pitch) for (_, pitch), left in sounding.items() for begun in left]
    table = pd.DataFrame([row for row in rows if row[1] > row[0]], columns=["start", "end", "pitch"])
    return table.astype({"pitch": "int64"}).sort_values(["start", "pitch"], ignore_index=True)
