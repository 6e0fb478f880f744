"""Playlists measured: are journeys smoother and more diverse than straight lists, and how long do long lists take?

    python benchmarks/playlists.py --store library.db --pairs 200      # journeys against nearest lists, many seed pairs
    python benchmarks/playlists.py --speed --tracks 100000 --dim 512   # 500 tracks, all rules, a synthetic store

Prints one JSON object on stdout. A journey from A to B is compared with the nearest list of the same length that
begins with A and B, by smoothness (mean cosine of neighbours) and diversity (mean distance of all pairs); the interval
draws seed pairs with replacement. Times are given beside one pass over the vectors (a query), so that a busy machine
shows in both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mirclr.library.playlist import Choice, Playlist, Seed, Shape, make_playlist
from mirclr.library.playlist_order import ordered
from mirclr.library.playlist_rules import Rules
from mirclr.library.playlist_score import score
from mirclr.library.playlist_targets import Arc
from mirclr.library.rows import Binding
from mirclr.library.search import Catalogue, similar
from mirclr.library.store import Library
from mirclr.library.transitions import Weights
from mirclr.seeds import generator

MEASURED = ("smoothness", "roughest", "diversity")


def card(catalogue: Catalogue, made: Playlist) -> np.ndarray:
    """The measures of a list."""
    tracks = [Seed(entry.track, np.asarray(entry.unit), entry.row) for entry in made.entries]
    found = score(catalogue, tracks)
    return np.array([found[name] for name in MEASURED])


def journeys(store: Path, pairs: int, length: int) -> dict[str, object]:
    """Journeys, nearest lists in smooth order and nearest lists as ranked, over the same seed pairs."""
    with Library.open(store) as library:
        catalogue = Catalogue.load(library)
    draw = generator(0, "seed pairs")
    rules = Rules(length, per_artist=length, artist_run=None)
    cards: dict[str, list[np.ndarray]] = {"journey": [], "nearest": [], "ranked": []}
    for _ in range(pairs):
        seeds = [Seed.at(catalogue, int(row)) for row in draw.choice(len(catalogue.tracks), 2, replace=False)]
        cards["journey"].append(card(catalogue, make_playlist(catalogue, seeds, rules, Shape("journey"))))
        cards["nearest"].append(card(catalogue, make_playlist(catalogue, seeds, rules)))
        straight = Rules(length, per_artist=length, order="ranked")
        cards["ranked"].append(card(catalogue, make_playlist(catalogue, seeds, straight)))
    tables = {name: np.array(rows) for name, rows in cards.items()}
    out: dict[str, object] = {"pairs": pairs, "length": length}
    out |= {
        name: dict(zip(MEASURED, table.mean(axis=0).round(4).tolist(), strict=True)) for name, table in tables.items()
    }
    for other in ("nearest", "ranked"):
        out[f"journey - {other}"] = {
            name: interval(tables["journey"][:, at] - tables[other][:, at]) for at, name in enumerate(MEASURED)
        }
    return out


def interval(differences: np.ndarray) -> list[float]:
    """Mean and the ends of its 95 % bootstrap interval over seed pairs."""
    drawn = generator(0, "bootstrap").integers(0, len(differences), (2000, len(differences)))
    ends = np.quantile(differences[drawn].mean(axis=1), (0.025, 0.975))
    return np.round([differences.mean(), *ends], 4).tolist()


def synthetic_store(path: Path, tracks: int, dim: int) -> None:
    """A store of random vectors with tags, moments and measures, written through the store's own door."""
    from mirclr.features.measures import SIZES, Measures

    bound = Binding("synthetic", "0" * 32, dim, 16_000, None, "")
    draw = generator(0, "synthetic store")
    described = {name: np.zeros(size, np.float32) for name, size in SIZES.items()}
    starts = np.arange(8.0)
    with Library.open_or_create(path, bound) as library, library.batch():
        for place in range(tracks):
            name, vector = f"{place:032x}", draw.standard_normal(dim, dtype=np.float32)
            tags = {"artist": f"Artist {draw.integers(500)}", "title": f"Title {place}", "album": f"A {place // 12}"}
            row = {"size": 1, "mtime_ns": 1, "duration": float(draw.uniform(120, 360)), "flags": "", "genre": "Jazz"}
            library.put_track({**row, **tags, "path": f"/music/{place:07}.flac", "id": name, "audio_id": name})
            library.put_vectors(name, vector, vector + 0.3 * draw.standard_normal((8, dim), dtype=np.float32), starts)
            measured = Measures(float(draw.uniform(60, 180)), "C major", float(draw.normal(-16, 4)), **described)
            library.put_measures(name, measured, "synthetic")


def speed(tracks: int, dim: int) -> dict[str, object]:
    """Seconds of one query, and of lists of 500 with all rules in every shape."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "a.db")
        synthetic_store(path, tracks, dim)
        with Library.open(path) as library:
            catalogue = Catalogue.load(library)
        seeds, must = [Seed.at(catalogue, row) for row in (0, 1)], Seed.at(catalogue, 7)
        years = np.ones(tracks, bool)
        years[::10] = False
        played = np.zeros(tracks, bool)
        played[::3] = True
        rules = Rules(500, per_artist=5, per_album=3, artist_run=1, album_run=1, minutes=(0, 2600))
        choice = Choice(years, played, (must,))

        def seconds(work: Callable[[], object]) -> float:
            start = time.perf_counter()
            work()
            return round(time.perf_counter() - start, 3)

        shapes = {
            "nearest": Shape(), "journey": Shape("journey"), "walk": Shape("walk"),
            "arc": Shape("arc", curve=Arc.parse("energy=rise")),
        }  # fmt: skip
        out: dict[str, object] = {"tracks": tracks, "dim": dim}
        out["query_s"] = min(seconds(lambda: similar(catalogue, catalogue.unit[5], 10)) for _ in range(5))
        for name, shape in shapes.items():
            lists: list[Playlist] = []
            out[f"{name}_500_s"] = seconds(
                lambda s=shape, o=lists: o.append(make_playlist(catalogue, seeds, rules, s, choice))
            )  # type: ignore[misc]
            out[f"{name}_tracks"] = len(lists[0].entries)
            out[f"{name}_notes"] = list(lists[0].notes)
        some = [Seed.at(catalogue, row) for row in range(500)]
        out["order_500_s"] = seconds(lambda: ordered(catalogue, some, Weights(), (1, 1)))
    return out


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a library store to compare journeys in")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--length", type=int, default=12)
    parser.add_argument("--speed", action="store_true", help="time lists from a synthetic store")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    given = parser.parse_args()
    if not (given.store or given.speed):
        parser.error("give --store FILE, or --speed, or both")
    out: dict[str, object] = {}
    if given.store:
        out["journeys"] = journeys(given.store, given.pairs, given.length)
    if given.speed:
        out["speed"] = speed(given.tracks, given.dim)
    json.dump(out, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
