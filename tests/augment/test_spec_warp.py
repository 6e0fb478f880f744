"""Warps move what the drawn parameters say to where they say, and keep both ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirclr.augment.spec_resample import read_cubic, read_linear
from mirclr.augment.spec_warp import FrequencyWarp, TimeBend


def scalar(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def ramp(bins: int, frames: int, axis: int) -> torch.Tensor:
    """An item whose value is its bin (axis 1) or its frame (axis 2): the result shows what was read."""
    index = torch.arange(float((bins, frames)[axis - 1]), dtype=torch.float64)
    return index.unsqueeze(2 - axis).expand(1, bins, frames)


def vtlp(f: float, factor: float, highest: float, last: float) -> float:
    """Jaitly and Hinton's equation: where bin `f` goes."""
    if f <= highest * min(factor, 1) / factor:
        return f * factor
    kept = last - highest * min(factor, 1)
    return last - kept / (last - highest * min(factor, 1) / factor) * (last - f)


@pytest.mark.parametrize("corner", [0.3, 0.8, 0.95])
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 1.5])
def test_a_frequency_warp_is_the_published_equation(factor: float, corner: float) -> None:
    out = FrequencyWarp(corner=corner).apply(ramp(64, 3, axis=1), {"factor": scalar(factor)})[0]
    assert torch.equal(out[:, 0], out[:, 2])
    arrived = [vtlp(f, factor, corner * 63, 63) for f in out[:, 0].tolist()]
    assert arrived == pytest.approx(range(64), abs=1e-9)


def test_a_partial_under_the_corner_moves_by_the_factor() -> None:
    partial = torch.exp(-0.5 * ((torch.arange(64.0, dtype=torch.float64) - 40) / 3) ** 2).view(1, 64, 1)
    out = FrequencyWarp().apply(partial, {"factor": scalar(1.1)})[0, :, 0]
    assert out.argmax().item() == 44
    assert (out > 0.5).sum().item() == pytest.approx(1.1 * (partial > 0.5).sum().item(), abs=1)


def test_factors_are_symmetric_around_one() -> None:
    factor = FrequencyWarp(max_stretch=0.2).parameters(np.array([[0.0], [0.5], [1.0]]))["factor"]
    assert factor.tolist() == pytest.approx([0.8, 1.0, 1.2])


@pytest.mark.parametrize(("moment", "move"), [(0.3, 0.1), (0.3, -0.1), (0.5, 0.4), (0.9, -0.45), (0.123, 0.0456)])
def test_a_bend_moves_the_moment_and_is_straight_on_both_sides(moment: float, move: float) -> None:
    read = TimeBend().apply(ramp(2, 101, axis=2), {"moment": scalar(moment), "move": scalar(move)})[0, 0]
    wanted = np.interp(np.arange(101), [0, 100 * (moment + move), 100], [0, 100 * moment, 100])
    np.testing.assert_allclose(read.numpy(), wanted, atol=1e-9)


@pytest.mark.parametrize(("moment", "move"), [(0.1, -0.1), (0.9, 0.1)])
def test_a_moment_bent_onto_an_end_leaves_the_end_where_it_is(moment: float, move: float) -> None:
    read = TimeBend().apply(ramp(1, 11, axis=2), {"moment": scalar(moment), "move": scalar(move)})[0, 0]
    wanted = np.linspace(1, 10, 11) if move < 0 else np.linspace(0, 9, 11)
    wanted[[0, -1]] = [0, 10]
    np.testing.assert_allclose(read.numpy(), wanted, atol=1e-9)


def test_moments_and_moves_have_the_published_ranges() -> None:
    drawn = TimeBend(max_move=0.2).parameters(np.random.default_rng(0).random((20_000, 2)))
    for key, low, high in (("moment", 0.2, 0.8), ("move", -0.2, 0.2)):
        count = np.histogram(drawn[key], bins=10, range=(low, high))[0]
        assert count.sum() == 20_000
        assert ((count - 2000) ** 2 / 2000).sum() < 34  # chi-square, 9 degrees of freedom, p = 1e-4
    assert abs(np.corrcoef(drawn["moment"], drawn["move"])[0, 1]) < 4 / 20_000**0.5


@pytest.mark.parametrize("axis", [1, 2])
def test_linear_reading_is_interpolation_item_by_item(axis: int) -> None:
    noise = torch.Generator().manual_seed(0)
    batch = torch.randn(3, 12, 15, generator=noise, dtype=torch.float64)
    last = batch.shape[axis] - 1
    position = last * torch.rand(3, last + 1, generator=noise, dtype=torch.float64)
    out = read_linear(batch, position, axis).movedim(axis, -1).numpy()
    lines = batch.movedim(axis, -1).numpy()
    for item in range(3):
        for k, line in enumerate(lines[item]):
            np.testing.assert_allclose(out[item, k], np.interp(position[item], np.arange(last + 1), line), atol=1e-12)


@pytest.mark.parametrize("axis", [1, 2])
def test_cubic_reading_goes_through_every_parabola(axis: int) -> None:
    index = torch.arange(20.0, dtype=torch.float64)
    batch = (0.3 * index**2 - 4 * index + 1).unsqueeze(2 - axis).expand(1, 20, 20)
    position = torch.linspace(1, 18, 20, dtype=torch.float64)[None]
    out = read_cubic(batch, position, axis).select(3 - axis, 7)[0]
    torch.testing.assert_close(out, 0.3 * position[0] ** 2 - 4 * position[0] + 1)


def test_reading_passes_exact_gradients() -> None:
    batch = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    bins, frames = (part * torch.arange(n).double().expand(2, n) for part, n in ((0.9, 5), (0.7, 6)))
    for read in (read_linear, read_cubic):
        assert torch.autograd.gradcheck(lambda x, read=read: read(read(x, bins, 1), frames, 2), (batch,))
