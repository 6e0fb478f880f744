"""A window is the slice of the whole file, for every format, at any rate, at every edge."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr

from mirclr.audio.decode import decode, open_reader
from mirclr.audio.ffmpeg_reader import FfmpegReader
from mirclr.audio.soundfile_reader import SoundFileReader
from mirclr.errors import AudioError
from tests.support.audio_files import FORMATS, RATE, encode, music_like, write_format

SECONDS = 7.3
LOSSLESS = ("pcm.wav", "float.wav", "rf64.wav", "pcm.aiff", "float.aifc", "lossless.flac", "alac.m4a")
# Formats whose header says how many samples the encoder put in front and behind.
GAPLESS = (*LOSSLESS, "vorbis.ogg", "opus.opus", "cbr.mp3", "aac.m4a")


def _low_rate_mp3(path: Path) -> None:
    """8 kbit/s: each frame borrows bits from up to eleven before it."""
    encode(path, music_like(SECONDS, 16_000, 1), 16_000, "mp3", "libmp3lame", bit_rate=8_000)


def _variable_mp3(path: Path) -> None:
    """Variable bit rate and no length header: easy sound first, so that an estimate from the first frames is wrong."""
    sound = music_like(SECONDS)
    sound[len(sound) // 2 :] += 0.2 * np.random.default_rng(1).standard_normal((len(sound) - len(sound) // 2, 2))
    options, mux = {"abr": "1"}, {"write_xing": "0", "id3v2_version": "0"}
    encode(path, sound.astype(np.float32), RATE, "mp3", "libmp3lame", bit_rate=160_000, options=options, mux=mux)


def _joined_mp3(path: Path) -> None:
    """Two files in one, each with a length header of its own."""
    encode(path, music_like(SECONDS / 2), RATE, "mp3", "libmp3lame")
    path.write_bytes(path.read_bytes() * 2)


def _noisy_aac(path: Path) -> None:
    """Noise, which the encoder replaces by orders to the decoder to draw some."""
    noise = np.random.default_rng(2).standard_normal((round(SECONDS * RATE), 2))
    encode(path, (0.1 * noise).astype(np.float32), RATE, "ipod", "aac", bit_rate=64_000)


def _large_pages(codec_of: str) -> Callable[[Path], None]:
    """Ogg in pages of several seconds: most of the file is the last page."""

    def write(path: Path) -> None:
        small = write_format(path.with_suffix(".small"), codec_of, SECONDS)
        with av.open(str(small)) as source, av.open(str(path), "w", format="ogg", options=_PAGES) as target:
            stream = source.streams.audio[0]
            copy = target.add_stream_from_template(stream)
            for packet in source.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    target.mux(packet)

    return write


_PAGES = {"page_duration": "4000000"}
HARD: dict[str, Callable[[Path], None]] = {
    "low.mp3": _low_rate_mp3,
    "variable.mp3": _variable_mp3,
    "joined.mp3": _joined_mp3,
    "noisy.m4a": _noisy_aac,
    "pages.ogg": _large_pages("vorbis.ogg"),
    "pages.opus": _large_pages("opus.opus"),
}
NAMES = (*FORMATS, *HARD)


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a name in NAMES, written when first asked for."""
    folder = tmp_path_factory.mktemp("formats")

    @cache
    def make(name: str) -> Path:
        HARD[name](folder / name) if name in HARD else write_format(folder / name, name, SECONDS)
        return folder / name

    return make


@pytest.fixture(scope="module")
def whole_of(file_of: Callable[[str], Path]) -> Callable[[str, int], np.ndarray]:
    """The whole file of a name at a rate."""
    return cache(lambda name, rate: decode(file_of(name), rate))


def native_rate(path: Path) -> int:
    reader = open_reader(path)
    reader.close()
    return reader.rate


