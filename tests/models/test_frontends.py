"""One contract for every frontend in the table, trained or not, and the gammatone's filters."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from mirclr.models.embedder import Embedder
from mirclr.models.frontend_base import Frontend
from mirclr.models.frontend_gammatone import Gammatone, erb_centres, gammatone_filters
from mirclr.models.table import FRONTENDS, build_frontend
from mirclr.tables import options_of

RATE = 8_000
# Small enough to be fast, and with windows longer than the shortest sounds.
SMALL = {
    "logmel": {"n_fft": 256, "hop": 128, "n_mels": 16},
    "gammatone": {"n_fft": 256, "hop": 128, "n_bins": 16},
    "cqt": {"hop": 100, "n_bins": 32, "bins_per_octave": 8, "f_min": 200.0},
    "vqt": {"hop": 128, "n_bins": 24, "bins_per_octave": 6, "f_min": 150.0},
    "raw": {},
}
LEARNING = {
    "logmel": {"backend": "nnaudio", "trainable": True},
    "gammatone": {"trainable": True},
    "cqt": {"trainable": True},
    "vqt": {"trainable": True},
}
SPECTRAL = [name for name, kind in FRONTENDS.items() if kind.domain == "spec"]


def small(name: str, **over: object) -> Frontend:
    return build_frontend(name, RATE, **{**SMALL[name], **over})


def noise(length: int, batch: int = 1) -> Tensor:
    return 0.1 * torch.randn(batch, length, generator=torch.Generator().manual_seed(length))


def test_every_frontend_that_can_learn_is_tested_learning() -> None:
    assert set(LEARNING) == {name for name, kind in FRONTENDS.items() if "trainable" in options_of(kind)}


@pytest.mark.parametrize("name", FRONTENDS)
class TestEveryFrontend:
    @pytest.mark.parametrize("length", [1, 2, 99, 128, 700, 4_001])
    def test_the_stated_frames_of_the_stated_bands(self, name: str, length: int) -> None:
        frontend = small(name)
        out = frontend(noise(length, 3))
        assert out.shape == (3, frontend.bands, frontend.frames(length))
        assert out.dtype == torch.float32
        assert out.isfinite().all()
        assert (frontend.frames(length) - 1) * frontend.hop <= length

    def test_frames_are_hop_samples_apart(self, name: str) -> None:
        frontend, sound = small(name), noise(6_000)
        later = frontend(sound[:, 3 * frontend.hop :])
        whole = frontend(sound)[..., 3:]
        middle = slice(-(-frontend.before // frontend.hop), later.shape[2] - frontend.after // frontend.hop - 1)
        assert later[..., middle].shape[2] > 10
        torch.testing.assert_close(later[..., middle], whole[..., middle], atol=1e-3, rtol=0)

    @pytest.mark.parametrize(("length", "block"), [*itertools.product((1, 130, 6_000), (1, 7, None)), (6_000, 100_000)])
    def test_blocks_side_by_side_are_the_whole(self, name: str, length: int, block: int | None) -> None:
        frontend, sound = small(name), noise(length)
        block = block if block is None else block * (1 if name != "raw" else 128)
        whole = frontend(sound)[0]
        pieces = list(frontend.blocks(sound[0].numpy(), block))
        assert all(piece.shape[1] <= (block or frontend.block_frames) for piece in pieces)
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-4, rtol=0)
        torch.testing.assert_close(frontend.track(sound[0], block), whole, atol=1e-4, rtol=0)

    def test_one_clip_does_not_change_another(self, name: str) -> None:
        frontend, clips = small(name), noise(2_000, 70)
        alone = torch.cat([frontend(clip[None]) for clip in clips])
        torch.testing.assert_close(frontend(clips), alone, atol=1e-4, rtol=0)

    def test_autocast_does_not_touch_it(self, name: str) -> None:
        frontend, sound = small(name), noise(1_000)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = frontend(sound)
        assert cast.dtype == torch.float32
        assert torch.equal(cast, frontend(sound))

    def test_silence_is_finite_and_so_is_its_gradient(self, name: str) -> None:
        frontend, silence = small(name), torch.zeros(1, 1_000, requires_grad=True)
        out = frontend(silence)
        out.sum().backward()
        assert out.isfinite().all()
        assert silence.grad is not None
        assert silence.grad.isfinite().all()
        if frontend.domain == "spec":
            torch.testing.assert_close(out, torch.full_like(out, math.log(frontend.floor)))

    def test_constants_stay_out_of_the_state_and_construction_is_silent(
        self, name: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        frontend = small(name)
        assert frontend.state_dict() == {}
        assert list(frontend.parameters()) == []
        assert capfd.readouterr() == ("", "")

    def test_samples_of_another_shape_or_kind_are_refused(self, name: str) -> None:
        frontend = small(name)
        for samples in (torch.zeros(100), torch.zeros(1, 0), torch.zeros(1, 1, 100)):
            with pytest.raises(ValueError, match=r"samples must be \(B, T\)"):
                frontend(samples)
        with pytest.raises(ValueError, match="int16: divide int16 by 32768"):
            frontend(torch.zeros(1, 500, dtype=torch.int16))
        with pytest.raises(ValueError, match="int16: divide int16 by 32768"):
            frontend.track(np.zeros(500, np.int16))
        with pytest.raises(ValueError, match=r"block >= 1; got \(100,\), 0"):
            frontend.track(np.zeros(100, np.float32), block=0)

    def test_a_frame_is_made_of_the_samples_it_says_it_reads(self, name: str) -> None:
        frontend, sound = small(name), noise(6_000)
        changed, k = sound.clone(), 20
        changed[:, : k * frontend.hop - frontend.before] = 0.5
        changed[:, k * frontend.hop + frontend.after :] = -0.5
        torch.testing.assert_close(frontend(changed)[..., k], frontend(sound)[..., k], atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", SPECTRAL)
def test_six_decibels_are_added(name: str) -> None:
    frontend, sound = small(name), noise(8_000)
    once, twice = frontend(sound), frontend(2 * sound)
    heard = once > math.log(1e3 * frontend.floor)
    assert heard.float().mean() > 0.9
    torch.testing.assert_close(twice[heard], once[heard] + math.log(4.0), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", SPECTRAL)
def test_bands_rise_in_pitch(name: str) -> None:
    frontend = small(name)
    tones = torch.stack([torch.sin(2 * math.pi * f * torch.arange(RATE) / RATE) for f in (300, 600, 1200, 2100)])
    loudest = frontend(tones)[..., 20:-20].mean(dim=2).argmax(dim=1)
    assert (loudest.diff() > 0).all()


@pytest.mark.parametrize("name", LEARNING)
def test_what_can_be_trained_learns_and_is_saved(name: str) -> None:
    frontend, fixed = small(name, **LEARNING[name]), small(name)
    sound = torch.cat([noise(3_000, 3), torch.zeros(1, 3_000)])
    torch.testing.assert_close(frontend(sound), fixed(sound), atol=2e-3, rtol=0)
    frontend(sound).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in frontend.parameters())
    torch.optim.SGD(frontend.parameters(), lr=1e-3).step()
    assert frontend(sound).isfinite().all()
    other = small(name, **LEARNING[name])
    other.load_state_dict(frontend.state_dict())
    assert torch.equal(other(sound), frontend(sound))
    assert not torch.allclose(other(sound), fixed(sound), atol=1e-3)


def test_raw_samples_are_themselves() -> None:
    sound = noise(1_000, 2)
    assert torch.equal(build_frontend("raw", RATE)(sound), sound[:, None])
    assert build_frontend("raw", RATE)(sound.double()).dtype == torch.float32


@pytest.mark.parametrize("bands", [8, 40])
def test_gammatone_filters_are_the_response_of_the_gammatone(bands: int) -> None:
    """The closed form against scipy's recursive filter. That one has the same shape and a response of 1 at its peak."""
    filters = gammatone_filters(16_000, 1024, bands, (100.0, 6_000.0)).double().numpy()
    bins = np.arange(513) * 16_000 / 1024
    for centre, ours in zip(erb_centres(bands, 100.0, 6_000.0).numpy(), filters, strict=True):
        _, response = scipy.signal.freqz(*scipy.signal.gammatone(centre, "iir", fs=16_000), worN=bins, fs=16_000)
        near = np.abs(bins - centre) < 500
        peak = 1 / (1.019 * (24.7 + centre / 9.26449) * 5 * math.pi / 16)
        np.testing.assert_allclose(ours[near] / peak, np.abs(response[near]) ** 2, atol=0.012)


