"""Long files are judged by windows, containers by their structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mirclr.audio.decode import open_reader
from mirclr.audio.integrity import refuse_cut, refuse_encrypted
from mirclr.audio.listen import WHOLE_S, Heard, listen
from mirclr.errors import AudioError
from tests.support.audio_files import encode, music_like, write_format

RATE = 8_000
LONG_S = WHOLE_S + 15


def hear(path: Path) -> Heard:
    return listen(path, open_reader(path))


def judge(path: Path, container: str) -> Heard:
    """What a scan does with a file of this container."""
    refuse_cut(path, container)
    return hear(path)


def long_file(path: Path, subtype: str | None = None) -> Path:
    soundfile.write(path, music_like(LONG_S, RATE, 1), RATE, subtype=subtype)
    return path


def test_a_long_file_is_heard_in_windows_and_measured_whole(tmp_path: Path) -> None:
    heard = hear(long_file(tmp_path / "a.wav"))
    assert heard.length == round(LONG_S * RATE)
    assert heard.measured.samples == 10 * 2 * RATE
    short = hear(write_format(tmp_path / "b.wav", "pcm.wav", 3.0))
    assert short.measured.samples == short.length == 3 * 44_100


def test_a_decoder_that_only_goes_forward_hears_everything(tmp_path: Path) -> None:
    encode(tmp_path / "a.m4a", music_like(LONG_S, 16_000, 1), 16_000, "ipod", "aac", bit_rate=32_000)
    heard = hear(tmp_path / "a.m4a")
    assert heard.measured.samples == heard.length == round(LONG_S * 16_000)


def test_long_twins_have_one_audio_id_and_other_music_another(tmp_path: Path) -> None:
    wav = long_file(tmp_path / "a.wav")
    sound, _ = soundfile.read(wav, dtype="int16")
    soundfile.write(tmp_path / "a.flac", sound, RATE)
    assert hear(tmp_path / "a.flac").audio_id == hear(wav).audio_id
    sound[-100] += 1
    soundfile.write(tmp_path / "b.flac", sound, RATE)
    soundfile.write(tmp_path / "c.flac", sound[:-1], RATE)
    soundfile.write(tmp_path / "d.flac", sound, RATE + 1)
    ids = {hear(tmp_path / name).audio_id for name in ("a.flac", "b.flac", "c.flac", "d.flac")}
    assert len(ids) == 4


@pytest.mark.parametrize("name", ["a.flac", "a.mp3", "a.ogg"])
def test_a_long_file_cut_anywhere_is_found(tmp_path: Path, name: str) -> None:
    path = long_file(tmp_path / name)
    whole = path.read_bytes()
    hear(path)
    for share in (0.3, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(AudioError, match="truncated"):
            judge(path, name[2:])


def test_damage_under_a_window_is_found(tmp_path: Path) -> None:
    path = long_file(tmp_path / "a.flac")
    data = bytearray(path.read_bytes())
    data[5000:8000] = bytes(3000)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="undecodable"):
        hear(path)


def test_less_than_two_mp3_frames_may_be_missing_at_the_end(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.mp3", "cbr.mp3", 5.0)
    path.write_bytes(path.read_bytes()[:-500])
    assert hear(path).length == pytest.approx(5 * 44_100, abs=2304)


def wav_with_size(size: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = data.index(b"data") + 4
        return data[:4] + size + data[8:at] + size + data[at + 4 :]

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pcm.wav", wav_with_size(b"\xff\xff\xff\xff")),
        ("pcm.wav", lambda data: data + b"trailing junk that reads as a huge chunk" * 10),
        ("pcm.aiff", lambda data: data + b"\xff" * 64),
        ("aac.m4a", lambda data: data + b"\x7f\xff\xff\xfffree" + bytes(10)),
        ("vorbis.ogg", lambda data: data + b"TAG" + bytes(125)),
        ("lossless.flac", lambda data: data + bytes(5000)),
        ("cbr.mp3", lambda data: data + b"TAG" + bytes(125)),
        ("windows.wma", lambda data: data + bytes(100)),
        ("float.wav", lambda data: data[:-200]),
    ],
)
def test_what_trails_behind_the_sound_is_no_cut(tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    path = write_format(tmp_path / name, name, 2.0)
    length = hear(path).length
    path.write_bytes(change(path.read_bytes()))
    refuse_cut(path, {"aac.m4a": "m4a", "windows.wma": "wma"}.get(name, name.split(".")[1]))
    assert hear(path).length == pytest.approx(length, abs=2304)


def test_a_box_with_a_64_bit_size_is_followed(tmp_path: Path) -> None:
    path = write_format(tmp_path / "a.m4a", "aac.m4a", 1.0)
    data = path.read_bytes()
    at = data.index(b"mdat") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    wide = b"\x00\x00\x00\x01mdat" + (size + 8).to_bytes(8, "big")
    path.write_bytes(data[:at] + wide + data[at + 8 :])
    refuse_cut(path, "m4a")
    path.write_bytes(path.read_bytes()[: at + 3000])
    with pytest.raises(AudioError, match="truncated: 3"):
        refuse_cut(path, "m4a")


def test_only_locked_files_are_refused_as_locked(tmp_path: Path) -> None:
    m4a = write_format(tmp_path / "a.m4a", "aac.m4a", 0.5)
    refuse_encrypted(m4a, "m4a")
    refuse_encrypted(write_format(tmp_path / "a.wma", "windows.wma", 0.5), "wma")
    data = m4a.read_bytes()
    at = data.index(b"mp4a", data.index(b"stsd"))
    m4a.write_bytes(data[:at] + b"enca" + data[at + 4 :])
    with pytest.raises(AudioError, match=r"drm: the audio track is encrypted \(sample entry 'enca'\)"):
        refuse_encrypted(m4a, "m4a")


def test_nothing_to_hear_is_zero_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 1)), RATE)
    with pytest.raises(AudioError, match="zero_length"):
        hear(tmp_path / "a.wav")
