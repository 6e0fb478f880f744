"""Patch masks hide whole patches, exactly as many as asked for, and every choice is equally likely."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mirclr.augment.spec_patch import PatchMask


def masked(effect: PatchMask, batch: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The result and where it differs from the item."""
    drawn = effect.parameters(np.random.default_rng(seed).random((len(batch), 1)))
    out = effect.apply(batch, {key: torch.from_numpy(value) for key, value in drawn.items()})
    return out, out != batch


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 8), (0.5, 16), (0.9, 29), (0.95, 30)])
def test_the_share_of_patches_is_exact_and_every_patch_is_hidden_whole_or_not_at_all(share: float, count: int) -> None:
    batch = noise(20, 64, 80)
    out, hidden = masked(PatchMask(share=share, bins=16, frames=10), batch)
    patches = hidden.unflatten(2, (8, 10)).unflatten(1, (4, 16)).float().mean((2, 4))
    assert set(patches.unique().tolist()) <= {0.0, 1.0}
    assert patches.sum((1, 2)).tolist() == [count] * 20
    assert hidden.float().mean().item() == pytest.approx(count / 32)
    means = batch.mean((1, 2), keepdim=True).expand_as(batch)
    assert torch.equal(out[hidden], means[hidden])


def test_patches_at_the_far_ends_are_cut_short() -> None:
    batch = noise(50, 10, 13)
    effect = PatchMask(share=0.5, bins=4, frames=5)
    _, hidden = masked(effect, batch)
    edges = list(itertools.product(((0, 4), (4, 8), (8, 10)), ((0, 5), (5, 10), (10, 13))))
    whole = torch.stack([hidden[:, a:b, c:d].flatten(1).all(1) for (a, b), (c, d) in edges])
    some = torch.stack([hidden[:, a:b, c:d].flatten(1).any(1) for (a, b), (c, d) in edges])
    assert torch.equal(whole, some)
    assert whole.sum(0).tolist() == [4] * 50  # 4.5 of 9, to the even neighbour


def test_every_choice_of_patches_is_equally_likely() -> None:
    _, hidden = masked(PatchMask(share=0.5, bins=1, frames=1), noise(6000, 2, 2))
    code = (hidden.flatten(1) * torch.tensor([1, 2, 4, 8])).sum(1)
    counts = torch.bincount(code, minlength=16)
    chosen = counts[[3, 5, 6, 9, 10, 12]].double()
    assert chosen.sum() == 6000
    assert ((chosen - 1000) ** 2 / 1000).sum() < 26  # chi-square, 5 degrees of freedom, p = 1e-4


def test_tall_patches_hide_stretches_of_time() -> None:
    _, hidden = masked(PatchMask(share=0.5, bins=128, frames=2), noise(4, 64, 40))
    assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))


def test_something_is_always_left() -> None:
    batch = noise(3, 4, 5)
    assert torch.equal(masked(PatchMask(share=0.95, bins=16, frames=16), batch)[0], batch)
    _, hidden = masked(PatchMask(share=0.95, bins=2, frames=5), batch)
    assert hidden.flatten(1).sum(1).tolist() == [10] * 3
