"""Duplicates measured: what is found in a library as it is, and of recordings that were changed on purpose.

    python benchmarks/duplicates.py --store library.db --encoder RUN --under emotify_a --skip 12

Prints the pairs of the store, which a person has to judge, then one row a change: how many of `--tracks` drawn tracks
(after the first `--skip` of the draw, on which thresholds were set; none that has a pair already) are told as what,
were proposed and not told, or not even proposed; `false` counts pairs of a changed file with any other track. Each
change is indexed into a copy of the store of its own; nothing else is written.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from mirclr.audio.decode import decode
from mirclr.compiled import librosa
from mirclr.features.encoder_file import load_encoder
from mirclr.features.extractor import Extractor
from mirclr.features.same_music import compare
from mirclr.library.alike import candidates
from mirclr.library.duplicates import Pair, duplicates, kind_of, listen
from mirclr.library.index import index_folder
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.reports import finish
from mirclr.seeds import generator

RATE = 22_050
heard = lru_cache(maxsize=2000)(listen)


def tilted(samples: np.ndarray) -> np.ndarray:
    """12 dB from 50 Hz to the top, straight over octaves."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 50) / 50)
    gain = 10 ** (np.interp(octaves, [0, octaves[-1]], [-6, 6]) / 20)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "6 dB softer": lambda x: x / 2,
    "Ogg Vorbis at the lowest quality": lambda x: x,
    "first 3 s cut": lambda x: x[3 * RATE :],
    "first 10 s cut": lambda x: x[10 * RATE :],
    "spectrum tilted by 12 dB": tilted,
    "3 % faster, pitch kept": lambda x: librosa().effects.time_stretch(x, rate=1.03),
    "10 % faster, pitch kept": lambda x: librosa().effects.time_stretch(x, rate=1.1),
    "2 % faster with the pitch": lambda x: soxr.resample(x, RATE * 1.02, RATE),
    "a semitone up": lambda x: librosa().effects.pitch_shift(x, sr=RATE, n_steps=1),
}


def write(place: Path, change: str, samples: np.ndarray) -> None:
    """A changed recording as FLAC, or as the Ogg Vorbis that is the change."""
    sound = CHANGES[change](samples)
    sound = sound / max(1.0, float(np.abs(sound).max()))
    if change.startswith("Ogg"):
        soundfile.write(place.with_suffix(".ogg"), sound, RATE, format="OGG", subtype="VORBIS", compression_level=1.0)
    else:
        soundfile.write(place.with_suffix(".flac"), sound, RATE)


def asked(store: Path, extractor: Extractor, change: str, originals: list[str]) -> Counter[str]:
    """What became of each changed original, counted."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "library.db")
        shutil.copy(store, own)
        changed = Path(folder, "changed")
        changed.mkdir()
        for number, path in enumerate(originals):
            write(changed / f"{number}", change, decode(path, RATE))
        with Library.open_or_create(own, extractor) as library:
            finish(index_folder(library, [changed], extractor))
            catalogue = Catalogue.load(library)
        return told(catalogue, changed, originals)


def told(catalogue: Catalogue, changed: Path, originals: list[str]) -> Counter[str]:
    """Counts of kinds among the changed tracks of a store, by comparing the candidates that hold one."""
    paths, counts, seen = catalogue.tracks["path"].tolist(), Counter[str](), set[str]()
    for pair in candidates(catalogue):
        one, other = sorted((paths[row] for row in pair), key=lambda path: Path(path).parent == changed)
        if Path(other).parent != changed:
            continue
        counts["pairs"] += 1
        kind = kind_of(compare(heard(one), heard(other)))
        if originals[int(Path(other).stem)] == one:
            seen.add(other)
            counts[kind or "proposed"] += 1
        elif kind is not None:
            counts["false"] += 1
            print("  false:", kind, one, originals[int(Path(other).stem)])
    counts["not proposed"] = len(originals) - len(seen)
    return counts


def found_as_it_is(store: Path) -> tuple[Catalogue, list[Pair]]:
    """The pairs of the store, printed."""
    with Library.open(store) as library:
        catalogue = Catalogue.load(library)
    begin = time.perf_counter()
    found = finish(duplicates(catalogue))
    seconds = time.perf_counter() - begin
    print(f"{len(catalogue.tracks)} tracks, {found.candidates} pairs proposed, {seconds:.0f} s")
    for pair in found.pairs:
        print(f"  {pair.kind} {pair.likeness} {pair.first} {pair.second} {pair.reason or ''}")
    return catalogue, found.pairs


def main() -> None:
    """The pairs, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--under", default="", help="Draw among paths that hold this.")
    parser.add_argument("--tracks", type=int, default=12)
    parser.add_argument("--skip", type=int, default=12)
    a = parser.parse_args()
    catalogue, pairs = found_as_it_is(a.store)
    paired = {path for pair in pairs for path in (pair.first, pair.second)}
    paths = np.array([path for path in catalogue.tracks["path"] if a.under in path and path not in paired])
    drawn = paths[generator(0, "duplicates benchmark").permutation(len(paths))[a.skip : a.skip + a.tracks]].tolist()
    extractor = load_encoder(a.encoder)
    columns = ["near_duplicate", "version", "proposed", "not proposed", "false", "pairs"]
    print(f"| change | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|")
    for change in CHANGES:
        counts = asked(a.store, extractor, change, drawn)
        print(f"| {change} | {' | '.join(str(counts[column]) for column in columns)} |", flush=True)


if __name__ == "__main__":
    main()
