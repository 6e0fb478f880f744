"""PCEN: the recursion in a slow loop, librosa, what it forgets and keeps, and its learned parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mirclr.compiled import librosa
from mirclr.models import smoothing
from mirclr.models.compression import PCEN
from mirclr.models.frontend import LogMel
from mirclr.models.smoothing import smoothed
from mirclr.models.table import COMPRESSIONS, build_compression

FRAME_RATE = 62.5


def log_power(batch: int = 2, bands: int = 5, frames: int = 150) -> Tensor:
    return 2 * torch.randn(batch, bands, frames, generator=torch.Generator().manual_seed(0)) - 4


def looped(power: Tensor, share: Tensor) -> Tensor:
    """The recursion as the paper writes it."""
    out = [power[..., 0]]
    for k in range(1, power.shape[2]):
        out.append((1 - share) * out[-1] + share * power[..., k])
    return torch.stack(out, dim=2)


@pytest.mark.parametrize("frames", [1, 2, 31, 32, 33, 64, 100, 1025, 3000])
@pytest.mark.parametrize("shares", [[0.04], [0.9, 0.001, 0.04]])
def test_the_smoother_is_the_recursion_at_any_length(frames: int, shares: list[float]) -> None:
    power, share = log_power(2, 3, frames).double().exp(), torch.tensor(shares, dtype=torch.float64)
    torch.testing.assert_close(smoothed(power, share), looped(power, share), rtol=1e-10, atol=0)


def test_the_smoother_keeps_its_digits_in_single_precision() -> None:
    power, share = log_power(1, 2, 4_000).exp(), torch.tensor([0.02])
    torch.testing.assert_close(
        smoothed(power, share).double(), looped(power.double(), share.double()), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize("bands", [1, 2])
def test_gradients_of_the_smoother_are_those_of_the_recursion(bands: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoothing, "BLOCK", 3)
    power = log_power(2, 2, 11).double().exp().requires_grad_()
    share = torch.linspace(0.1, 0.4, bands, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(smoothed, (power, share))
    ours = torch.autograd.grad(smoothed(power, share).square().sum(), (power, share))
    loops = torch.autograd.grad(looped(power, share).square().sum(), (power, share))
    torch.testing.assert_close(ours, loops)


@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": 0.8, "delta": 10.0, "r": 0.25}, {"time_constant": 0.06, "eps": 1e-3}],
    ids=["defaults", "gentle", "fast"],
)
def test_parity_with_librosa(options: dict[str, float]) -> None:
    power = log_power().double().exp()
    theirs = {"alpha": "gain", "delta": "bias", "r": "power"}
    given = {theirs.get(key, key): value for key, value in options.items()}
    frames = options.get("time_constant", 0.4) * FRAME_RATE
    b = (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    # librosa's filter starts in the steady state of a power of 1; the paper's and ours in that of the first frame.
    start = (1 - b) * power[..., :1].numpy()
    want = librosa().pcen(power.numpy(), sr=FRAME_RATE, hop_length=1, zi=start, **given)
    got = PCEN(5, FRAME_RATE, **options).double()(power.log())
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)


def test_the_default_smoother_is_the_papers() -> None:
    assert float(PCEN(1, 100.0).logit_s.sigmoid()) == pytest.approx(0.025, abs=5e-4)


@pytest.mark.parametrize("decibels", [-20, 20])
def test_loudness_is_forgotten(decibels: float) -> None:
    """20 dB move log power by 4.6 and PCEN by less than a tenth of what music moves it."""
    compress, frames = PCEN(5, FRAME_RATE), log_power()
    louder = frames + decibels / 10 * math.log(10)
    assert (compress(louder) - compress(frames)).abs().max() < 0.12 * compress(frames).max()
    assert (compress(louder) - compress(frames)).abs().mean() < 0.1 * compress(frames).std()


def test_a_steady_hum_is_flattened_and_an_onset_stays() -> None:
    frames = torch.zeros(1, 1, 400)
    frames[..., 200:] += math.log(100.0)
    out = PCEN(1, FRAME_RATE)(frames)[0, 0]
    before, onset, after = out[199], out[200], out[399]
    assert float(after / before) == pytest.approx(1, abs=0.1)
    assert onset > 5 * before


def test_below_eps_gain_is_no_longer_turned_up() -> None:
    compress = PCEN(1, FRAME_RATE)
    level = [float(compress(torch.full((1, 1, 200), math.log(p))).mean()) for p in (1e-3, 1e-6, 1e-9)]
    assert level[1] == pytest.approx(0.5 * level[0], rel=0.3)
    assert level[2] < 0.01 * level[0]


def test_silence_and_full_scale_are_finite_with_their_gradients() -> None:
    sound = torch.stack([torch.zeros(16_000), torch.sign(torch.sin(torch.arange(16_000.0)))]).requires_grad_()
    out = PCEN(64, FRAME_RATE, trainable=True)(LogMel()(sound))
    out.sum().backward()
    assert out.isfinite().all()
    assert sound.grad is not None
    assert sound.grad.isfinite().all()


@pytest.mark.parametrize("per_band", [False, True])
def test_its_parameters_learn_and_are_saved(per_band: bool) -> None:
    compress, frames = PCEN(5, FRAME_RATE, trainable=True, per_band=per_band), log_power()
    torch.testing.assert_close(compress(frames), PCEN(5, FRAME_RATE)(frames))
    assert {name: tuple(p.shape) for name, p in compress.named_parameters()} == dict.fromkeys(
        PCEN.names, (5,) if per_band else (1,)
    )
    compress(frames).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.all() for p in compress.parameters())
    torch.optim.SGD(compress.parameters(), lr=1.0).step()
    other = PCEN(5, FRAME_RATE, trainable=True, per_band=per_band)
    other.load_state_dict(compress.state_dict())
    assert torch.equal(other(frames), compress(frames))
    assert not torch.allclose(other(frames), PCEN(5, FRAME_RATE)(frames), atol=1e-3)


def test_bands_of_their_own_are_computed_band_by_band() -> None:
    whole = PCEN(3, FRAME_RATE, trainable=True)
    with torch.no_grad():
        for number, name in enumerate(PCEN.names):
            getattr(whole, name).add_(torch.tensor([-0.5, 0.0, 0.7]) * (1 + number) / 4)
    frames = log_power(2, 3)
    for band in range(3):
        one = PCEN(1, FRAME_RATE, trainable=True)
        one.load_state_dict({name: value[band : band + 1] for name, value in whole.state_dict().items()})
        torch.testing.assert_close(one(frames[:, band : band + 1]), whole(frames)[:, band : band + 1])


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_compression_keeps_the_shape_and_its_precision_under_autocast(name: str) -> None:
    compress, frames = build_compression(name, 5, FRAME_RATE), log_power()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = compress(frames)
    assert cast.shape == frames.shape
    assert cast.dtype == torch.float32
    assert torch.equal(cast, compress(frames))
    assert compress.state_dict() == {}


def test_log_is_what_the_frontend_gave() -> None:
    assert torch.equal(build_compression("log", 5, FRAME_RATE)(log_power()), log_power())


@pytest.mark.parametrize("option", ["alpha", "delta", "r", "time_constant", "eps"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_options_out_of_range_are_named(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"pcen {option} must be a number > 0, got {value}"):
        PCEN(5, FRAME_RATE, **{option: value})
