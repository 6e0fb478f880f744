"""Events on a grid of frames: what a frame-level head is taught."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mirclr.events.kinds import HIGHEST, LOWEST, OUTPUTS, PITCHES

BESIDE = 0.5
"""The target of the frames beside an event. An event falls between frames, and its truth is rarely as exact as a frame:
neighbours that count half cost less than missing it by one (Boeck and Davies, ISMIR 2020). It also triples
the share of frames that are not silent."""
Events = Mapping[str, np.ndarray]
"""Columns of an annotation (mirclr.audio.annotations) as arrays `(M,)`, sorted by time."""


def on_grid(kind: str, events: Events, start: float, step: float, count: int) -> np.ndarray:
    """`(count, K)` float32 in 0..1 for the outputs of a kind; frame k lies at `start + k * step` seconds.

    An event is 1 in the frame nearest to it and at least `BESIDE` in the two around; a note sounds (its `frame` output)
    in every frame from its start to before its end. Pitches outside the piano have no output.
    """
    out = np.zeros((count, len(OUTPUTS[kind])), np.float32)
    if kind == "onsets":
        _mark(out, events["time"], np.zeros(len(events["time"]), int), start, step)
    elif kind == "beats":
        _mark(out, events["time"], np.zeros(len(events["time"]), int), start, step)
        first = events["time"][events["position"] == 1]
        _mark(out, first, np.ones(len(first), int), start, step)
    else:
        _notes(out, events, start, step)
    return out


def within(events: Events, start: float, seconds: float) -> dict[str, np.ndarray]:
    """What begins in an excerpt from `start` s, in seconds from its start; what sounds on is cut at its end."""
    begin = events["time"] if "time" in events else events["start"]
    inside = (begin >= start) & (begin < start + seconds)
    moved = {name: column[inside] for name, column in events.items()}
    for name in {"time", "start", "end"} & set(moved):
        moved[name] = np.minimum(moved[name] - start, seconds)
    return moved


def occurring(kind: str, events: Events) -> np.ndarray:
    """`(K,)` float32 of zeros and ones: which outputs of a kind an annotation has at all."""
    out = np.zeros(len(OUTPUTS[kind]), np.float32)
    if kind == "notes":
        piano = events["pitch"][(events["pitch"] >= LOWEST) & (events["pitch"] <= HIGHEST)].astype(int) - LOWEST
        out[piano] = out[len(PITCHES) + piano] = 1.0
        return out
    out[0] = len(events["time"]) > 0
    if kind == "beats":
        out[1] = (events["position"] == 1).any()
    return out


def _mark(out: np.ndarray, times: np.ndarray, column: np.ndarray, start: float, step: float) -> None:
    """Events of columns of `out`: the whole ones last, so that a neighbour never weakens one."""
    place = np.round((times - start) / step).astype(int)
    for shift, value in ((-1, BESIDE), (1, BESIDE), (0, 1.0)):
        rows = place + shift
        inside = (rows >= 0) & (rows < len(out))
        out[rows[inside], column[inside]] = np.maximum(out[rows[inside], column[inside]], value)


def _notes(out: np.ndarray, events: Events, start: float, step: float) -> None:
    near = (events["end"] > start - step) & (events["start"] < start + (len(out) + 1) * step)
    near &= (events["pitch"] >= LOWEST) & (events["pitch"] <= HIGHEST)
    begin, end, column = events["start"][near], events["end"][near], events["pitch"][near].astype(int) - LOWEST
    _mark(out, begin, column, start, step)
    first = np.clip(np.round((begin - start) / step), 0, len(out)).astype(int)
    after = np.clip(np.round((end - start) / step), 0, len(out)).astype(int)
    for low, high, pitch in zip(first, np.maximum(after, first + 1), column, strict=True):
        out[low:high, len(PITCHES) + pitch] = 1.0