def windows(total_s: float) -> list[tuple[float, float | None]]:
    """Starts and lengths in seconds: the edges, odd fractions, everything between."""
    inside = np.random.default_rng(5).uniform(0, total_s, 6).tolist()
    starts = [0.0, 0.001, 0.0261, 0.3, *inside, total_s - 0.8, total_s - 0.05, total_s - 0.0004]
    return [(start, length) for start in starts for length in (0.07, 1.0)] + [
        (total_s / 3, None),
        (total_s - 0.3, None),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_window_at_the_files_own_rate_is_the_slice(
    name: str, file_of: Callable[[str], Path], whole_of: Callable[[str, int], np.ndarray]
) -> None:
    rate = native_rate(file_of(name))
    whole = whole_of(name, rate)
    for start, length in windows(len(whole) / rate):
        first = round(start * rate)
        expected = whole[first:] if length is None else whole[first : first + round(length * rate)]
        got = decode(file_of(name), rate, start, length)
        assert got.shape == expected.shape, (start, length)
        np.testing.assert_allclose(got, expected, atol=1e-6, err_msg=f"{start} s, {length} s")


@pytest.mark.parametrize("rate", [16_000, 11_025, 48_000])
@pytest.mark.parametrize("name", ["pcm.wav", "cbr.mp3", "low.mp3", "pages.ogg", "opus.opus", "noisy.m4a", "alac.m4a"])
def test_a_window_at_another_rate_is_the_slice(
    name: str, rate: int, file_of: Callable[[str], Path], whole_of: Callable[[str, int], np.ndarray]
) -> None:
    whole = whole_of(name, rate)
    for start, length in windows(len(whole) / rate):
        first = round(start * rate)
        expected = whole[first:] if length is None else whole[first : first + round(length * rate)]
        got = decode(file_of(name), rate, start, length)
        assert got.shape == expected.shape, (start, length)
        np.testing.assert_allclose(got, expected, atol=2e-6, err_msg=f"{start} s, {length} s")


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_back_what_was_written(name: str, file_of: Callable[[str], Path]) -> None:
    expected = music_like(SECONDS).mean(axis=1)
    np.testing.assert_allclose(decode(file_of(name), RATE), expected, atol=1 / 32_768)


@pytest.mark.parametrize("name", [n for n in GAPLESS if n not in LOSSLESS])
def test_lossy_formats_keep_their_place_in_time(name: str, whole_of: Callable[[str, int], np.ndarray]) -> None:
    rate = 48_000 if name.endswith("opus") else RATE
    source = music_like(SECONDS, rate).mean(axis=1)
    whole = whole_of(name, rate)
    assert len(whole) == len(source)
    lags = np.arange(-40, 41)
    middle = slice(rate, 3 * rate)
    match = [np.dot(np.roll(whole, lag)[middle], source[middle]) for lag in lags]
    assert lags[int(np.argmax(match))] == 0


def test_nothing_is_lost_at_the_end_of_a_headerless_mp3(whole_of: Callable[[str, int], np.ndarray]) -> None:
    assert len(whole_of("variable.mp3", RATE)) / RATE == pytest.approx(SECONDS, abs=0.1)
    assert len(whole_of("joined.mp3", RATE)) / RATE == pytest.approx(SECONDS, abs=0.2)


def test_the_end_of_a_window_is_where_the_file_ends(file_of: Callable[[str], Path]) -> None:
    path = file_of("pcm.wav")
    assert len(decode(path, 16_000, 1.0, 2.5)) == 40_000
    assert len(decode(path, 16_000, SECONDS - 1, 2.5)) == 16_000
    for start in (SECONDS, SECONDS + 1, 1e6):
        assert decode(path, 16_000, start, 1.0).shape == (0,)
        assert decode(path, 16_000, start).shape == (0,)
    assert decode(path, 16_000, 1.0, 0.0).shape == (0,)
    assert decode(path, 16_000).dtype == np.float32


@pytest.mark.parametrize("name", FORMATS)
def test_past_the_end_of_any_format_there_is_nothing(name: str, file_of: Callable[[str], Path]) -> None:
    assert decode(file_of(name), 16_000, SECONDS + 60, 1.0).shape == (0,)


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    left, right = np.full(1000, 0.5, np.float32), np.full(1000, -0.25, np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right, right, right], axis=1), 8000, subtype="FLOAT")
    np.testing.assert_allclose(decode(tmp_path / "a.wav", 8000), -0.0625, atol=1e-7)


def test_resampling_is_soxr_of_the_whole(file_of: Callable[[str], Path]) -> None:
    source = decode(file_of("float.wav"), RATE)
    expected = soxr.resample(source, RATE, 16_000, quality="HQ")
    got = decode(file_of("float.wav"), 16_000)
    assert abs(len(got) - len(expected)) <= 1
    shared = min(len(got), len(expected))
    np.testing.assert_allclose(got[:shared], expected[:shared], atol=1e-5)


def test_a_tone_above_the_new_band_dies_and_one_below_lives(tmp_path: Path) -> None:
    t = np.arange(2 * RATE) / RATE
    for frequency, survives in ((12_000, False), (3_000, True)):
        soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * frequency * t), RATE, subtype="FLOAT")
        got = decode(tmp_path / "tone.wav", 16_000, 0.5, 1.0)
        assert np.abs(got).max() == pytest.approx(0.5 if survives else 0.0, abs=1e-3)


