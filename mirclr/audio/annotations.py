"""What is said of moments of a track, as tables: beats, onsets, notes and sections, read and written as CSV.

| kind | columns |
|---|---|
| beats | `time` (s), `position`: 1 at the beginning of a bar |
| onsets | `time` (s) |
| notes | `start`, `end` (s), `pitch`: MIDI number, 60 is middle C |
| sections | `start`, `end` (s), `label` |

The first row names the columns, in any order; other columns are passed over. Rows are sorted by time when read. Notes
may be MIDI files, too (mirclr.audio.midi), and beats the `.beats` files of many collections: `time position` a line, no
first row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mirclr.audio.midi import SUFFIXES, read_midi
from mirclr.audio.synth import Rendered
from mirclr.errors import DatasetError
from mirclr.files import write_atomic

KINDS = {
    "beats": ("time", "position"),
    "onsets": ("time",),
    "notes": ("start", "end", "pitch"),
    "sections": ("start", "end", "label"),
}
"""Columns of each kind, the time of an event first."""
TOGETHER = 0.03
"""Seconds within which several sounds begin at one onset (Boeck, Krebs and Schedl, ISMIR 2012)."""
PLAIN = ".beats"
_WHOLE = {"position": (1, 64), "pitch": (0, 127)}


def write_annotation(path: Path, kind: str, table: pd.DataFrame) -> None:
    """Write the columns of a kind to `path`, its folder made if missing; seconds to a tenth of a millisecond."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, table[list(KINDS[kind])].round(4).to_csv(index=False))


def read_annotation(path: Path, kind: str) -> pd.DataFrame:
    """The columns of a kind, sorted by time: float64, whole numbers int64, labels str.

    Raises DatasetError, naming the file and the line, when it is not there, lacks a column or holds what is no time,
    pitch or position.
    """
    if path.suffix.lower() in SUFFIXES and kind == "notes":
        return read_midi(path)
    plain = path.suffix.lower() == PLAIN and kind == "beats"
    try:
        if plain:
            found = pd.read_csv(path, sep=r"\s+", header=None, names=KINDS[kind], dtype=str, keep_default_na=False)
        else:
            found = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file, though it is listed as {kind} of a track") from error
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path}: not a table of {kind}: {error}") from error
    lacking = [name for name in KINDS[kind] if name not in found]
    if lacking:
        raise DatasetError(f"{path}: {kind} need the columns {', '.join(KINDS[kind])}; {', '.join(lacking)} not found")
    table = pd.DataFrame({name: _column(path, name, found[name], 1 if plain else 2) for name in KINDS[kind]})
    if "end" in table:
        _refuse(path, "end", found["end"], (table["end"] <= table["start"]).to_numpy(), "after its start")
    return table.sort_values(KINDS[kind][0], kind="stable", ignore_index=True)


def _column(path: Path, name: str, cells: pd.Series, first: int) -> pd.Series:
    """The cells as numbers; `first`: the line of the first of them."""
    if name == "label":
        return cells
    values = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    low, high = _WHOLE.get(name, (0, np.inf))
    whole = name in _WHOLE
    number = values.to_numpy()
    wrong = ~(np.isfinite(number) & (number >= low) & (number <= high)) | (whole & (number != np.round(number)))
    wanted = f"a whole number in {low}..{high}" if whole else "seconds, 0 or more"
    _refuse(path, name, cells, wrong, wanted, first)
    return values.astype(np.int64) if whole else values


def _refuse(path: Path, name: str, cells: pd.Series, wrong: np.ndarray, wanted: str, first: int = 2) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise DatasetError(f"{path}: line {rows[0] + first}: {name} has to be {wanted}, got {cells.iloc[rows[0]]!r}")


def together(times: np.ndarray, within: float = TOGETHER) -> np.ndarray:
    """Sorted times without those that follow a kept one `within` seconds: what begins together is one onset."""
    kept: list[float] = []
    for time in np.sort(times):
        if not kept or time - kept[-1] > within:
            kept.append(float(time))
    return np.array(kept)


def truth_of(rendered: Rendered) -> dict[str, pd.DataFrame]:
    """Every kind of annotation of a track of the procedural band, exact: it is what was played."""
    beats = rendered.beats
    bars = np.searchsorted(rendered.downbeats, beats + 1e-9) - 1
    position = [k - int(np.searchsorted(beats, rendered.downbeats[bar])) + 1 for k, bar in enumerate(bars)]
    starts = [note.start for note in rendered.notes] + [hit.start for hit in rendered.hits]
    onsets = together(np.array(starts))
    notes = [(note.start, note.start + note.duration, note.pitch) for note in rendered.notes]
    return {
        "beats": pd.DataFrame({"time": beats, "position": position}),
        "onsets": pd.DataFrame({"time": onsets}),
        "notes": pd.DataFrame(notes, columns=list(KINDS["notes"])),
        "sections": pd.DataFrame(list(rendered.sections)).set_axis(list(KINDS["sections"]), axis=1),
    }
