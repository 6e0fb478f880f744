"""A codec's round trip loses treble and nothing else: length, place and level stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mirclr.augment.codec import MP3_DELAY, Codec, round_trip
from mirclr.augment.table import build_chain


def coloured_noise(length: int, seed: int = 0) -> np.ndarray:
    """Noise that falls by 6 dB an octave, as music does, so that codecs keep its middle."""
    sound = np.cumsum(np.random.default_rng(seed).standard_normal(length + 400))
    sound = (sound - np.convolve(sound, np.ones(401) / 401, "same"))[200:-200]
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def lag(late: np.ndarray, sound: np.ndarray) -> int:
    """By how many samples `late` comes after `sound`: the peak of the circular cross-correlation."""
    shared = np.fft.irfft(np.fft.rfft(late) * np.fft.rfft(sound).conj(), len(sound))
    peak = int(shared.argmax())
    return peak if peak < len(sound) // 2 else peak - len(sound)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize(
    ("kind", "compression"), [("mp3", 0.0), ("mp3", 0.6), ("mp3", 0.97), ("ogg", 0.0), ("ogg", 0.99)]
)
def test_the_item_comes_back_as_long_and_in_its_place(kind: str, compression: float, rate: int) -> None:
    sound = coloured_noise(rate)
    out = round_trip(sound, rate, kind, compression)
    assert (out.shape, out.dtype) == (sound.shape, np.float32)
    assert abs(lag(out, sound)) <= 1
    assert np.corrcoef(out, sound)[0, 1] > 0.7
    assert np.std(out) / np.std(sound) == pytest.approx(1, abs=0.3)


def test_the_smallest_mp3_would_come_late_without_compensation(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = coloured_noise(16_000)
    assert lag(round_trip(sound, 16_000, "mp3", 0.97), sound) == 0
    monkeypatch.setattr("mirclr.augment.codec.MP3_DELAY", 0)
    assert lag(round_trip(sound, 16_000, "mp3", 0.97), sound) == MP3_DELAY
    assert lag(round_trip(sound, 16_000, "mp3", 0.5), sound) == 0  # this one tells how much to drop


def test_content_above_the_cutoff_is_removed() -> None:
    sound = 0.2 * np.random.default_rng(0).standard_normal(44_100).astype(np.float32)
    hertz = np.fft.rfftfreq(len(sound), 1 / 44_100)
    before = np.abs(np.fft.rfft(sound)) ** 2
    for kind, compression, cutoff in (("mp3", 0.9, 18_000), ("ogg", 0.95, 18_000), ("mp3", 0.97, 16_000)):
        after = np.abs(np.fft.rfft(round_trip(sound, 44_100, kind, compression))) ** 2
        above, middle = hertz > cutoff, (hertz > 500) & (hertz < 3000)
        assert after[above].sum() < 1e-3 * before[above].sum(), (kind, compression)
        assert after[middle].sum() > 0.5 * before[middle].sum(), (kind, compression)


def test_more_compression_is_further_from_the_item() -> None:
    sound = coloured_noise(16_000)
    for kind in ("mp3", "ogg"):
        errors = [np.std(round_trip(sound, 16_000, kind, c) - sound) for c in (0.0, 0.6, 0.97)]
        assert errors == sorted(errors)
        assert errors[0] < 0.2 * np.std(sound)


def test_items_louder_than_full_scale_are_not_clipped() -> None:
    sound = coloured_noise(16_000) / 0.5
    loud = round_trip(8 * sound, 16_000, "mp3", 0.3)
    np.testing.assert_allclose(loud / 8, round_trip(sound, 16_000, "mp3", 0.3), atol=1e-6)


def test_drawn_kinds_and_compressions_reach_the_codec() -> None:
    made, sound = Codec(), coloured_noise(8000)
    drawn = {"ogg": torch.tensor([0, 1]), "compression": torch.tensor([0.6, 0.9])}
    out = made.apply(torch.from_numpy(sound).expand(2, -1).double(), drawn)
    assert out.dtype == torch.float64
    for item, kind, compression in ((0, "mp3", 0.6), (1, "ogg", 0.9)):
        np.testing.assert_allclose(out[item].numpy(), round_trip(sound, 16_000, kind, compression), atol=1e-3)
    u = np.random.default_rng(0).random((60, 2))
    assert set(made.parameters(u)["ogg"]) == {0, 1}
    assert set(Codec(kind="mp3").parameters(u)["ogg"]) == {0}
    assert set(Codec(kind="ogg").parameters(u)["ogg"]) == {1}


def test_a_sample_rate_that_mp3_does_not_have_is_refused_where_mp3_may_be_drawn() -> None:
    with pytest.raises(ValueError, match=r"codec: sample_rate must be one of 8000, .* for MP3, got 10000; kind 'ogg'"):
        build_chain([{"name": "codec"}], "wave", 10_000)
    chain = build_chain([{"name": "codec", "kind": "ogg"}], "wave", 10_000)
    sound = coloured_noise(10_000)[None]
    out = chain.apply(torch.from_numpy(sound), chain.draw([np.random.default_rng(0)]))
    assert abs(lag(out[0].numpy(), sound[0])) <= 1
