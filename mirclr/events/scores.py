"""How well events fit the truth, per track: mir_eval's measures, under the names and settings of the field.

| kind | measures |
|---|---|
| onsets | F-measure, precision, recall within 50 ms |
| beats | F-measure within 70 ms, CMLt, AMLt (continuity), F-measure of downbeats; beats before 5 s are left out |
| notes | note F-measure by onset (50 ms) and pitch, with offsets (20 % or 50 ms) too; multi-pitch accuracy |
| sections | boundary F-measure within 0.5 s and 3 s without the ends of the track; pairwise F-measure |
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pandas as pd

MAIN = {"onsets": "onset_f", "beats": "beat_f", "notes": "note_f", "sections": "boundary_f_3"}
"""The measure that decides, of each kind."""
HOP_S = 0.01
Events = pd.DataFrame | Mapping[str, np.ndarray]


def score_events(kind: str, truth: Events, found: Events) -> dict[str, float]:
    """Every measure of a kind, each in 0..1. `truth` and `found`: annotations (mirclr.audio.annotations).

    Raises ValueError on another kind.
    """
    if kind not in _SCORES:
        raise ValueError(f"kind must be one of {', '.join(_SCORES)}, got {kind!r}")
    with _quiet():
        return {name: float(value) for name, value in _SCORES[kind](truth, found).items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """mir_eval warns where there is nothing to measure, and answers 0, which is enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _column(events: Events, name: str) -> np.ndarray:
    return np.asarray(events[name], np.float64)


def onset_f(truth: Events, found: Events) -> float:
    """F-measure of onsets within 50 ms."""
    with _quiet():
        return float(_onsets(truth, found)["onset_f"])


def note_f(truth: Events, found: Events, *, ends: bool = False) -> float:
    """F-measure of notes by pitch and onset, with `ends` by their ends too."""
    with _quiet():
        return float(_matched(truth, found, ends)[2])


def _matched(truth: Events, found: Events, ends: bool) -> tuple[float, ...]:
    import mir_eval

    pair = (*_intervals(truth), *_intervals(found))
    measured: tuple[float, ...] = mir_eval.transcription.precision_recall_f1_overlap(
        *pair, offset_ratio=0.2 if ends else None
    )
    return measured


def _onsets(truth: Events, found: Events) -> dict[str, float]:
    import mir_eval

    f, precision, recall = mir_eval.onset.f_measure(_column(truth, "time"), _column(found, "time"), window=0.05)
    return {"onset_f": f, "onset_precision": precision, "onset_recall": recall}


def _beats(truth: Events, found: Events) -> dict[str, float]:
    import mir_eval

    true, heard = (mir_eval.beat.trim_beats(_column(each, "time")) for each in (truth, found))
    continuity = mir_eval.beat.continuity(true, heard) if len(true) > 1 and len(heard) > 1 else (0.0,) * 4
    _, correct, _, any_level = continuity
    return {
        "beat_f": mir_eval.beat.f_measure(true, heard),
        "cmlt": correct,
        "amlt": any_level,
        "downbeat_f": mir_eval.beat.f_measure(_downbeats(truth), _downbeats(found)),
    }


def _downbeats(events: Events) -> np.ndarray:
    import mir_eval

    first = _column(events, "position") == 1
    return np.asarray(mir_eval.beat.trim_beats(_column(events, "time")[first]))


def _notes(truth: Events, found: Events) -> dict[str, float]:
    import mir_eval

    (true, true_hz), (heard, heard_hz) = _intervals(truth), _intervals(found)
    by_onset = _matched(truth, found, ends=False)
    end = max([*true[:, 1], *heard[:, 1], HOP_S])
    times = np.arange(0, end, HOP_S)
    sounding = _sounding(true, true_hz, times), _sounding(heard, heard_hz, times)
    measured = mir_eval.multipitch.metrics(times, sounding[0], times, sounding[1])
    return {
        "note_f": by_onset[2],
        "note_precision": by_onset[0],
        "note_recall": by_onset[1],
        "note_offset_f": note_f(truth, found, ends=True),
        "multipitch_accuracy": measured[2],
    }


def _intervals(events: Events) -> tuple[np.ndarray, np.ndarray]:
    """`(M, 2)` seconds and `(M,)` Hz."""
    intervals = np.stack([_column(events, "start"), _column(events, "end")], axis=1)
    return intervals, 440.0 * 2 ** ((_column(events, "pitch") - 69) / 12)


def _sounding(intervals: np.ndarray, hz: np.ndarray, times: np.ndarray) -> list[np.ndarray]:
    """The distinct pitches that sound at each time."""
    active = [(times >= start) & (times < end) for start, end in intervals]
    table = np.array(active, bool).reshape(len(hz), len(times))
    return [np.unique(hz[column]) for column in table.T]


def _sections(truth: Events, found: Events) -> dict[str, float]:
    import mir_eval

    (true, true_labels), (heard, heard_labels) = _labelled(truth), _labelled(found)
    # mir_eval counts from 0 on; what is said of the time before the first true section is not judged.
    heard, heard_labels = mir_eval.util.adjust_intervals(heard, heard_labels, true.min(), true.max())
    true, heard = true - true.min(), heard - true.min()
    half, wide = (mir_eval.segment.detection(true, heard, window=w, trim=True)[2] for w in (0.5, 3.0))
    pairs = mir_eval.segment.pairwise(true, true_labels, heard, heard_labels)
    return {"boundary_f_05": half, "boundary_f_3": wide, "pairwise_f": pairs[2]}


def _labelled(events: Events) -> tuple[np.ndarray, list[str]]:
    intervals = np.stack([_column(events, "start"), _column(events, "end")], axis=1)
    return intervals, [str(label) for label in events["label"]]


_SCORES = {"onsets": _onsets, "beats": _beats, "notes": _notes, "sections": _sections}
