"""Annotations of a track as one JAMS file (Humphrey et al., JAMS: a JSON annotated music specification for
reproducible MIR research, ISMIR 2014), version 0.3 of the format."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mirclr import __version__
from mirclr.files import write_atomic

_Row = dict[str, Any]
NAMESPACES: dict[str, tuple[str, Callable[[_Row], tuple[float, float, Any]]]] = {
    "beats": ("beat", lambda row: (row["time"], 0.0, row["position"])),
    "onsets": ("onset", lambda row: (row["time"], 0.0, None)),
    "notes": ("note_midi", lambda row: (row["start"], row["end"] - row["start"], float(row["pitch"]))),
    "sections": ("segment_open", lambda row: (row["start"], row["end"] - row["start"], row["label"])),
}
"""JAMS' namespace of each kind of annotation, and a row as (time, duration, value)."""


def write_jams(path: Path, tables: Mapping[str, pd.DataFrame], *, title: str, duration: float, by: str) -> None:
    """Write the `tables`, one a kind of annotation (mirclr.audio.annotations), of a track of `duration` seconds.

    `title`: what JAMS calls the track; `by`: what the annotations were made with.
    """
    made = [_annotation(kind, table, duration, by) for kind, table in tables.items()]
    meta = {"title": title, "artist": "", "release": "", "duration": round(duration, 4), "identifiers": {}}
    meta["jams_version"] = "0.3.4"
    whole = {"annotations": made, "file_metadata": meta, "sandbox": {}}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(whole, indent=1, allow_nan=False) + "\n")


def _annotation(kind: str, table: pd.DataFrame, duration: float, by: str) -> dict[str, Any]:
    namespace, cell = NAMESPACES[kind]
    cells = [cell({str(name): value for name, value in row.items()}) for row in table.to_dict("records")]
    data = [{"time": round(t, 4), "duration": round(d, 4), "value": value, "confidence": None} for t, d, value in cells]
    return {
        "namespace": namespace,
        "time": 0.0,
        "duration": round(duration, 4),
        "data": data,
        "annotation_metadata": {"annotation_tools": by, "version": __version__, "data_source": "program"},
        "sandbox": {},
    }
