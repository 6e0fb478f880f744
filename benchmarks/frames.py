"""Onsets, beats and notes on the procedural band: encoders and strides beside what librosa finds. All of it synthetic.

python benchmarks/frames.py FOLDER [--artists 24] [--tracks 2] [--seconds 20] [--steps 200] [--rows onsets,beats,notes]
python benchmarks/frames.py FOLDER --table labels.csv --rows notes      # on a table of annotated music of your own

Bands are those of `mirclr.audio.synth_catalogue` with style, tempo and key free of each other; no band is in two parts.
Every row is judged on the same test tracks; intervals are over bands. Writes a table a task to stdout.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.audio.decode import decode
from mirclr.audio.synth_catalogue import make_collection
from mirclr.compiled import librosa
from mirclr.config import validate
from mirclr.datasets.collection import Collection
from mirclr.evaluation.held_out_scores import score_held_out
from mirclr.events.scores import score_events
from mirclr.reports import finish
from mirclr.training.finetune import Predictions, finetune
from mirclr.training.finetune_config import FinetuneConfig
from mirclr.training.labelled import load_for_split

RATE, HOP = 16_000, 256
NANO = {"name": "resnet", "size": "nano"}
FINE = {**NANO, "stem": [4, 1]}
ALONG = {"name": "conv1d", "width": 32, "stages": 3, "stride": 1}
CQT = {"frontend": {"name": "cqt"}, "encoder": ALONG}
ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "onsets": {
        "resnet, 64 ms a feature": {"plan": {"encoder": NANO}},
        "resnet, 16 ms a feature (stem 4x1)": {"plan": {"encoder": FINE}},
        "the same, untrained, linear head": {"plan": {"encoder": FINE}, "mode": "head"},
    },
    "beats": {
        "resnet, 16 ms a feature (stem 4x1)": {"plan": {"encoder": FINE}},
        "the same, untrained, linear head": {"plan": {"encoder": FINE}, "mode": "head"},
    },
    "notes": {
        "CQT, conv1d, 16 ms a feature": {"plan": CQT},
        "the same, untrained, linear head": {"plan": CQT, "mode": "head"},
        "resnet, 16 ms a feature (stem 4x1)": {"plan": {"encoder": FINE}},
    },
}


def settings(row: dict[str, Any], steps: int, cache: Path) -> FinetuneConfig:
    """A row's run: effects that leave events where they are, no patience."""
    data = {
        "augment": {"spec": [{"name": "spec_eq", "p": 0.5}, {"name": "spec_gain", "p": 0.5}]},
        "optim": {"batch": 16, "learning_rate": 3e-3},
        "budget": {"steps": steps},
        "patience": None,
        "cache": {"folder": str(cache)},
        **row,
    }
    return validate(FinetuneConfig, data, "frames")


def librosa_finds(kind: str, path: str) -> dict[str, np.ndarray] | None:
    """What anybody can have; nothing for notes, of which librosa finds one at a time."""
    samples = decode(path, RATE)
    if kind == "onsets":
        return {"time": librosa().onset.onset_detect(y=samples, sr=RATE, hop_length=HOP, units="time")}
    if kind == "beats":
        _, times = librosa("librosa.beat").beat.beat_track(y=samples, sr=RATE, hop_length=HOP, units="time", trim=False)
        return {"time": times, "position": np.ones(len(times), int)}
    return None


def baseline(collection: Collection, kind: str, done: Predictions) -> dict[str, np.ndarray] | None:
    """librosa's measures on the test tracks; downbeats it has none."""
    known = dict(zip(collection.tracks["path"], collection.annotations, strict=True))
    rows = []
    for path in done.paths:
        found = librosa_finds(kind, path)
        if found is None:
            return None
        rows.append(score_events(kind, known[path], found))
    return {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "downbeat_f"}


def told(name: str, values: dict[str, np.ndarray], groups: np.ndarray) -> str:
    """A row of the table."""
    scores = score_held_out("beats", np.zeros((len(groups), 0)), np.zeros((len(groups), 0)), groups, values=values)
    cells = [f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})" for m in scores.measures.values()]
    return f"| {name} | {' | '.join(cells)} |"


def judged(kind: str, table: Path, out: Path, steps: int) -> Iterator[str]:
    """The lines of a task's table."""
    collection = load_for_split(table, None, task=kind)
    done: Predictions | None = None
    for number, (name, row) in enumerate(ROWS[kind].items()):
        run = finish(finetune(collection, settings(row, steps, out / "cache"), out / f"{kind}-{number}"))
        if done is None:
            columns = list(run.predictions.values)
            yield f"| {kind}: {len(run.predictions.groups)} test tracks | {' | '.join(columns)} |"
            yield "|---" * (len(columns) + 1) + "|"
        done = run.predictions
        yield told(name, dict(done.values), done.groups)
    if done is not None and (found := baseline(collection, kind, done)) is not None:
        yield told("librosa", found, done.groups)


def main() -> None:
    """Read the arguments, make the band, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--artists", type=int, default=24)
    parser.add_argument("--tracks", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rows", default="onsets,beats,notes")
    parser.add_argument("--table", type=Path, help="annotated music in place of the band, as docs/tasks.md has it")
    a = parser.parse_args()
    band = a.folder / "band"
    if a.table is None and not (band / "labels.csv").is_file():
        free = ("style", "tempo", "key")
        how = {"artists": a.artists, "tracks": a.tracks, "seconds": a.seconds}
        finish(make_collection(band, **how, seed=5, independent=free, truth=True, workers=1))
    for kind in a.rows.split(","):
        for line in judged(kind, a.table or band / "labels.csv", a.folder, a.steps):
            print(line, flush=True)


if __name__ == "__main__":
    main()