def test_every_ratio_of_rates_has_its_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", music_like(0.1, 44_101, 1), 44_101)
    for rate in (8_000, 22_050, 44_100, 47_999, 192_000):
        assert len(decode(tmp_path / "a.wav", rate)) == (4410 * rate * 2 + 44_101) // (2 * 44_101)


def test_threads_do_not_disturb_each_other(file_of: Callable[[str], Path]) -> None:
    jobs = [(name, start) for name in ("cbr.mp3", "vorbis.ogg", "aac.m4a", "lossless.flac") for start in (0.5, 3.0)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: decode(file_of(job[0]), 16_000, job[1], 1.0), jobs))
    for job, got in zip(jobs, together, strict=True):
        np.testing.assert_array_equal(got, decode(file_of(job[0]), 16_000, job[1], 1.0))


def test_each_format_has_its_reader(file_of: Callable[[str], Path]) -> None:
    by_ffmpeg = {name for name in NAMES if isinstance(open_reader(file_of(name)), FfmpegReader)}
    assert by_ffmpeg == {
        *("aac.m4a", "alac.m4a", "raw.aac", "windows.wma"),  # libsndfile does not know them
        *("variable.mp3", "joined.mp3"),  # it would stop too early
        "noisy.m4a",
    }
    assert isinstance(open_reader(file_of("cbr.mp3")), SoundFileReader)


def test_a_flac_of_unknown_length_is_read_to_its_end(file_of: Callable[[str], Path], tmp_path: Path) -> None:
    """An encoder that writes into a pipe leaves 0 samples in STREAMINFO (RFC 9639, section 8.2)."""
    data = bytearray(file_of("lossless.flac").read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    (tmp_path / "piped.flac").write_bytes(data)
    expected = decode(file_of("lossless.flac"), 16_000)
    np.testing.assert_allclose(decode(tmp_path / "piped.flac", 16_000), expected, atol=1e-4)
    np.testing.assert_allclose(decode(tmp_path / "piped.flac", 16_000, 2.0, 1.0), expected[32_000:48_000], atol=1e-4)


def test_chained_ogg_is_read_to_the_end_of_the_last_link(tmp_path: Path) -> None:
    parts = [write_format(tmp_path / f"{seed}.ogg", "vorbis.ogg", 2.0, seed=seed).read_bytes() for seed in (1, 2)]
    (tmp_path / "chain.ogg").write_bytes(b"".join(parts))
    assert len(decode(tmp_path / "chain.ogg", RATE)) / RATE == pytest.approx(4.0, abs=0.01)


def test_junk_between_mp3_frames_is_dropped_as_players_do(file_of: Callable[[str], Path], tmp_path: Path) -> None:
    data = file_of("bare.mp3").read_bytes()
    half = len(data) // 2
    (tmp_path / "junk.mp3").write_bytes(data[:half] + np.random.default_rng(0).bytes(4000) + data[half:])
    assert len(decode(tmp_path / "junk.mp3", RATE)) / RATE == pytest.approx(SECONDS, abs=0.2)


def test_damage_inside_is_an_error_and_not_silence(file_of: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("lossless.flac", "aac.m4a"):
        data = file_of(name).read_bytes()
        half = len(data) // 2
        (tmp_path / name).write_bytes(data[:half] + bytes(4000) + data[half + 4000 :])
        with pytest.raises(AudioError, match="undecodable"):
            decode(tmp_path / name, RATE)


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    sound = music_like(1.0, 8000, 1)
    sound[4000] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match="no finite numbers"):
        decode(tmp_path / "nan.wav", 8000)


@pytest.mark.parametrize(("start", "length", "rate"), [(-1.0, 1.0, 8000), (0.0, -1.0, 8000), (0.0, 1.0, 0)])
def test_arguments_out_of_range(tmp_path: Path, start: float, length: float, rate: int) -> None:
    with pytest.raises(ValueError, match=r"need start_s"):
        decode(tmp_path / "never opened.wav", rate, start, length)


def test_text_under_an_audio_name_is_not_audio(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("no music")
    with pytest.raises(AudioError, match="not_audio"):
        decode(tmp_path / "a.mp3", 16_000)


@pytest.mark.music
def test_windows_of_real_music_are_slices(music: Path) -> None:
    files = [*sorted(music.rglob("*.mp3"))[::40], *sorted(music.rglob("*.ogg"))[::60]]
    assert files
    for path in files:
        for rate in (native_rate(path), 16_000):
            whole = decode(path, rate)
            for start, length in windows(len(whole) / rate)[::3]:
                first = round(start * rate)
                expected = whole[first:] if length is None else whole[first : first + round(length * rate)]
                np.testing.assert_allclose(decode(path, rate, start, length), expected, atol=2e-6, err_msg=str(path))
