"""Mixup and CutMix hold as much of the other item as their parameters say, by power and by area."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mirclr.augment.spec_mixing import CutMix, SpecMixup

AXES = ("time", "frequency", "both")


def drawn_for(effect: SpecMixup | CutMix, items: int, seed: int = 0) -> dict[str, np.ndarray]:
    return effect.parameters(np.random.default_rng(seed).random((items, effect.draws)))


def tensors(drawn: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value) for key, value in drawn.items()}


def at(**values: float) -> dict[str, torch.Tensor]:
    return {key: torch.tensor([value], dtype=torch.float64) for key, value in values.items()}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_power_of_a_mixup_is_shared_as_the_labels_are() -> None:
    effect, batch, other = SpecMixup(), noise(8, 5, 7), noise(8, 5, 7).flip(0)
    drawn = drawn_for(effect, 8)
    share = torch.from_numpy(effect.partner_share(drawn)).view(-1, 1, 1)
    out = effect.apply(batch, tensors(drawn), other)
    torch.testing.assert_close(out.exp(), (1 - share) * batch.exp() + share * other.exp())


def test_power_one_mixed_with_almost_none_leaves_the_items_share() -> None:
    effect = SpecMixup()
    drawn = drawn_for(effect, 50)
    one, none = torch.zeros(50, 3, 4).double(), torch.full((50, 3, 4), -700.0).double()
    power = effect.apply(one, tensors(drawn), none).exp().mean((1, 2))
    np.testing.assert_allclose(power, 1 - effect.partner_share(drawn), rtol=1e-12)
    assert power.min() > 0.5


@pytest.mark.parametrize(("alpha", "max_share"), [(1.0, 0.5), (0.2, 0.5), (4.0, 0.5), (0.4, 0.3)])
def test_shares_have_the_published_distribution_below_the_largest(alpha: float, max_share: float) -> None:
    share = drawn_for(SpecMixup(max_share=max_share, alpha=alpha), 5000)["share"]
    beta = stats.beta(alpha, alpha)
    assert 0 <= share.min() < share.max() <= max_share
    assert stats.kstest(share, lambda x: beta.cdf(x) / beta.cdf(max_share)).pvalue > 1e-4


def test_folding_a_published_share_loses_nothing() -> None:
    published = np.random.default_rng(1).beta(0.3, 0.3, 5000)
    folded = np.minimum(published, 1 - published)
    assert stats.ks_2samp(folded, drawn_for(SpecMixup(alpha=0.3), 5000)["share"]).pvalue > 1e-4


def test_a_share_of_nothing_mixes_nothing() -> None:
    batch = noise(4, 3, 2)
    for effect in (SpecMixup(max_share=0), *(CutMix(max_share=0, axis=axis) for axis in AXES)):
        torch.testing.assert_close(effect.apply(batch, tensors(drawn_for(effect, 4)), -batch), batch)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("shape", [(64, 250), (7, 11), (1, 1), (3, 1), (1, 3)])
def test_the_area_of_the_other_item_is_its_share_at_any_size(axis: str, shape: tuple[int, int]) -> None:
    effect = CutMix(axis=axis, max_share=1)
    drawn = drawn_for(effect, 100)
    out = effect.apply(torch.zeros(100, *shape).double(), tensors(drawn), torch.ones(100, *shape).double())
    np.testing.assert_allclose(out.mean((1, 2)), effect.partner_share(drawn), atol=1e-12)


@pytest.mark.parametrize("axis", AXES)
def test_shares_are_uniform_up_to_the_largest(axis: str) -> None:
    effect = CutMix(axis=axis, max_share=0.4)
    assert stats.kstest(effect.partner_share(drawn_for(effect, 5000)), stats.uniform(0, 0.4).cdf).pvalue > 1e-4


def test_a_cut_in_time_is_one_stretch_of_whole_spectra_from_where_it_was() -> None:
    batch, other = noise(2, 6, 20).split(1)
    out = CutMix().apply(batch, at(width=0.3, left=0.2, height=1, bottom=0), other)
    torch.testing.assert_close(out, torch.cat([batch[..., :4], other[..., 4:10], batch[..., 10:]], 2))


def test_a_cut_in_frequency_is_a_band_and_a_cut_in_both_a_rectangle_of_equal_sides() -> None:
    ones, zeros = torch.ones(30, 16, 16).double(), torch.zeros(30, 16, 16).double()
    band = CutMix(axis="frequency")
    out = band.apply(zeros, tensors(drawn_for(band, 30)), ones)
    assert torch.equal(out, out[:, :, :1].expand_as(out))
    both = CutMix(axis="both")
    drawn = drawn_for(both, 30)
    rows, columns = (both.apply(zeros, tensors(drawn), ones).amax(axis).sum(1) for axis in (2, 1))
    peak = both.apply(zeros, tensors(drawn), ones).amax((1, 2))
    whole = peak == 1  # sides below a bin have no cell that is covered whole
    assert whole.sum() > 15
    np.testing.assert_allclose(rows[whole], columns[whole], atol=1e-9)
    np.testing.assert_allclose(rows[whole] / 16, drawn["width"][whole.numpy()], atol=1e-9)


def test_an_edge_within_a_frame_blends_it_by_the_part_covered() -> None:
    empty = torch.zeros(1, 1, 10, dtype=torch.float64)
    out = CutMix().apply(empty, at(width=0.35, left=0.1, height=1, bottom=0), empty + 1)
    assert out.flatten().tolist() == pytest.approx([0, 1, 1, 1, 0.5, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("effect", [SpecMixup(), CutMix()], ids=lambda effect: effect.name)
def test_mixing_without_another_item_is_refused(effect: SpecMixup | CutMix) -> None:
    with pytest.raises(ValueError, match=rf"{effect.name} needs a background of shape \(2, 4, 5\)"):
        effect.apply(noise(2, 4, 5), tensors(drawn_for(effect, 2)))
