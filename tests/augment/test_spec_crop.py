"""Random resize crop reads the area that was drawn, corners on corners, and nothing beyond the item but its fill."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirclr.augment.spec_crop import ResizeCrop

BINS, FRAMES = 9, 13


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def area(height: float, bottom: float, width: float, left: float) -> dict[str, torch.Tensor]:
    values = {"height": height, "bottom": bottom, "width": width, "left": left}
    return {key: torch.tensor([value], dtype=torch.float64) for key, value in values.items()}


def keys(d: float) -> float:
    """Cubic convolution kernel of Keys (1981), a = -1/2."""
    d = abs(d)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def read(line: np.ndarray, place: float) -> float:
    """One value of a line at a place within it; the kernel finds the end value beyond an end."""
    first = int(np.floor(place))
    return sum(keys(place - k) * line[min(max(k, 0), len(line) - 1)] for k in range(first - 1, first + 3))


def heard(place: float, last: int) -> float:
    return max(0.0, 1 - max(0.0, -place, place - last))


def slow(item: np.ndarray, height: float, bottom: float, width: float, left: float, fill: float) -> np.ndarray:
    out = np.empty_like(item)
    for f in range(BINS):
        for n in range(FRAMES):
            y, x = (bottom + height * f / (BINS - 1)) * (BINS - 1), (left + width * n / (FRAMES - 1)) * (FRAMES - 1)
            column = [read(row, min(max(x, 0), FRAMES - 1)) for row in item]
            value = read(np.array(column), min(max(y, 0), BINS - 1))
            share = heard(y, BINS - 1) * heard(x, FRAMES - 1)
            out[f, n] = share * value + (1 - share) * fill
    return out


@pytest.mark.parametrize(
    "where", [(0.6, 0.2, 0.7, 0.1), (1.0, 0.0, 1.5, -0.25), (1.2, -0.1, 0.6, -0.2), (0.5, 0.7, 1, 0.2)]
)
@pytest.mark.parametrize("fill", ["mean", "floor"])
def test_an_area_is_read_as_by_hand(where: tuple[float, float, float, float], fill: str) -> None:
    batch = noise(1, BINS, FRAMES)
    beyond = batch.mean().item() if fill == "mean" else batch.min().item()
    out = ResizeCrop(fill=fill).apply(batch, area(*where))[0]
    np.testing.assert_allclose(out.numpy(), slow(batch[0].numpy(), *where, beyond), atol=1e-12)


def test_the_full_area_is_the_item_bit_for_bit() -> None:
    batch = noise(1, 64, 101)
    assert torch.equal(ResizeCrop().apply(batch, area(1, 0, 1, 0)), batch)


def test_the_corners_of_the_area_come_to_the_corners_of_the_result() -> None:
    batch = noise(1, 21, 41)
    out = ResizeCrop().apply(batch, area(0.5, 0.25, 0.5, 0.25))[0]
    torch.testing.assert_close(out[::20, ::40], batch[0, 5:16:10, 10:31:20])
    torch.testing.assert_close(out[::2, ::2], batch[0, 5:16, 10:31])


def test_an_area_twice_the_item_has_the_item_in_the_middle_and_its_fill_around() -> None:
    batch = noise(1, 21, 41)
    out = ResizeCrop(fill="floor").apply(batch, area(2, -0.5, 2, -0.5))[0]
    torch.testing.assert_close(out[5:16, 10:31], batch[0, ::2, ::2])
    inside = torch.zeros(21, 41, dtype=torch.bool)
    inside[5:16, 10:31] = True
    assert torch.equal(out[~inside], batch.min().expand(int((~inside).sum())))


def test_areas_lie_on_the_canvas_and_have_the_published_sizes() -> None:
    drawn = ResizeCrop().parameters(np.random.default_rng(0).random((20_000, 4)))
    height, bottom, width, left = (drawn[key] for key in ("height", "bottom", "width", "left"))
    assert (bottom.min(), (bottom + height).max()) == (0, 1)
    assert left.min() >= -0.25
    assert (left + width).max() <= 1.25 + 1e-12
    assert height.max() == 1
    assert (height == 1).mean() == pytest.approx(5 / 9, abs=0.015)  # 1..1.5 of 0.6..1.5 is cut to the canvas
    assert (width.min(), width.max()) == pytest.approx((0.6, 1.5), abs=1e-3)
    assert width.mean() == pytest.approx(1.05, abs=0.01)
    room = 1.5 - width
    assert ((left + 0.25) / room)[room > 0.1].mean() == pytest.approx(0.5, abs=0.01)


def test_sizes_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"resize_crop: min_width=1\.2 must not exceed max_width=1"):
        ResizeCrop(min_width=1.2, max_width=1)
