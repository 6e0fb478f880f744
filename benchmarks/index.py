"""Indexing speed against pure decoding of the same files in the same run, and search latency on a synthetic store.

    python benchmarks/index.py FOLDER --encoder RUN           # aim: indexing at half the speed of decoding or better
    python benchmarks/index.py --search --tracks 100000 --dim 512

Prints one JSON object on stdout. Decoding is to the encoder's rate, with as many threads as indexing uses. On a machine
with other work, read the fraction of processor time: it counts this program and the processes it starts, nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from mirclr.audio.decode import decode
from mirclr.audio.scan import scan
from mirclr.features.encoder_file import load_encoder
from mirclr.library.index import index_folder
from mirclr.library.playlist import Rules, Seed, make_playlist
from mirclr.library.rows import Binding
from mirclr.library.search import Catalogue, similar
from mirclr.library.store import Library
from mirclr.library.track_tags import put_tags
from mirclr.library.where import Where
from mirclr.reports import finish
from mirclr.seeds import generator

KINDS = ("wall_s", "cpu_s")
FILTERS = ("title like '%77%'", "tag.composer = 'composer 7'", "tag.bpm > 120", "tag.barcode like '%77%'")


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def costs_of(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds of one call, the processes it started and waited for included."""
    before = os.times()
    wall = seconds_of(work)
    after = os.times()
    return wall, sum(after[:4]) - sum(before[:4])


def indexing(folder: Path, encoder: Path, workers: int) -> dict[str, float]:
    """Seconds of decoding alone, of scanning alone, of a first index and of a second one."""
    extractor = load_encoder(encoder)
    found = finish(scan(folder, workers=workers))
    paths = list(found.tracks["path"])

    def decode_all() -> None:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda path: len(decode(path, extractor.sample_rate)), paths):
                pass

    with tempfile.TemporaryDirectory() as place, Library.open_or_create(Path(place, "a.db"), extractor) as library:

        def index() -> None:
            finish(index_folder(library, folder, extractor, workers=workers))

        taken = {
            "decode": costs_of(decode_all),
            "scan": costs_of(lambda: finish(scan(folder, workers=workers))),
            "index": costs_of(index),
            "index_again": costs_of(index),
        }
    audio = float(found.tracks["duration"].sum())
    fractions = (a / b for a, b in zip(taken["decode"], taken["index"], strict=True))
    return {
        "tracks": len(paths),
        "audio_h": audio / 3600,
        **{f"{name}_{kind}": cost for name, both in taken.items() for kind, cost in zip(KINDS, both, strict=True)},
        **{f"fraction_of_decoding_{kind}": fraction for kind, fraction in zip(KINDS, fractions, strict=True)},
    }


def synthetic_store(path: Path, tracks: int, dim: int) -> None:
    """A store of random vectors, 500 artists, 13 tags a track, written through the store's own door."""

    bound = Binding("synthetic", "0" * 32, dim, 16_000, None, "")
    draw = generator(0, "synthetic store")
    row = {"size": 1, "mtime_ns": 1, "duration": 200.0, "flags": ""}
    with Library.open_or_create(path, bound) as library, library.batch():
        for place in range(tracks):
            name, vector = f"{place:032x}", draw.standard_normal(dim, dtype=np.float32)
            tags = {"artist": f"Artist {draw.integers(500)}", "title": f"Title {place}"}
            library.put_track({**row, **tags, "path": f"/music/{place:07}.flac", "id": name, "audio_id": name})
            put_tags(library, name, tags_of(place, tags))
            library.put_vectors(name, vector, vector[None], np.zeros(1))


def tags_of(place: int, tags: dict[str, str]) -> dict[str, list[str]]:
    """What a well-kept file says: some of it shared by many files, some by none."""
    own = {name: [f"{place:012}"] for name in ("barcode", "isrc", "tracknumber", "musicbrainz_trackid")}
    shared = {name: [f"{name} {place % 97}"] for name in ("composer", "label", "album", "date", "encodersettings")}
    return (
        {name: [text] for name, text in tags.items()}
        | own
        | shared
        | {"bpm": [str(60 + place % 120)], "genre": ["a", "b"]}
    )


def filtering(catalogue: Catalogue) -> dict[str, float]:
    """Seconds of every filter, each on a catalogue that has read no tag."""
    out = {}
    for text in FILTERS:
        catalogue.__dict__.pop("tags", None)
        out[text] = seconds_of(lambda: Where.parse(text).mask(catalogue.tracks, catalogue.tags))  # noqa: B023
    return out


def searching(tracks: int, dim: int) -> dict[str, object]:
    """Seconds to load, first and from the packed copy, and of the nearness that hubs are corrected by, once per state;
    milliseconds a query (median of 20), seconds of a playlist of 20 and of 500."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "a.db")
        synthetic_store(path, tracks, dim)
        with Library.open(path) as library:
            first = seconds_of(partial(Catalogue.load, library))
            start = time.perf_counter()
            catalogue = Catalogue.load(library)
            load = time.perf_counter() - start
        nearness = seconds_of(lambda: catalogue.nearness)
        filters = filtering(catalogue)
        queries = [seconds_of(partial(similar, catalogue, catalogue.unit[row], 10, [row])) for row in range(20)]
        seeds = [Seed.at(catalogue, 0)]
        lists = {f"playlist_{n}_s": seconds_of(partial(make_playlist, catalogue, seeds, Rules(n))) for n in (20, 500)}
    loads = {"first_load_s": first, "load_s": load, "nearness_s": nearness}
    return {
        "tracks": tracks,
        "dim": dim,
        **loads,
        "filters_s": filters,
        "query_ms": 1000 * float(np.median(queries)),
        **lists,
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="music to index")
    parser.add_argument("--encoder", type=Path, help="run folder of the encoder to index with")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--search", action="store_true", help="measure searching a synthetic store")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    given = parser.parse_args()
    if (given.folder is None) != (given.encoder is None) or not (given.folder or given.search):
        parser.error("give FOLDER and --encoder RUN, or --search, or both")
    out: dict[str, object] = {}
    if given.folder:
        out["index"] = indexing(given.folder, given.encoder, given.workers)
    if given.search:
        out["search"] = searching(given.tracks, given.dim)
    json.dump(out, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
