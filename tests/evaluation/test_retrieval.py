"""Retrieval by its definition, one query at a time, and chance by shuffling every possible order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from mirclr.evaluation import neighbours
from mirclr.evaluation.probes import Standardiser
from mirclr.evaluation.retrieval import (
    TOLD,
    Ground,
    expected_at_random,
    expected_average_precision,
    near_duplicates,
    retrieve,
)
from mirclr.seeds import generator


def material(tracks: int = 50) -> tuple[np.ndarray, Ground]:
    random = generator(40)
    artists = random.integers(15, size=tracks)
    artists[-5:] = 100 + np.arange(5)  # artists with a single track
    return random.normal(size=(tracks, 4)) + 0.1 * artists[:, None], Ground(artists, artists % 3)


def ranking(vectors: np.ndarray, query: int) -> list[int]:
    """Every other track by falling cosine of the standardised vectors."""
    x = Standardiser.fitted(vectors)(vectors)
    cosine = [x[query] @ other / np.linalg.norm(x[query]) / np.linalg.norm(other) for other in x]
    return sorted((i for i in range(len(x)) if i != query), key=lambda i: -cosine[i])


def slow_average_precision(right: list[bool]) -> float:
    places = [i + 1 for i, hit in enumerate(right) if hit]
    return float(np.mean([(found + 1) / place for found, place in enumerate(places)]))


@pytest.mark.parametrize("block", [7, 1024])
def test_same_artist_measures_equal_the_definition(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    vectors, ground = material()
    found = retrieve(vectors, ground)
    queries = [i for i in range(50) if (ground.artists == ground.artists[i]).sum() > 1]
    assert 0 < len(queries) <= 45
    np.testing.assert_array_equal(found.queries["artist_r1"], queries)
    for place, query in enumerate(queries):
        right = [bool(ground.artists[i] == ground.artists[query]) for i in ranking(vectors, query)]
        assert found.values["artist_r1"][place] == right[0]
        assert found.values["artist_map"][place] == pytest.approx(slow_average_precision(right))


def test_label_precision_looks_at_the_ten_nearest_of_other_artists() -> None:
    vectors, ground = material()
    found = retrieve(vectors, ground)
    assert ground.labels is not None
    for query in range(50):
        others = [i for i in ranking(vectors, query) if ground.artists[i] != ground.artists[query]][:10]
        assert found.values["label_p10"][query] == pytest.approx((ground.labels[others] == ground.labels[query]).mean())


def test_with_fewer_than_ten_other_tracks_all_of_them_count() -> None:
    vectors = generator(41).normal(size=(4, 3))
    found = retrieve(vectors, Ground(np.array([0, 0, 1, 2]), np.array([0, 0, 0, 1])))
    np.testing.assert_allclose(found.values["label_p10"], [1 / 2, 1 / 2, 2 / 3, 0])


def test_artists_in_clouds_of_their_own_are_found_perfectly() -> None:
    artists = np.repeat(np.arange(6), 4)
    vectors = np.eye(6)[artists] + 0.01 * generator(42).normal(size=(24, 6))
    found = retrieve(vectors, Ground(artists))
    assert found.values["artist_r1"].mean() == 1
    assert found.values["artist_map"].mean() == 1
    assert "label_p10" not in found.values


def test_a_label_read_only_from_the_artist_is_worth_nothing_after_the_filter() -> None:
    artists = np.repeat(np.arange(12), 5)
    labels = artists % 2
    vectors = generator(43).normal(size=(12, 30))[artists] + 0.01 * generator(44).normal(size=(60, 30))
    precision = retrieve(vectors, Ground(artists, labels)).values["label_p10"].mean()
    assert abs(precision - expected_at_random(Ground(artists, labels)).values["label_p10"].mean()) < 0.15


@pytest.mark.parametrize(("right", "candidates"), [(1, 1), (1, 5), (2, 5), (3, 6), (6, 6)])
def test_expected_average_precision_is_the_mean_over_every_order(right: int, candidates: int) -> None:
    orders = permutations([True] * right + [False] * (candidates - right))
    expected = np.mean([slow_average_precision(list(order)) for order in orders])
    assert expected_average_precision(np.array([right]), candidates)[0] == pytest.approx(expected)


def test_random_vectors_score_what_chance_says() -> None:
    artists = np.repeat(np.arange(10), 5)
    ground = Ground(artists, artists % 3)
    runs = [retrieve(generator(45, i).normal(size=(50, 20)), ground).values for i in range(60)]
    chance = expected_at_random(ground).values
    for name, expected in chance.items():
        assert np.mean([run[name].mean() for run in runs]) == pytest.approx(expected.mean(), abs=0.02)


@pytest.mark.parametrize("artists", [np.arange(5), np.zeros(5, int)])
def test_measures_without_a_query_are_left_out(artists: np.ndarray) -> None:
    vectors = generator(46).normal(size=(5, 3))
    ground = Ground(artists, np.array([0, 0, 1, 1, 1]))
    for found in (retrieve(vectors, ground), expected_at_random(ground)):
        assert set(found.values) == ({"label_p10"} if artists[-1] else {"artist_r1", "artist_map"})


@pytest.mark.parametrize("block", [7, 1024])
def test_near_duplicates_are_found_closest_first_and_only_those(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    vectors = generator(47).normal(size=(40, 30))
    vectors[31] = vectors[2] + 0.1 * vectors[3]
    vectors[9] = vectors[20]
    assert near_duplicates(vectors) == [(9, 20), (2, 31)]


def test_when_everything_sounds_alike_only_some_pairs_are_told() -> None:
    vectors = np.repeat(generator(48).normal(size=(2, 10)), 50, axis=0)
    assert len(near_duplicates(vectors)) == TOLD
