"""Hubs are counted as the paper counts them, and the correction takes them out of the answers they do not belong in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mirclr.library import hubness
from mirclr.library.query import Part, Question, answer
from mirclr.seeds import generator
from tests.support.library import catalogue_of, track_row


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def with_hub(tracks: int = 300) -> np.ndarray:
    """Clusters around a common direction; the last row is that direction, near to all and in no cluster."""
    draw = generator(0, "hub")
    centres = draw.normal(size=(10, 20)) + 1.2
    rows = np.repeat(centres, tracks // 10, axis=0) + 1.5 * draw.normal(size=(tracks, 20))
    return unit(np.vstack([rows, np.ones(20)]))


def slow_counts(rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(rows), int)
    for row in range(len(rows)):
        others = [other for other in np.argsort(-scores[row], kind="stable") if other != row]
        counts[others[: hubness.K]] += 1
    return counts


def slow_nearness(rows: np.ndarray) -> np.ndarray:
    cosines = rows.astype(np.float64) @ rows.T
    np.fill_diagonal(cosines, -9)
    return np.sort(cosines, axis=1)[:, -hubness.K :].mean(axis=1)


def test_the_measure_is_the_skewness_of_a_plain_count() -> None:
    rows = with_hub()
    counts = slow_counts(rows, rows @ rows.T)
    found = hubness.hubness(rows)
    assert (found.tracks, found.highest, found.never) == (301, counts.max(), np.mean(counts == 0))
    assert found.skewness == pytest.approx(stats.skew(counts))


def test_the_correction_is_the_papers_and_makes_hubs_fewer() -> None:
    rows = with_hub()
    near = slow_nearness(rows)
    np.testing.assert_allclose(hubness.nearness(rows), near, atol=1e-5)
    csls = 2 * (rows @ rows.T) - near[:, None] - near[None, :]
    found, before = hubness.hubness(rows, correct=True), hubness.hubness(rows)
    assert found.skewness == pytest.approx(stats.skew(slow_counts(rows, csls)), abs=0.05)
    assert found.skewness < 0.5 * before.skewness
    assert found.highest < 0.5 * before.highest


def test_blocks_are_the_whole_and_a_draw_is_close_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = with_hub(2000)
    whole = hubness.nearness(rows)
    monkeypatch.setattr(hubness, "BLOCK", 64)
    np.testing.assert_allclose(hubness.nearness(rows), whole, atol=1e-6)
    monkeypatch.setattr(hubness, "SAMPLE", 1000)
    assert np.corrcoef(hubness.nearness(rows), whole)[0, 1] > 0.9


@pytest.mark.parametrize("tracks", [1, 2, 5])
def test_small_libraries_have_no_hubs_to_speak_of(tracks: int) -> None:
    rows = np.eye(8, dtype=np.float32)[:tracks]
    assert hubness.hubness(rows).skewness == 0
    np.testing.assert_array_equal(hubness.nearness(rows), np.zeros(tracks))


def test_the_hub_leaves_the_answers_and_the_similarity_shown_stays_the_cosine(tmp_path: Path) -> None:
    rows = with_hub()
    catalogue = catalogue_of(tmp_path, [track_row(f"/{i:03}") for i in range(len(rows))], rows)
    hub = len(rows) - 1
    catalogue.unit[:] = rows  # standardising takes this hub away; others it leaves
    plain = corrected = 0
    for row in range(0, hub, 3):
        question = Question([Part("x", catalogue.unit[row], rows=(row,))])
        plain += hub in [hit.row for hit in answer(catalogue, question, 10)]
        hits = answer(catalogue, question, 10, near=catalogue.nearness)
        corrected += hub in [hit.row for hit in hits]
        assert [hit.similarity for hit in hits] == [catalogue.similarities(catalogue.unit[row])[h.row] for h in hits]
    assert plain > 10
    assert corrected < 0.5 * plain
