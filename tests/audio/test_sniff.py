"""The container is told by content; names and look-alikes do not fool it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.audio import mpeg_frames
from mirclr.audio.probe import probe
from mirclr.audio.sniff import looks_like_audio, sniff
from mirclr.errors import AudioError
from tests.support.audio_files import FORMATS, write_format

CONTAINER = {"m4a": "m4a", "aac": "aac", "wma": "wma", "opus": "ogg", "ogg": "ogg", "aifc": "aiff"}
ID3 = b"ID3\x04\x00\x00\x00\x00\x02\x01" + bytes(257)  # sizes are 7 bits a byte: 2 * 128 + 1


def container_of(name: str) -> str:
    suffix = name.rsplit(".", maxsplit=1)[-1]
    return CONTAINER.get(suffix, suffix)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_known_under_a_wrong_name(tmp_path: Path, name: str) -> None:
    path = write_format(tmp_path / "picture.jpg", name, 0.3)
    assert sniff(path).container == container_of(name)


@pytest.mark.parametrize("name", ["cbr.mp3", "bare.mp3", "lossless.flac", "raw.aac"])
def test_a_tag_in_front_is_passed_over(tmp_path: Path, name: str) -> None:
    path = write_format(tmp_path / name, name, 0.3)
    bare = sniff(path)
    path.write_bytes(ID3 + ID3 + path.read_bytes())
    assert sniff(path).container == container_of(name)
    assert sniff(path).start == (bare.start if bare.start else 0) + 2 * len(ID3)


@pytest.mark.parametrize(
    "content",
    [
        b"plain text, no music\n" * 50,
        "\ufeffUTF-16 begins with FF FE, a layer I sync word".encode("utf-16-le"),
        b"\xff\xd8\xff\xe0" + bytes(range(256)) * 300,
        b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(4000),
        b"\x00\x00\x00\x18ftypheic" + bytes(4000),
        b"ffconcat version 1.0\nfile secret.wav\n",
        b"#EXTM3U\nhttp://example.org/x.mp3\n",
        bytes(100_000),
        b"\xff" * 100_000,
        np.random.default_rng(0).bytes(65_536),
    ],
)
def test_what_is_no_audio_has_no_container(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    assert sniff(path).container is None


def test_four_frames_in_a_row_are_needed_behind_junk(tmp_path: Path) -> None:
    frames = write_format(tmp_path / "bare.mp3", "bare.mp3", 0.5).read_bytes()
    size = mpeg_frames.parse(frames[:4])
    assert size is not None
    assert mpeg_frames.find_stream(b"junk" * 100 + frames) == 400
    assert mpeg_frames.find_stream(b"junk" * 100 + frames[: size.size + 4] + bytes(5000)) is None


def test_frame_headers_by_the_standard() -> None:
    frame = mpeg_frames.parse(bytes.fromhex("fffb9064"))  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz, no padding, joint
    assert frame == mpeg_frames.Frame(3, 3, 128, 44_100, 2, 417, 1152)
    low = mpeg_frames.parse(bytes.fromhex("fff314c4"))  # MPEG-2 layer III, 8 kbit/s, 24 kHz, mono
    assert low == mpeg_frames.Frame(2, 3, 8, 24_000, 1, 24, 576)
    assert mpeg_frames.parse(bytes.fromhex("fffbf064")) is None  # bit rate index 15
    assert mpeg_frames.parse(bytes.fromhex("fffb9c64")) is None  # rate index 3


def test_a_length_header_is_read_and_joined_files_are_noticed(tmp_path: Path) -> None:
    whole = write_format(tmp_path / "cbr.mp3", "cbr.mp3", 2.0)
    data, start = whole.read_bytes(), sniff(whole).start
    told = mpeg_frames.promise(data, start)
    assert told is not None
    assert told.frames is not None
    assert abs(told.frames * 1152 - 2 * 44_100) < 4 * 1152
    assert mpeg_frames.covers(told, data, start)
    assert not mpeg_frames.covers(told, data + data[start:], start)


def test_constant_frames_are_counted_and_a_change_of_rate_ends_the_counting(tmp_path: Path) -> None:
    frames = write_format(tmp_path / "bare.mp3", "bare.mp3", 1.0).read_bytes()
    length = mpeg_frames.constant_length(frames, 0)
    assert length is not None
    assert length % 1152 == 0
    assert 44_100 <= length < 44_100 + 4 * 1152
    assert mpeg_frames.constant_length(frames + b"TAG" + bytes(125), 0) == length
    assert mpeg_frames.constant_length(frames[:-100], 0) == length - 1152
    other = bytes([frames[0], frames[1], 0xA0 | (frames[2] & 0x0F), frames[3]])
    assert mpeg_frames.constant_length(frames + other + bytes(600), 0) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty_file"), (ID3, "zero_length")],
)
def test_nothing_inside_has_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=reason):
        sniff(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="missing_file"):
        sniff(tmp_path / "song.mp3")


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "song.ape"
    path.write_bytes(b"MAC \x96\x0f" + bytes(100))
    assert sniff(path).container is None
    with pytest.raises(AudioError, match="unsupported: Monkey's Audio"):
        probe(path)


@pytest.mark.parametrize("name", FORMATS)
def test_probe_reads_the_header(tmp_path: Path, name: str) -> None:
    info = probe(write_format(tmp_path / name, name, 2.0))
    assert (info.container, info.channels) == (container_of(name), 2)
    assert info.sample_rate == (48_000 if name.endswith("opus") else 44_100)
    # Exact where samples are counted; raw AAC is a guess from the bit rate, bare mp3 and wma keep padding.
    tolerance = {"raw.aac": 0.4, "bare.mp3": 0.1, "windows.wma": 0.1}.get(name, 1e-9)
    assert info.duration == pytest.approx(2.0, abs=tolerance)


def test_names_that_promise_audio() -> None:
    assert looks_like_audio("A/B.MP3")
    assert not looks_like_audio("cover.jpg")
    assert not looks_like_audio("mp3")
