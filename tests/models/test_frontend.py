"""The log-mel frontend: parity with librosa by both paths, physics of tones, streaming, what a checkpoint holds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mirclr.audio.decode import decode
from mirclr.compiled import librosa
from mirclr.models.frontend import LogMel
from mirclr.models.frontend_base import reflected
from mirclr.models.frontend_mel import hz_to_mel, mel_filters, mel_to_hz

BACKENDS = ["fft", "nnaudio"]
CONFIGURATIONS = {
    "default": {},
    "librosa's own": {"sample_rate": 22_050, "n_fft": 2048, "hop": 512, "n_mels": 128, "f_min": 0.0},
    "htk peaks": {"htk": True, "norm": None, "n_mels": 40},
    "odd hop, band-limited": {"n_fft": 512, "hop": 157, "n_mels": 32, "f_min": 100.0, "f_max": 5000.0},
}


def noise(length: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def tone(frequency: float, seconds: float = 1.0, rate: int = 16_000) -> Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(int(seconds * rate)) / rate)


def librosa_mel(samples: np.ndarray, options: dict) -> np.ndarray:
    o = {"sample_rate": 16_000, "n_fft": 1024, "hop": 256, "n_mels": 64, "f_min": 30.0, "f_max": None} | options
    return librosa().feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=o["sample_rate"],
        n_fft=o["n_fft"],
        hop_length=o["hop"],
        n_mels=o["n_mels"],
        fmin=o["f_min"],
        fmax=o["f_max"],
        htk=o.get("htk", False),
        norm=o.get("norm", "slaney"),
        pad_mode="reflect",
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_parity_with_librosa(options: dict, backend: str) -> None:
    samples = np.stack([noise(20_000, seed) for seed in range(3)])
    frontend = LogMel(backend=backend, floor=1e-12, **options)
    got = frontend(torch.from_numpy(samples)).double().exp().numpy()
    want = np.stack([librosa_mel(clip, options) for clip in samples])
    assert got.shape == want.shape == (3, frontend.bands, frontend.frames(20_000))
    np.testing.assert_allclose(got, want, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [1, 2, 3, 100, 512, 513, 1023, 1025])
def test_sound_shorter_than_a_window_is_mirrored_like_librosa(length: int, backend: str) -> None:
    samples = noise(length)
    want = np.log(librosa_mel(samples, {}) + 1e-6)
    got = LogMel(backend=backend)(torch.from_numpy(samples)[None])[0]
    np.testing.assert_allclose(got.numpy(), want, atol=2e-4)


def test_mirrored_places_are_numpys() -> None:
    for length in (1, 2, 3, 10):
        want = np.pad(np.arange(length), (13, 17), mode="reflect")
        np.testing.assert_array_equal(reflected(length, -13, length + 17).numpy(), want)


@pytest.mark.parametrize("htk", [False, True])
def test_the_mel_scale_is_librosas_and_its_inverse_goes_back(htk: bool) -> None:
    hz = torch.tensor([0.0, 30.0, 999.0, 1000.0, 1001.0, 8000.0, 20_000.0], dtype=torch.float64)
    np.testing.assert_allclose(hz_to_mel(hz, htk).numpy(), librosa().hz_to_mel(hz.numpy(), htk=htk), rtol=1e-12)
    torch.testing.assert_close(mel_to_hz(hz_to_mel(hz, htk), htk), hz)


def test_filters_are_librosas() -> None:
    want = librosa().filters.mel(sr=16_000, n_fft=1024, n_mels=64, fmin=30.0, fmax=8000.0)
    np.testing.assert_allclose(mel_filters(16_000, 1024, 64, (30.0, 8000.0)).numpy(), want, atol=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("frequency", [100.0, 440.0, 3000.0])
def test_a_tone_is_loudest_in_the_band_around_it(frequency: float, backend: str) -> None:
    mel = LogMel(backend=backend)(tone(frequency)[None])[0].mean(dim=1)
    centres = librosa().mel_frequencies(66, fmin=30.0, fmax=8000.0)[1:-1]
    assert abs(int(mel.argmax()) - int(np.abs(centres - frequency).argmin())) <= 1
    assert mel.max() - mel[torch.tensor(np.abs(centres - frequency) > 1000)].max() > math.log(1e5)


def test_gain_is_addition_and_silence_is_the_floor() -> None:
    frontend = LogMel()
    loud = torch.from_numpy(noise(16_000))[None]
    torch.testing.assert_close(frontend(0.5 * loud), frontend(loud) - math.log(4.0), atol=1e-3, rtol=0)
    silence = frontend(torch.zeros(1, 16_000))
    torch.testing.assert_close(silence, torch.full_like(silence, math.log(1e-6)))


def test_the_floor_lies_where_its_docstring_says() -> None:
    full_scale = LogMel()(tone(1000.0)[None])[0, :, 10:50].max()
    assert 10 * (full_scale - math.log(1e-6)) / math.log(10) == pytest.approx(91, abs=2)
    rounding = torch.from_numpy(noise(160_000)) % (1 / 32768) - 0.5 / 32768
    level = LogMel(floor=1e-30)(rounding[None]).exp().mean()
    assert 10 * math.log10(1e-6 / level) == pytest.approx(27, abs=1)
    assert (LogMel()(rounding[None]) - math.log(1e-6)).abs().max() < 0.02


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [1, 300, 1024, 25_000])
@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_blocks_side_by_side_are_the_whole(block: int, length: int, backend: str) -> None:
    frontend, samples = LogMel(backend=backend), noise(length)
    whole = frontend(torch.from_numpy(samples)[None])[0]
    pieces = list(frontend.blocks(samples, block))
    assert max(piece.shape[1] for piece in pieces) <= block
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-4, rtol=0)
    torch.testing.assert_close(frontend.track(torch.from_numpy(samples), block), whole, atol=1e-4, rtol=0)


def test_a_memory_mapped_track_is_read_as_it_is(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    samples = noise(50_000)
    samples.tofile(tmp_path / "track.f32")
    mapped = np.memmap(tmp_path / "track.f32", np.float32, mode="r")
    frontend = LogMel()
    torch.testing.assert_close(frontend.track(mapped, 64), frontend.track(samples))
    assert not recwarn.list


def test_one_clip_does_not_change_another() -> None:
    frontend = LogMel()
    clips = torch.from_numpy(np.stack([noise(8000, seed) for seed in range(4)]))
    alone = torch.cat([frontend(clip[None]) for clip in clips])
    torch.testing.assert_close(frontend(clips), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_autocast_does_not_touch_it(backend: str) -> None:
    frontend, samples = LogMel(backend=backend), torch.from_numpy(noise(8000))[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = frontend(samples)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, frontend(samples))


@pytest.mark.parametrize("backend", BACKENDS)
def test_constants_stay_out_of_the_state_and_construction_is_silent(
    backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    frontend = LogMel(backend=backend)
    frontend(torch.zeros(1, 4000))
    assert frontend.state_dict() == {}
    assert list(frontend.parameters()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("sound", ["silence", "noise"])
def test_the_gradient_by_the_samples_is_finite(backend: str, sound: str) -> None:
    samples = torch.from_numpy(noise(4000) * (sound == "noise"))[None].requires_grad_()
    LogMel(backend=backend)(samples).sum().backward()
    assert samples.grad.isfinite().all()
    assert (samples.grad.abs().max() > 0) == (sound == "noise")


def test_trained_kernels_learn_and_are_saved() -> None:
    frontend, fixed = LogMel(backend="nnaudio", trainable=True), LogMel()
    samples = torch.from_numpy(np.stack([noise(8000), np.zeros(8000, np.float32)]))
    torch.testing.assert_close(frontend(samples), fixed(samples), atol=1e-3, rtol=0)
    optimiser = torch.optim.SGD(frontend.parameters(), lr=1e-3)
    frontend(samples).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in frontend.parameters())
    optimiser.step()
    assert frontend(samples).isfinite().all()  # filters that were pushed below zero are clamped
    other = LogMel(backend="nnaudio", trainable=True)
    other.load_state_dict(frontend.state_dict())
    assert torch.equal(other(samples), frontend(samples))
    assert not torch.allclose(other(samples), fixed(samples), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_fft": 1023}, "n_fft must be even"),
        ({"hop": 0}, r"hop within 1\.\.n_fft"),
        ({"hop": 2000}, r"hop within 1\.\.n_fft"),
        ({"floor": 0.0}, "floor must be > 0"),
        ({"f_min": 9000.0}, "from 9000.0 to 8000.0 Hz do not fit"),
        ({"f_max": 9000.0}, "to 9000.0 Hz do not fit 0 to 8000.0 Hz"),
        ({"n_mels": 0}, "0 mel bands"),
        ({"n_mels": 400}, r"mel bands \[.*\] hold no FFT bin"),
        ({"backend": "fttf"}, "backend must be .*'fttf'"),
        ({"trainable": True}, "'nnaudio' when trainable"),
        ({"norm": "area"}, "norm must be 'slaney' or None, got 'area'"),
    ],
)
def test_options_that_make_no_spectrogram_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogMel(**options)


def test_samples_of_another_shape_or_kind_are_refused() -> None:
    frontend = LogMel()
    for samples in (torch.zeros(100), torch.zeros(1, 0), torch.zeros(1, 1, 100)):
        with pytest.raises(ValueError, match=r"samples must be \(B, T\)"):
            frontend(samples)
    with pytest.raises(ValueError, match="int16: divide int16 by 32768"):
        frontend(torch.zeros(1, 5000, dtype=torch.int16))
    with pytest.raises(ValueError, match=r"samples must be \(T,\)"):
        frontend.track(np.zeros((2, 100), np.float32))
    with pytest.raises(ValueError, match="block >= 1"):
        frontend.track(np.zeros(100, np.float32), block=0)


@pytest.mark.music
@pytest.mark.parametrize("backend", BACKENDS)
def test_parity_with_librosa_on_real_music(music: Path, backend: str) -> None:
    path = min(p for p in music.rglob("*") if p.suffix == ".mp3")
    samples = decode(path, 16_000, duration_s=10.0)
    want = librosa_mel(samples, {})
    got = LogMel(backend=backend, floor=1e-12).track(samples).double().exp().numpy()
    # Single precision reaches 70 dB below the loudest value; under it is a codec's silence.
    heard = want > want.max() * 1e-7
    assert heard.mean() > 0.5
    np.testing.assert_allclose(got[heard], want[heard], rtol=1e-4)
