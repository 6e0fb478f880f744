"""Normalisation by the statistics of all frames however they are batched, by the clip's own, and none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from mirclr.models.frontend_normalise import Normalise, NormaliseClip
from mirclr.models.table import NORMALISATIONS, build_normalisation


def frames(batch: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    offsets = torch.linspace(-13, 3, 6)[:, None]
    return offsets + torch.linspace(0.5, 3, 6)[:, None] * torch.randn(batch, 6, 40, generator=generator)


@pytest.mark.parametrize("cuts", [[12], [1] * 12, [5, 7]])
def test_bands_come_out_standardised_however_they_are_batched(cuts: list[int]) -> None:
    out = Normalise(6).fit(frames().split(cuts))(frames()).transpose(0, 1).flatten(1)
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(dim=1, unbiased=False), torch.ones(6), atol=1e-5, rtol=0)


def test_one_number_for_all_bands_keeps_their_differences() -> None:
    fitted = Normalise(6, per_band=False).fit([frames()])
    assert fitted.mean.shape == fitted.std.shape == (1, 1)
    out = fitted(frames())
    assert out.mean().item() == pytest.approx(0, abs=1e-5)
    assert out.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)
    assert out[:, 5].mean() - out[:, 0].mean() > 1


def test_unfitted_changes_nothing_and_a_single_spectrogram_needs_no_batch() -> None:
    assert torch.equal(Normalise(6)(frames()), frames())
    fitted = Normalise(6).fit([frames()])
    assert torch.equal(fitted(frames()[0]), fitted(frames())[0])


def test_fitting_again_forgets_the_first_data() -> None:
    once, twice = Normalise(6).fit([frames()]), Normalise(6).fit([100 + frames()]).fit([frames()])
    assert torch.equal(once.mean, twice.mean)
    assert torch.equal(once.std, twice.std)


def test_far_from_zero_the_spread_keeps_its_digits() -> None:
    fitted = Normalise(6).fit((1e6 + frames()).double().split(3))
    want = (1e6 + frames()).double().transpose(0, 1).flatten(1).std(dim=1, unbiased=False)
    torch.testing.assert_close(fitted.std[:, 0].double(), want, rtol=1e-5, atol=0)


def test_a_silent_band_is_not_blown_up() -> None:
    quiet = frames()
    quiet[:, 5] = -13.8 + 1e-4 * quiet[:, 5]
    assert Normalise(6).fit([quiet])(quiet)[:, 5].abs().max() < 0.02  # standardised it would reach 3


def test_it_travels_in_the_state_dict() -> None:
    fitted, other = Normalise(6).fit([frames()]), Normalise(6)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(frames()), fitted(frames()))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="no frames were given"):
        Normalise(6).fit([])
    with pytest.raises(ValueError, match="not finite"):
        Normalise(6).fit([frames(), frames() / 0])
    with pytest.raises(ValueError, match=r"\(12, 6, 40\) is not \(B, F, N\) with 4 bands"):
        Normalise(4).fit([frames()])
    with pytest.raises(ValueError, match="with 6 bands"):
        Normalise(6).fit([frames()[0]])
    with pytest.raises(ValueError, match="with 4 bands"):
        Normalise(4, per_band=False).fit([frames()])


@pytest.mark.parametrize(("per_band", "axes"), [(False, (1, 2)), (True, 2)])
def test_every_clip_is_standardised_by_itself(per_band: bool, axes: int | tuple[int, int]) -> None:
    normalise, clips = NormaliseClip(6, per_band=per_band), frames() * torch.linspace(0.5, 2, 12)[:, None, None]
    out = normalise(clips)
    torch.testing.assert_close(out.mean(axes), torch.zeros_like(out.mean(axes)), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(axes, unbiased=False), torch.ones_like(out.mean(axes)), atol=1e-4, rtol=0)
    assert torch.equal(normalise(clips[3]), out[3])
    torch.testing.assert_close(normalise(3 * clips + 7), out, atol=1e-4, rtol=0)


def test_over_all_bands_a_clip_keeps_its_spectrum_and_band_by_band_it_forgets_it() -> None:
    bright = frames() + torch.tensor([0.0, 0.0, 6.0, 6.0, 0.0, 0.0])[:, None]
    apart = [NormaliseClip(6, per_band=p)(bright) - NormaliseClip(6, per_band=p)(frames()) for p in (False, True)]
    assert (apart[0].mean((0, 2))[2:4] > 0.3).all()
    assert apart[1].abs().max() < 1e-4


@pytest.mark.parametrize("per_band", [False, True])
def test_a_silent_clip_is_zero_with_a_finite_gradient(per_band: bool) -> None:
    silence = torch.full((2, 6, 40), -13.8, requires_grad=True)
    out = NormaliseClip(6, per_band=per_band)(silence)
    out.square().sum().backward()
    assert out.abs().max() < 1e-4
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_every_normalisation_is_fitted_alike_and_divides_by_no_less_than_it_is_told(name: str) -> None:
    normalise = build_normalisation(name, 6, least=0.5)
    assert normalise.fit([frames()]) is normalise
    assert normalise(frames()).shape == frames().shape
    quiet = 1e-3 * frames()
    assert normalise.fit([quiet])(quiet).std() < 0.1


def test_what_measures_nothing_reads_nothing() -> None:
    def unread() -> Iterator[Tensor]:
        raise AssertionError("a batch was read")
        yield frames()

    for name in ("clip", "none"):
        assert build_normalisation(name, 6, least=0.1).fit(unread()).state_dict() == {}
    assert torch.equal(build_normalisation("none", 6, least=0.1)(frames()), frames())
