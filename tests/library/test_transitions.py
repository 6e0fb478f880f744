"""Transitions: the wheel of keys by hand, tempi on a circle of octaves, and ends that meet in one direction only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.audio.synth_theory import KEYS
from mirclr.errors import UsageError
from mirclr.library.playlist import Seed, moments_of
from mirclr.library.playlist_rules import Pool
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.library.transitions import Transitions, Weights, camelot, key_cost, tempo_cost
from tests.support.library import Bands, track_row

WHEEL = {  # as printed on every wheel
    "C major": (8, "B"), "A minor": (8, "A"), "G major": (9, "B"), "E minor": (9, "A"), "F major": (7, "B"),
    "D minor": (7, "A"), "B major": (1, "B"), "F# minor": (11, "A"), "Ab minor": (1, "A"), "Db major": (3, "B"),
}  # fmt: skip


@pytest.mark.parametrize(("key", "place"), WHEEL.items())
def test_keys_stand_where_the_wheel_has_them(key: str, place: tuple[int, str]) -> None:
    assert camelot(key) == place


def test_the_keys_of_the_store_fill_the_wheel_and_other_words_are_none() -> None:
    assert sorted({camelot(key) for key in KEYS} - {None}) == [(n, side) for n in range(1, 13) for side in "AB"]
    assert [camelot(key) for key in (None, "", "H major", "C", float("nan"))] == [None] * 5


def test_key_costs_count_moves_on_the_wheel() -> None:
    def cost(one: str, other: str) -> float:
        codes = [np.array(place[0] + 100.0 * (place[1] == "A")) for place in map(camelot, (one, other)) if place]
        return float(key_cost(codes[0], codes[1]) * 7)

    assert cost("C major", "C major") == 0
    assert cost("C major", "G major") == cost("C major", "F major") == cost("C major", "A minor") == pytest.approx(1)
    assert cost("C major", "E minor") == pytest.approx(2)
    assert cost("C major", "F# major") == pytest.approx(6)
    assert float(key_cost(np.array(8.0), np.array(np.nan))) == 0.5


def test_tempo_costs_fold_octaves() -> None:
    costs = tempo_cost(np.array(100.0), np.array([100.0, 103.0, 110.0, 200.0, 50.0, 140.0, np.nan]))
    assert costs[0] == 0
    assert costs[1] < costs[2] < costs[5] == 1
    assert costs[3] == costs[4] == pytest.approx(0.1)
    assert costs[6] == 0.5


def library_of_ends(folder: Path) -> Catalogue:
    """Track 0 begins east and ends north, track 1 begins north and ends east, track 2 is west throughout."""
    east, north, west = np.eye(3)
    moments = [(east, north), (north, east), (west, west)]
    measured = [("a", 120.0), ("b", 121.0), ("c", None)]
    path = folder / "ends.db"
    with Library.open_or_create(path, Bands(dim=3)) as library:
        with library.batch():
            for (name, _), (first, last) in zip(measured, moments, strict=True):
                row = track_row(f"/{name}", artist=name)
                segments = np.stack([first, first, last, last]).astype(np.float32)
                library.put_track(row)
                library.put_vectors(row["audio_id"], segments.mean(axis=0), segments, np.arange(4.0))
        return Catalogue.load(library)


def test_the_end_of_one_meets_the_beginning_of_the_next(tmp_path: Path) -> None:
    catalogue = library_of_ends(tmp_path)
    pool = Pool(catalogue, [Seed(catalogue.track(0), catalogue.unit[0], 0)], np.array([1, 2]))
    with moments_of(catalogue) as moments:
        joined = Transitions(pool, Weights(0, 1, 0, 0), moments).cost([0, 1, 2], [0, 1, 2])
        intro = [units[0] for units, _ in moments(range(3))]
        outro = [units[-1] for units, _ in moments(range(3))]
        sound = Transitions(pool, Weights(1, 0, 0, 0), moments).cost([0, 1, 2], [0, 1, 2])
    np.testing.assert_allclose(joined, 1 - np.array(outro) @ np.array(intro).T, atol=2e-6)
    assert joined[0, 1] < joined[0, 0]
    assert joined[1, 0] < joined[1, 1]
    np.testing.assert_allclose(sound, 1 - catalogue.unit @ catalogue.unit.T, atol=2e-6)


def test_what_nobody_measured_does_not_count_and_is_said(tmp_path: Path) -> None:
    catalogue = library_of_ends(tmp_path)
    pool = Pool(catalogue, [], np.arange(3))
    with moments_of(catalogue) as moments:
        all_parts, sound = (Transitions(pool, weights, moments) for weights in (Weights(), Weights(1, 1, 0, 0)))
        assert "no tempo and no key is measured" in all_parts.notes[0]
        assert sound.notes == []
        np.testing.assert_array_equal(all_parts.cost([0, 1], [1, 2]), sound.cost([0, 1], [1, 2]))


def test_weights_are_read_and_nonsense_is_refused() -> None:
    assert Weights.parse(["tempo=1", "key=0"]) == Weights(1, 1, 1, 0)
    for text, said in (("tmpo=1", "Did you mean 'tempo'"), ("tempo=x", "no number"), ("sound", "no number")):
        with pytest.raises(UsageError, match=said):
            Weights.parse([text])
    with pytest.raises(UsageError, match="0 or more"):
        Weights.parse(["sound=-1"])
    with pytest.raises(UsageError, match="at least one"):
        Weights(0, 0, 0, 0)