def test_gammatone_bands_are_nnaudios_with_the_power_for_the_amplitude() -> None:
    from nnAudio.librosa_functions import fft2gammatonemx

    amplitude, centres = fft2gammatonemx(16_000, 1024, 64, fmin=30.0, fmax=8_000.0, maxlen=513)
    np.testing.assert_allclose(erb_centres(64, 30.0, 8_000.0).numpy(), centres, rtol=1e-6)
    ours = gammatone_filters(16_000, 1024, 64, (30.0, 8_000.0)).numpy()
    for mine, theirs in zip(ours[5:60], amplitude[5:60], strict=True):
        np.testing.assert_allclose(mine / mine.max(), (theirs / theirs.max()) ** 2, atol=0.01)


def test_gammatone_levels_compare_with_log_mel() -> None:
    sound = noise(64_000)
    mel, gammatone = build_frontend("logmel", 16_000)(sound), Gammatone()(sound)
    assert abs(float(mel[:, 20:60].exp().mean().log() - gammatone[:, 20:60].exp().mean().log())) < 0.2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gammatone", {"n_fft": 1023}, "n_fft must be even"),
        ("gammatone", {"n_bins": 0}, "0 gammatone bands"),
        ("gammatone", {"f_max": 9000.0}, "to 9000.0 Hz do not fit 0 to 4000.0 Hz"),
        ("gammatone", {"floor": 0.0}, "floor must be > 0"),
        ("raw", {"hop": 4}, "frontend 'raw': unknown option 'hop'"),
    ],
)
def test_options_that_make_no_frontend_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_frontend(name, RATE, **options)


