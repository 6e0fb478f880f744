"""Fades end where they were drawn to, backwards is backwards, and a circle has no end."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mirclr.augment.spec_time import LinearFader, SpecReverse, SpecRoll


def scalar(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_fade_goes_in_a_straight_line_of_decibels_from_one_end_to_the_other() -> None:
    batch = noise(2, 5, 41)
    out = LinearFader().apply(batch, {"first_db": scalar(-10, 3), "last_db": scalar(10, 3)})
    gained = (out.exp() / batch.exp()).log10() * 10
    np.testing.assert_allclose(gained[0], np.tile(np.linspace(-10, 10, 41), (5, 1)), atol=1e-9)
    np.testing.assert_allclose(gained[1], 3, atol=1e-9)


def test_a_fade_of_one_frame_is_its_beginning() -> None:
    out = LinearFader().apply(torch.zeros(1, 2, 1).double(), {"first_db": scalar(10), "last_db": scalar(-10)})
    assert out.flatten().tolist() == pytest.approx([math.log(10)] * 2)


def test_both_ends_of_a_fade_are_drawn_alike_and_apart() -> None:
    drawn = LinearFader(max_db=4).parameters(np.random.default_rng(0).random((20_000, 2)))
    for end in drawn.values():
        assert (end.min(), end.max()) == pytest.approx((-4, 4), abs=0.01)
        assert end.std() == pytest.approx(4 / 3**0.5, rel=0.02)
    assert abs(np.corrcoef(drawn["first_db"], drawn["last_db"])[0, 1]) < 4 / 20_000**0.5


def test_backwards_twice_is_forwards() -> None:
    batch, turned = noise(3, 4, 7), {"direction": scalar(-1, 1, -1)}
    once = SpecReverse().apply(batch, turned)
    assert torch.equal(once[0], batch[0, :, [6, 5, 4, 3, 2, 1, 0]])
    assert torch.equal(once[1], batch[1])
    assert torch.equal(SpecReverse().apply(once, turned), batch)


@pytest.mark.parametrize(("share", "frames"), [(0.25, 5), (-0.25, -5), (0.5, 10), (-0.5, -10), (0.12, 2), (0.0, 0)])
def test_a_roll_is_by_whole_frames_and_loses_none(share: float, frames: int) -> None:
    batch = noise(1, 3, 20)
    assert torch.equal(SpecRoll().apply(batch, {"share": scalar(share)}), batch.roll(frames, 2))


def test_rolls_reach_every_place_of_the_circle() -> None:
    drawn = SpecRoll().parameters(np.random.default_rng(0).random((500, 1)))
    place = torch.arange(8.0).double().view(1, 1, 8).expand(500, 1, 8)
    starts = SpecRoll().apply(place, {"share": torch.from_numpy(drawn["share"])})[:, 0, 0]
    assert sorted(set(starts.tolist())) == list(range(8))
