"""A folder with good files of every format and every kind of bad file, and the reason each bad one must get."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from tests.support.audio_files import FORMATS, encode, music_like, write_format

_RATE = 22_050
_CONTENT_ENCRYPTION = bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e".replace(" ", ""))


def make_bad_folder(folder: Path, seconds: float = 1.5) -> dict[str, str]:
    """Fill `folder` (made if absent); returns {path relative to it: expected reason} of all that must be quarantined.

    Everything else is either good music (files of `seconds`, one of every format in `good/`, odd names in `odd/`) or
    no audio. Takes about a second at 1.5 s.
    """
    folder.mkdir(parents=True, exist_ok=True)
    good_files(folder / "good", seconds)
    _odd_names(folder / "odd", seconds)
    _other_files(folder)
    expected: dict[str, str] = {}
    for make in (_not_sound, _cut, _locked, _links):
        expected.update(make(folder))
    return expected


def good_files(folder: Path, seconds: float = 1.5) -> None:
    """One file of every format, all different music."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(FORMATS):
        write_format(folder / name, name, seconds, _RATE, seed)


def _odd_names(folder: Path, seconds: float) -> None:
    """Names that break careless code; the sound in them is fine."""
    names: list[str | bytes] = ["Ünïcödé – 音楽 🎵.flac", "name with\nnewline.flac", "no suffix", "wrong suffix.txt"]
    names += ["-rf --help.flac", "100%.flac", "http:concat|x.flac"] if os.name == "posix" else []
    names += [b"undecodable \xff\xfe.flac"] if sys.platform == "linux" else []
    folder.mkdir()
    for seed, name in enumerate(names, 100):
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        with open(path, "wb") as file:
            soundfile.write(file, music_like(seconds, _RATE, seed=seed), _RATE, format="FLAC", subtype="PCM_16")


def _other_files(folder: Path) -> None:
    """What lies between music and is ignored: pictures, texts, empty markers, macOS shadows."""
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8)
    (folder / "notes.txt").write_text("recorded live", "utf-8")
    (folder / "list.m3u8").write_text("#EXTM3U\ngood/pcm.wav\n", "utf-8")
    (folder / ".nomedia").write_bytes(b"")
    (folder / "._cbr.mp3").write_bytes(bytes.fromhex("00051607") + bytes(4092))


def _not_sound(folder: Path) -> dict[str, str]:
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "text.mp3").write_text("This is not music. " * 200, "utf-8")
    (folder / "utf16.mp3").write_text("Neither is this. " * 200, "utf-16")
    (folder / "noise.flac").write_bytes(np.random.default_rng(0).bytes(20_000))
    (folder / "playlist.m4a").write_text("ffconcat version 1.0\nfile good/pcm.wav\n", "utf-8")
    (folder / "only a tag.mp3").write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10))
    (folder / "monkey.ape").write_bytes(b"MAC \x96\x0f" + bytes(500))
    (folder / "damaged.flac").write_bytes(b"fLaC" + np.random.default_rng(1).bytes(5000))
    for name, container in {"silence of 0 s.wav": "WAV", "silence of 0 s.aiff": "AIFF"}.items():
        soundfile.write(folder / name, np.zeros((0, 2)), _RATE, format=container, subtype="PCM_16")
    return {
        "empty.mp3": "empty_file",
        "text.mp3": "not_audio",
        "utf16.mp3": "not_audio",
        "noise.flac": "not_audio",
        "playlist.m4a": "not_audio",
        "only a tag.mp3": "zero_length",
        "monkey.ape": "unsupported",
        "damaged.flac": "undecodable",
        "silence of 0 s.wav": "zero_length",
        "silence of 0 s.aiff": "zero_length",
    }


def _cut(folder: Path) -> dict[str, str]:
    """Files that stop in the middle. A raw AAC stream or an mp3 without a length header promises nothing to break."""
    names = [n for n in FORMATS if n not in ("raw.aac", "bare.mp3")]
    for name in names:
        data = (folder / "good" / name).read_bytes()
        (folder / f"cut {name}").write_bytes(data[: len(data) // 2])
    # An m4a whose table of contents comes first decodes up to the cut without an error.
    whole = folder / "cut faststart.m4a"
    sound = music_like(1.5, _RATE)
    encode(whole, sound, _RATE, "ipod", "aac", mux={"movflags": "faststart"})
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    return {f"cut {name}": "truncated" for name in [*names, "faststart.m4a"]}


def _locked(folder: Path) -> dict[str, str]:
    """Sold with a lock: FairPlay's sample entry in an m4a, a content encryption object in a wma header."""
    m4a = (folder / "good" / "aac.m4a").read_bytes()
    at = m4a.index(b"mp4a", m4a.index(b"stsd"))
    (folder / "sold.m4p").write_bytes(m4a[:at] + b"drms" + m4a[at + 4 :])
    wma = (folder / "good" / "windows.wma").read_bytes()
    lock = _CONTENT_ENCRYPTION + (24 + 16).to_bytes(8, "little") + bytes(16)
    size, count = (int.from_bytes(wma[a:b], "little") for a, b in ((16, 24), (24, 28)))
    header = wma[:16] + (size + len(lock)).to_bytes(8, "little") + (count + 1).to_bytes(4, "little") + wma[28:30]
    (folder / "sold.wma").write_bytes(header + lock + wma[30:])
    return {"sold.m4p": "drm", "sold.wma": "drm"}


def _links(folder: Path) -> dict[str, str]:
    """Links that loop or point at nothing, a pipe, and (where the user is not root) what may not be read."""
    links = {
        "loop": (folder, "symlink_loop"),
        "gone.mp3": (folder / "never there.mp3", "broken_link"),
        "itself.mp3": (folder / "itself.mp3", "symlink_loop"),
    }
    made = {name: _possible(partial((folder / name).symlink_to, target)) for name, (target, _) in links.items()}
    expected = {name: reason for name, (_, reason) in links.items() if made[name]}
    if hasattr(os, "mkfifo") and _possible(partial(os.mkfifo, folder / "pipe.mp3")):
        expected["pipe.mp3"] = "not_a_file"
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        (folder / "locked").mkdir(mode=0)
        (folder / "private.wav").write_bytes((folder / "good" / "pcm.wav").read_bytes())
        (folder / "private.wav").chmod(0)
        expected |= {"locked": "folder_unreadable", "private.wav": "permission"}
    return expected


def _possible(make: Callable[[], object]) -> bool:
    """False where the file system or the user's rights do not allow it."""
    try:
        make()
    except OSError:
        return False
    return True
