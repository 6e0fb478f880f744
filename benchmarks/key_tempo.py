"""Keys and tempi of the procedural band: probes on encoders beside what anybody can have. All of it synthetic.

python benchmarks/key_tempo.py FOLDER [--encoder RUN ...] [--artists 24] [--tracks 2] [--seconds 20]

Bands are those of `mirclr.audio.synth_catalogue` with style, tempo and key free of each other. Probes train on
some bands and are tested on others, in five folds; intervals are over bands. Keys of chroma: correlation with the
profiles of Krumhansl and Kessler (1982); tempi of librosa: `librosa.feature.tempo`. Those two are trained on nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mirclr.audio.decode import decode
from mirclr.audio.synth_catalogue import make_collection
from mirclr.compiled import librosa
from mirclr.datasets.collection import Collection
from mirclr.datasets.table import load_collection
from mirclr.evaluation.held_out_scores import score_held_out
from mirclr.evaluation.judge import Judge, Measure
from mirclr.evaluation.subject import embed_collection
from mirclr.features.embed import embed_tracks
from mirclr.features.encoder_file import load_encoder
from mirclr.features.extractor import Extractor
from mirclr.features.handcrafted import MfccStatistics
from mirclr.features.random_init import random_encoder
from mirclr.reports import finish

RATE = 22_050
SHOWN = {"key": ("weighted_score", "accuracy"), "tempo": ("acc1", "acc2", "p_score")}
# Krumhansl and Kessler, Psychological Review 89(4), 1982; from the tonic up.
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def key_of_chroma(samples: np.ndarray) -> np.ndarray:
    """`(24,)` correlations of the mean chroma with the profile of each key."""
    chroma = librosa().feature.chroma_cqt(y=samples, sr=RATE).mean(axis=1)
    profiles = [np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)]
    return np.array([np.corrcoef(chroma, profile)[0, 1] for profile in profiles])


def tempo_of_librosa(samples: np.ndarray) -> np.ndarray:
    """`(1,)` log2 of beats per minute."""
    return np.log2(librosa().feature.tempo(y=samples, sr=RATE)[:1])


def handcrafted(kind: str, collection: Collection) -> Mapping[str, Measure]:
    """The rival of a kind, on every track."""
    answer = {"key": key_of_chroma, "tempo": tempo_of_librosa}[kind]
    scores = np.stack([answer(decode(path, RATE)) for path in collection.tracks["path"]])
    return score_held_out(collection.kind, collection.targets, scores, collection.groups).measures


def told(name: str, measures: Mapping[str, Measure]) -> str:
    """A row of the table."""
    cells = [f"{100 * m.value:.1f} % ({100 * m.low:.1f} to {100 * m.high:.1f})" for m in measures.values()]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Make the band, embed it once, print a table for keys and one for tempi."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", type=Path, action="append", default=[])
    parser.add_argument("--artists", type=int, default=24)
    parser.add_argument("--tracks", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    a = parser.parse_args()
    table = a.folder / "band" / "labels.csv"
    if not table.is_file():
        how = {"artists": a.artists, "tracks": a.tracks, "seconds": a.seconds, "seed": 5, "truth": True}
        finish(make_collection(table.parent, **how, independent=("style", "tempo", "key"), workers=1))
    extractors: dict[str, Extractor] = {"MFCC statistics": MfccStatistics()}
    for place in a.encoder:
        encoder = load_encoder(place)
        extractors |= {encoder.name: encoder, f"{encoder.name}, untrained": random_encoder(encoder, 0)}
    keys = load_collection(table, task="key")
    vectors = finish(embed_collection(keys, extractors, embed_tracks)).vectors
    for kind, shown in SHOWN.items():
        collection = load_collection(table, task=kind)
        print(f"| {kind}: {len(collection.tracks)} tracks | {' | '.join(shown)} |")
        print("|---" * (len(shown) + 1) + "|", flush=True)
        judge = Judge.of(collection)
        rows = {"chance": judge.chance(), **{name: judge.row(each) for name, each in vectors.items()}}
        for name, judged in rows.items():
            print(told(name, {each: judged.measures[f"linear.{each}"] for each in shown}), flush=True)
        found = handcrafted(kind, collection)
        print(
            told("chroma template" if kind == "key" else "librosa", {each: found[each] for each in shown}), flush=True
        )


if __name__ == "__main__":
    main()
