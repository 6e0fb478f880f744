"""Alignment, uniformity, ranks, spread, retrieval and the collapse verdict, by closed form."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
import torch

from mirclr.training import diagnostics
from mirclr.training.diagnostics import (
    Geometry,
    Retrieval,
    alignment,
    collapse_verdict,
    dimension_std,
    effective_rank,
    geometry,
    rankme,
    same_track_retrieval,
    spread,
    uniformity,
)


def gaussian(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimensions))


def cross(dimensions: int) -> np.ndarray:
    """Plus and minus every axis: mean zero, covariance a multiple of the identity."""
    return np.concatenate([np.eye(dimensions), -np.eye(dimensions)])


def test_alignment_is_the_mean_power_of_the_distance() -> None:
    east, north = np.tile([1.0, 0.0], (3, 1)), np.tile([0.0, 5.0], (3, 1))
    assert alignment(east, east) == 0.0
    assert alignment(east, north) == pytest.approx(2.0)
    assert alignment(east, -east) == pytest.approx(4.0)
    assert alignment(east, -east, alpha=1.0) == pytest.approx(2.0)
    assert alignment(np.eye(2), [[1.0, 0.0], [1.0, 0.0]]) == pytest.approx(1.0)


def test_uniformity_is_the_log_mean_kernel_over_different_tracks() -> None:
    assert uniformity(np.ones((5, 3))) == pytest.approx(0.0)
    assert uniformity([[1.0, 0.0], [-3.0, 0.0]]) == pytest.approx(-8.0)
    assert uniformity(np.eye(7)) == pytest.approx(-4.0)  # squared distance 2 everywhere
    assert uniformity(np.eye(7), t=0.5) == pytest.approx(-1.0)
    rows = gaussian(40, 6)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [math.exp(-2 * ((a - b) ** 2).sum()) for i, a in enumerate(rows) for b in rows[:i]]
    assert uniformity(3 * rows) == pytest.approx(math.log(np.mean(pairs)), rel=1e-9)


@pytest.mark.parametrize("dimensions", [1, 2, 8, 33])
def test_identity_covariance_has_the_rank_of_the_space(dimensions: int) -> None:
    assert effective_rank(cross(dimensions)) == pytest.approx(dimensions)
    assert rankme(cross(dimensions)) == pytest.approx(dimensions, rel=1e-4)
    assert effective_rank(100.0 + cross(dimensions)) == pytest.approx(dimensions)  # a common mean is no direction


def test_the_rank_of_a_line_is_one_and_of_a_point_nothing() -> None:
    line = np.outer(np.linspace(-1, 1, 20), [1.0, 2.0, 3.0])
    assert effective_rank(line) == pytest.approx(1.0)
    assert effective_rank(line + 7) == pytest.approx(1.0)
    assert rankme(line) == pytest.approx(1.0, abs=1e-4)
    assert effective_rank(np.full((20, 3), 0.1)) == 0.0


def test_the_rank_is_the_entropy_of_the_singular_values() -> None:
    values = np.array([0.5, 0.25, 0.25])
    rows = cross(3) * values
    assert effective_rank(rows) == pytest.approx(2.0**1.5)
    assert rankme(1e3 * rows) == pytest.approx(2.0**1.5, rel=1e-5)


def test_rankme_sees_the_mean_that_the_centred_rank_does_not() -> None:
    rows = 50.0 + gaussian(200, 8)
    assert rankme(rows) < 1.8
    assert effective_rank(rows) > 7.5


def test_spread_is_one_everywhere_zero_in_a_point_and_counts_common_direction() -> None:
    assert spread(cross(5)) == pytest.approx(1.0)
    np.testing.assert_allclose(dimension_std(3 * cross(4)), 0.5)  # 1 / sqrt(4)
    assert spread(np.ones((9, 4)) * np.arange(1, 10)[:, None]) == pytest.approx(0.0, abs=1e-12)
    rows = 2.0 + gaussian(30, 6)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert spread(rows) == pytest.approx(math.sqrt(1 - (rows @ rows.T).mean()))


def test_retrieval_counts_ranks() -> None:
    keys = np.eye(4)
    assert same_track_retrieval(keys, keys, standardise=False) == Retrieval(1.0, 1.0, 1.0, 4)
    queries = np.array([[1.0, 0, 0, 0], [0.9, 0.5, 0, 0], [0.9, 0.8, 0.5, 0], [0.9, 0.8, 0.7, 0.5]])  # ranks 1, 2, 3, 4
    got = same_track_retrieval(queries, keys, standardise=False)
    assert got.recall_at_1 == pytest.approx(0.25)
    assert got.median_rank == pytest.approx(2.5)
    assert got.reciprocal_rank == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


@pytest.mark.parametrize("standardise", [True, False])
def test_a_space_without_differences_scores_chance(standardise: bool) -> None:
    got = same_track_retrieval(np.ones((10, 3)), np.ones((10, 3)), standardise)
    assert got.recall_at_1 == pytest.approx(0.1)
    assert got.median_rank == pytest.approx(5.5)
    assert got.reciprocal_rank == pytest.approx(np.mean(1 / np.arange(1, 11)))


def test_standardising_finds_what_a_loud_dimension_hides() -> None:
    tracks = gaussian(200, 16)
    first, second = (tracks + 0.3 * gaussian(200, 16, seed) for seed in (1, 2))
    first[:, 0], second[:, 0] = 1e3 * gaussian(2, 200, 3)  # nothing but noise, a thousand times as loud
    assert same_track_retrieval(first, second, standardise=False).median_rank > 50
    assert same_track_retrieval(first, second).recall_at_1 > 0.9


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = gaussian(50, 8), gaussian(50, 8) + gaussian(50, 8, 1)
    whole = geometry(first, second)
    monkeypatch.setattr(diagnostics, "_BLOCK", 7)
    parts = geometry(first, second)
    assert asdict(parts) == pytest.approx(asdict(whole))


def test_geometry_is_its_parts_for_arrays_and_tensors() -> None:
    first = gaussian(40, 8)
    second = first + 0.5 * gaussian(40, 8, 1)
    seen, found = geometry(first, second), same_track_retrieval(first, second)
    assert seen == Geometry(
        count=40,
        alignment=alignment(first, second),
        uniformity=(uniformity(first) + uniformity(second)) / 2,
        effective_rank=effective_rank(first),
        rankme=rankme(first),
        spread=spread(first),
        recall_at_1=found.recall_at_1,
        median_rank=found.median_rank,
        reciprocal_rank=found.reciprocal_rank,
    )
    tensors = (torch.from_numpy(x).requires_grad_() for x in (first, second))
    assert geometry(*tensors) == seen


def verdict_of(vectors: np.ndarray) -> str | None:
    return collapse_verdict(geometry(vectors, vectors))


@pytest.mark.parametrize("dimensions", [3, 64, 512])
def test_spaces_that_hold_something_are_not_called_collapsed(dimensions: int) -> None:
    assert verdict_of(gaussian(40, dimensions)) is None
    assert verdict_of(np.maximum(gaussian(40, dimensions), 0)) is None
    assert verdict_of(10.0 + gaussian(40, dimensions)) is None  # a large mean: cosines of 0.99


def test_a_point_is_explained() -> None:
    verdict = verdict_of(1.0 + 1e-3 * gaussian(40, 64))
    assert verdict is not None
    assert "nearly the same vector (spread 0.0010, below 0.03" in verdict
    assert "Try a lower learning rate" in verdict


def test_a_line_is_explained_when_there_are_tracks_enough_to_tell() -> None:
    line = np.outer(np.random.default_rng(0).standard_normal(40), np.arange(1.0, 9.0)) + 1e-3 * gaussian(40, 8)
    verdict = verdict_of(line)
    assert verdict is not None
    assert "the 40 tracks differ along one direction only (effective rank 1.0" in verdict
    assert verdict_of(gaussian(2, 64)) is None  # two tracks have one difference, whatever the encoder


def test_rounding_to_bfloat16_does_not_hide_a_point() -> None:
    point = torch.randn(1, 256, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 1.01, 40)[:, None]
    verdict = verdict_of(point.bfloat16())
    assert verdict is not None
    assert "nearly the same vector" in verdict


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match=r"N >= 2, D\), got \(1, 4\)"):
        spread(np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"one shape, got \(3, 4\) and \(2, 4\)"):
        alignment(np.ones((3, 4)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        geometry(np.full((3, 4), np.nan), np.ones((3, 4)))