PLAN = {"sample_rate": RATE, "clip_seconds": 1.0}
SPEC_ENCODER = {"name": "resnet", "width": 4, "stages": 2}
WAVE_ENCODER = {"name": "samplecnn", "width": 2}


def plan(name: str, **over: object) -> dict[str, object]:
    encoder = SPEC_ENCODER if FRONTENDS[name].domain == "spec" else WAVE_ENCODER
    return {**PLAN, "frontend": {"name": name, **SMALL[name]}, "encoder": encoder, **over}


@pytest.mark.parametrize("name", FRONTENDS)
def test_an_embedder_hears_the_same_in_samples_and_in_frames(name: str) -> None:
    torch.manual_seed(0)
    embedder, sound = Embedder(plan(name)).eval(), noise(RATE, 2)
    assert embedder.clip_frames in (embedder.frontend.frames(RATE), embedder.frontend.frames(RATE) - 1)
    vectors = embedder(sound)
    assert vectors.shape == (2, embedder.dim)
    tracks = torch.stack([embedder.frontend.track(each) for each in sound])
    torch.testing.assert_close(embedder.from_spectrogram(tracks), vectors, atol=1e-3, rtol=1e-3)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="'raw' gives samples, but encoder 'resnet' takes spectrograms"):
        Embedder(plan("raw", encoder=SPEC_ENCODER))
    with pytest.raises(ValueError, match="'cqt' gives spectrograms, but encoder 'samplecnn' takes samples"):
        Embedder(plan("cqt", encoder=WAVE_ENCODER))
    with pytest.raises(ValueError, match="'raw' gives samples, but compression 'pcen' takes spectrograms"):
        Embedder(plan("raw", compression={"name": "pcen"}))
    with pytest.raises(ValueError, match=r"no compression 'pcn'\. Did you mean 'pcen'\?"):
        Embedder(plan("logmel", compression={"name": "pcn"}))
    with pytest.raises(ValueError, match=r"normalise 'clip': unknown option 'per_bnd'\. Did you mean 'per_band'\?"):
        Embedder(plan("logmel", normalise={"name": "clip", "per_bnd": True}))


def test_a_plan_from_before_has_the_same_weights_and_the_same_meaning() -> None:
    torch.manual_seed(0)
    old = Embedder(plan("logmel")).eval()
    new = Embedder(plan("logmel", compression={"name": "log"}, normalise={"name": "fitted"})).eval()
    assert {"normalise.mean", "normalise.std"} <= old.state_dict().keys()
    assert not any(name.startswith(("frontend", "compress")) for name in old.state_dict())
    new.load_state_dict(old.state_dict())
    assert torch.equal(new(noise(RATE)), old(noise(RATE)))


def test_statistics_are_measured_behind_the_compression() -> None:
    embedder = Embedder(plan("logmel", compression={"name": "pcen"}))
    frames = embedder.frontend(noise(RATE, 4))
    embedder.fit([frames])
    out = embedder.normalise(embedder.compress(frames))
    assert float(out.mean()) == pytest.approx(0, abs=1e-4)
    torch.testing.assert_close(embedder.normalise.mean[:, 0], embedder.compress(frames).mean((0, 2)))
