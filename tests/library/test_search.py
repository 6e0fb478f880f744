"""Search is exact, in a space where no dimension shouts, whatever the size of the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.errors import StoreError
from mirclr.library.search import Catalogue, Space, best, similar
from mirclr.library.store import Library
from mirclr.seeds import generator
from tests.support.library import Bands, catalogue_of, track_row


def slow_similarities(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The definition: two tracks at the origin join the library, every dimension is z-scored, then the cosine."""
    whole = np.vstack([vectors, np.zeros((2, vectors.shape[1]))]).astype(np.float64)
    centre, scale = whole.mean(axis=0), whole.std(axis=0)
    z, q = (vectors - centre) / scale, (query - centre) / scale
    return np.array([row @ q / np.sqrt((row @ row) * (q @ q)) for row in z])


@pytest.mark.parametrize("tracks", [1, 2, 3, 50, 3000])
def test_ranking_is_that_of_brute_force(tmp_path: Path, tracks: int) -> None:
    draw = generator(0, tracks)
    vectors = (draw.normal(size=(tracks, 6)) * [1, 1, 10, 1000, 0.01, 1] + [0, 5, 0, -300, 0, 0]).astype(np.float32)
    catalogue = catalogue_of(tmp_path, [track_row(f"/{i:05}") for i in range(tracks)], vectors)
    query = draw.normal(size=6).astype(np.float32)
    hits = similar(catalogue, catalogue.space.unit(query[None])[0], k=10)
    expected = slow_similarities(vectors, query)
    assert len(hits) == min(10, tracks)
    np.testing.assert_allclose([hit.similarity for hit in hits], np.sort(expected)[::-1][:10], atol=3e-6)
    np.testing.assert_allclose([expected[hit.row] for hit in hits], np.sort(expected)[::-1][:10], atol=3e-6)


def test_a_large_scale_does_not_decide(tmp_path: Path) -> None:
    """Loudness in thousands and timbre in units: the timbre twin is found although its loudness differs."""
    draw = generator(1)
    vectors = draw.normal(size=(200, 5)) * [5000, 1, 1, 1, 1]
    vectors[1, 1:] = vectors[0, 1:]
    vectors[2, 0] = vectors[0, 0]
    catalogue = catalogue_of(tmp_path, [track_row(f"/{i:03}") for i in range(200)], vectors)
    assert similar(catalogue, catalogue.unit[0], 1, exclude=[0])[0].row == 1


def test_constant_dead_and_noisy_dimensions_say_nothing_in_a_large_library() -> None:
    draw = generator(2)
    music = draw.normal(size=(5000, 4))
    dull = np.column_stack([music, np.full(5000, 7.0), np.zeros(5000), draw.normal(size=5000) * 1e-9])
    plain = Space.fit(music.astype(np.float32)).unit(music[:50].astype(np.float32))
    padded = Space.fit(dull.astype(np.float32)).unit(dull[:50].astype(np.float32))
    np.testing.assert_allclose(padded @ padded.T, plain @ plain.T, atol=2e-3)


def test_a_large_library_is_plainly_z_scored() -> None:
    vectors = generator(3).normal(3.0, 2.0, size=(20_000, 3)).astype(np.float32)
    z = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    np.testing.assert_allclose(
        Space.fit(vectors).unit(vectors[:100]), (z / np.linalg.norm(z, axis=1, keepdims=True))[:100], atol=1e-3
    )


@pytest.mark.parametrize("others", [1, 2])
def test_two_or_three_tracks_are_told_apart(tmp_path: Path, others: int) -> None:
    """A z-score of two tracks makes any two of them opposites; here the near one is near."""
    vectors = np.array([[3.0, 1, 2, 0.5], [3.1, 1, 2, 0.5], [0.1, 4, 0, 3]])[: others + 1]
    catalogue = catalogue_of(tmp_path, [track_row("/a"), track_row("/b"), track_row("/c")][: others + 1], vectors)
    hits = similar(catalogue, catalogue.unit[0], 5, exclude=[0])
    assert [hit.row for hit in hits] == [1, 2][:others]
    assert hits[0].similarity > 0.5


def test_one_track_is_most_like_itself_and_a_zero_vector_like_nothing(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, [track_row("/a")], np.array([[2.0, 3.0]]))
    assert similar(catalogue, catalogue.unit[0], 3)[0].similarity == pytest.approx(1)
    silent = catalogue_of(tmp_path, [track_row("/a"), track_row("/b")], np.zeros((2, 4)))
    assert [hit.similarity for hit in similar(silent, silent.unit[0], 2)] == [0, 0]


def test_copies_are_one_answer_and_ties_go_by_path(tmp_path: Path) -> None:
    rows = [track_row("/d", "same"), track_row("/a"), track_row("/c"), track_row("/b", "same")]
    vectors = np.array([[1.0, 0], [0, 1], [0, 1], [1, 0]])
    catalogue = catalogue_of(tmp_path, rows, vectors)
    hits = similar(catalogue, catalogue.unit[0], 10)
    assert [catalogue.tracks["path"][hit.row] for hit in hits] == ["/a", "/c", "/b"]
    assert hits[0].similarity == hits[1].similarity
    assert catalogue.row_at(Path("/d")) == catalogue.row_at(Path("/b")) == 1
    assert catalogue.track_at(Path("/d"))["path"] == "/d"
    assert catalogue.row_at(Path("/nowhere")) is None


def test_excluded_rows_never_come_back_even_when_nothing_else_is_left(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, [track_row(f"/{i}") for i in range(4)], np.eye(4))
    assert {hit.row for hit in similar(catalogue, catalogue.unit[0], 10, exclude=[0, 2, 2])} == {1, 3}
    assert similar(catalogue, catalogue.unit[0], 10, exclude=range(4)) == []


def test_best_is_a_stable_sort_cut_short() -> None:
    draw = generator(4)
    for size in (1, 2, 10, 500):
        scores = draw.integers(0, 5, size).astype(np.float32)
        full = np.argsort(-scores, kind="stable")
        for k in (0, 1, size // 2, size):
            np.testing.assert_array_equal(best(scores, k), full[:k])


def test_an_empty_library_says_how_to_fill_it(tmp_path: Path) -> None:
    with (
        Library.open_or_create(tmp_path / "a.db", Bands()) as library,
        pytest.raises(StoreError, match=r"the library is empty. Fill it with: mirclr index"),
    ):
        Catalogue.load(library)
