"""Sections: three parts that are what they are, and the kernel against its definition."""

from __future__ import annotations

import numpy as np

from mirclr.events.scores import score_events
from mirclr.events.structure import checkerboard_novelty, sections


def three_parts(step: float = 0.1) -> np.ndarray:
    """20 s of one thing, 15 s of another, 25 s of the first again, with noise."""
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 16))
    parts = [np.tile(one, (200, 1)), np.tile(other, (150, 1)), np.tile(one, (250, 1))]
    return np.concatenate(parts) + 0.3 * random.normal(size=(600, 16))


def test_parts_are_found_where_they_change_and_what_comes_back_has_its_letter() -> None:
    found = sections(three_parts(), 0.1)
    np.testing.assert_allclose(found["start"], [0, 20, 35], atol=0.5)
    np.testing.assert_allclose(found["end"], [20, 35, 60], atol=0.5)
    assert found["label"].tolist() == ["A", "B", "A"]
    assert score_events("sections", found, found)["pairwise_f"] == 1.0


def test_the_same_throughout_is_one_section() -> None:
    found = sections(np.ones((300, 4)), 0.1)
    assert found.to_numpy().tolist() == [[0.0, 30.0, "A"]]


def test_less_than_a_block_is_a_section_too() -> None:
    assert sections(np.random.default_rng(0).normal(size=(3, 4)), 0.1)["label"].tolist() == ["A"]


def test_novelty_is_the_sum_over_a_tapered_checkerboard() -> None:
    rows = np.random.default_rng(1).normal(size=(12, 3))
    half, k = 3, 6
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = 0.0
    for i in range(-half, half):
        for j in range(-half, half):
            sign = 1 if (i < 0) == (j < 0) else -1
            taper = np.exp(-2 * ((i + 0.5) ** 2 + (j + 0.5) ** 2) / half**2)
            expected += sign * taper * unit[k + i] @ unit[k + j]
    np.testing.assert_allclose(checkerboard_novelty(rows, half)[k], expected)
