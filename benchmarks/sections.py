"""Sections of the procedural band, found by an encoder's features, beside answers that hear nothing. All synthetic.

    python benchmarks/sections.py FOLDER --encoder RUN [--artists 16] [--tracks 2] [--seconds 90]

Rows: the encoder, the same with the weights it would begin with, log-mel itself, no boundary at all, and a boundary
every 16 s, the usual length of a section. Boundaries within 0.5 s and 3 s without the track's ends, and pairwise
F-measure (mir_eval.segment); intervals are over bands.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirclr.audio.annotations import read_annotation
from mirclr.audio.decode import decode
from mirclr.audio.synth_catalogue import make_collection
from mirclr.evaluation.held_out_scores import score_held_out
from mirclr.events.scores import score_events
from mirclr.events.structure import sections
from mirclr.features.annotate import SECTIONS, Annotator
from mirclr.features.encoder import EncoderExtractor
from mirclr.features.encoder_file import load_encoder
from mirclr.features.random_init import random_encoder
from mirclr.reports import finish

USUAL_S = 16.0
Finder = Callable[[np.ndarray], pd.DataFrame]


def by_log_mel(extractor: EncoderExtractor) -> Finder:
    """Foote's method on the frontend's bands themselves."""

    frontend, rate = extractor.embedder.frontend, extractor.sample_rate

    def found(samples: np.ndarray) -> pd.DataFrame:
        power = frontend.track(torch.from_numpy(samples)).cpu().numpy()
        return sections(np.log(np.maximum(power, 1e-6)).T, frontend.hop / rate)

    return found


def every(seconds: float, rate: int) -> Finder:
    """A new section every so many seconds, all of one letter."""

    def found(samples: np.ndarray) -> pd.DataFrame:
        end = len(samples) / rate
        starts = np.arange(0, end, seconds)
        return pd.DataFrame({"start": starts, "end": [*starts[1:], end], "label": "A"})

    return found


def judged(band: Path, finder: Finder, rate: int) -> pd.DataFrame:
    """The measures of every track, and its band."""
    rows = []
    for track in pd.read_csv(band / "labels.csv").to_dict("records"):
        found = finder(decode(str(band / track["path"]), rate))
        truth = read_annotation(band / track["sections"], SECTIONS)
        rows.append({"artist": track["artist"], **score_events(SECTIONS, truth, found)})
    return pd.DataFrame(rows)


def told(scores: pd.DataFrame) -> Mapping[str, str]:
    """Means with their 95 % intervals over bands."""
    groups, nothing = scores.pop("artist").factorize()[0], np.zeros((len(scores), 0))
    values = {name: column.to_numpy() for name, column in scores.items()}
    measures = score_held_out(SECTIONS, nothing, nothing, groups, values=values).measures
    return {name: f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})" for name, m in measures.items()}


def main() -> None:
    """Make the band, let every row find its sections, print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--artists", type=int, default=16)
    parser.add_argument("--tracks", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=90.0)
    a = parser.parse_args()
    band = a.folder / "band"
    if not (band / "labels.csv").is_file():
        how = {"artists": a.artists, "tracks": a.tracks, "seconds": a.seconds}
        finish(make_collection(band, **how, seed=7, independent=("style", "tempo", "key"), truth=True, workers=1))
    extractor = load_encoder(a.encoder)
    rows: dict[str, Finder] = {
        "encoder": Annotator(SECTIONS, extractor),
        "untrained": Annotator(SECTIONS, random_encoder(extractor, seed=0)),
        "log-mel": by_log_mel(extractor),
        "no boundary": every(np.inf, extractor.sample_rate),
        f"every {USUAL_S:g} s": every(USUAL_S, extractor.sample_rate),
    }
    print(
        json.dumps({name: told(judged(band, finder, extractor.sample_rate)) for name, finder in rows.items()}, indent=1)
    )


if __name__ == "__main__":
    main()
