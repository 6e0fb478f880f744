"""What this machine has, what is missing, and the remedy. Nothing is assumed: every decoder decodes, every import runs.

The doctor looks into the rooms below without being one of them. It stands right under the door, so that no room can
come to depend on a diagnosis.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mirclr.errors import AudioError
from mirclr.reports import Progress, Work
from mirclr.units import bytes_text

if TYPE_CHECKING:
    import numpy as np

State = Literal["ok", "note", "missing"]
REINSTALL = "pip install -c constraints.txt -e . in mirclr's folder"
TONE_HZ, TONE_SECONDS = 440.0, 0.5
# format: (written with, rate in Hz, container, codec). Opus knows only 48 kHz and its divisors.
FORMATS = {
    "wav": ("soundfile", 44_100, "WAV", "PCM_16"),
    "aiff": ("soundfile", 44_100, "AIFF", "PCM_16"),
    "flac": ("soundfile", 44_100, "FLAC", "PCM_16"),
    "mp3": ("soundfile", 44_100, "MP3", "MPEG_LAYER_III"),
    "ogg": ("soundfile", 44_100, "OGG", "VORBIS"),
    "opus": ("soundfile", 48_000, "OGG", "OPUS"),
    "m4a": ("av", 44_100, "ipod", "aac"),
    "wma": ("av", 44_100, "asf", "wmav2"),
}
WITHOUT_EXTRA = {
    "pyarrow": "vectors cannot be written as .parquet; .npz and .csv can",
    "tensorboard": "no TensorBoard log; metrics.jsonl has the same figures",
    "onnx": "encoders cannot be exported with `mirclr export`",
    "onnxruntime": "exported encoders are not compared with torch",
    "optuna": "settings cannot be searched with `mirclr tune`",
    "mirdata": "collections are read from their published files, not through mirdata's loaders",
    "fastapi": "no `mirclr serve`; `mirclr map` writes the page without it",
    "uvicorn": "no `mirclr serve`; `mirclr map` writes the page without it",
    "umap-learn": "embeddings are drawn by PCA and t-SNE alone, without UMAP",
}


@dataclass(frozen=True)
class Finding:
    """One line: `missing` keeps something from working, `note` is worth knowing; `remedy` is empty when all is well."""

    name: str
    state: State
    value: str
    remedy: str = ""


def examine(cache: Path | None = None) -> Work[list[Finding]]:
    """Everything the doctor looks at; takes seconds. `cache` is the cache folder (None: the user's)."""
    parts = (
        ("packages", packages()),
        ("torch", torch_findings()),
        ("torchaudio", torchaudio_native()),
        ("decoders", decoders()),
        ("cache", cache_findings(cache)),
    )
    found: list[Finding] = []
    for done, (stage, findings) in enumerate(parts):
        yield Progress("examination", done, len(parts), stage)
        found += findings
    yield Progress("examination", len(parts), len(parts))
    return found


def packages() -> Iterator[Finding]:
    """Python, mirclr and every package it declares, extras included, with the installed versions."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        declared = importlib.metadata.requires("mirclr") or []
        yield Finding("mirclr", "ok", importlib.metadata.version("mirclr"))
    except importlib.metadata.PackageNotFoundError:
        yield Finding("mirclr", "missing", "used from its folder, not installed", REINSTALL)
        return
    for requirement in declared:
        yield from _package(requirement)


def _package(requirement: str) -> Iterator[Finding]:
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
    if extra and extra[1] == "dev":  # for those who change mirclr; `make test` brings it
        return
    try:
        yield Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        if extra:
            yield Finding(name, "note", f"absent: {WITHOUT_EXTRA[name]}", f"pip install 'mirclr[{extra[1]}]'")
        else:
            yield Finding(name, "missing", "not installed", REINSTALL)


def torch_findings() -> Iterator[Finding]:
    """The device that `device: auto` takes, and the threads a process uses."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("device", "missing", f"torch cannot be imported: {_last_line(str(error))}", REINSTALL)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        yield Finding("device", "ok", f"GPU {torch.cuda.get_device_name(0)}, {bytes_text(memory)}")
    elif torch.version.cuda:
        remedy = "install a driver, or the CPU build of torch, which is much smaller"
        yield Finding("device", "note", f"CPU: torch is built for CUDA {torch.version.cuda}, no GPU answers", remedy)
    else:
        yield Finding("device", "ok", "CPU")
    asked = os.environ.get("OMP_NUM_THREADS")
    why = f"OMP_NUM_THREADS={asked}" if asked else "OMP_NUM_THREADS is not set"
    yield Finding("threads", "ok", f"{torch.get_num_threads()} of {cores} core(s); {why}")


def torchaudio_native() -> Iterator[Finding]:
    """Whether torchaudio's compiled half loads, tried in a process of its own: a broken library may take it down."""
    done = subprocess.run([sys.executable, "-c", "import torchaudio"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        yield Finding("torchaudio native half", "ok", "loads")
        return
    value = f"does not load ({_last_line(done.stderr)}); nothing in mirclr needs it"
    remedy = "none needed; a torchaudio built for the same device as torch would load"
    yield Finding("torchaudio native half", "note", value, remedy)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:120] if lines else "no message"


def decoders() -> Iterator[Finding]:
    """One line per format: a half-second tone is written, decoded by mirclr and listened to."""
    with tempfile.TemporaryDirectory(prefix="mirclr-doctor-") as folder:
        for kind in FORMATS:
            yield _decoder(kind, Path(folder) / f"tone.{kind}")


def _decoder(kind: str, path: Path) -> Finding:
    library, rate, container, codec = FORMATS[kind]
    write = _write_soundfile if library == "soundfile" else _write_av
    try:
        write(path, rate, container, codec)
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        # PyAV's errors are OSError or ValueError, libsndfile's RuntimeError.
        value = f"not tried: this {library} cannot write {codec} ({_last_line(str(error))})"
        return Finding(f"decode {kind}", "note", value, f"pip install --force-reinstall {library}")
    return _listen(kind, path)


def _listen(kind: str, path: Path) -> Finding:
    try:
        from mirclr.audio.decode import decode

        heard = decode(path, 16_000)
    except (AudioError, ImportError, OSError) as error:
        return Finding(
            f"decode {kind}", "missing", _last_line(str(error)), "pip install --force-reinstall soundfile av"
        )
    pitch = _pitch(heard, 16_000)
    if abs(pitch - TONE_HZ) > 10:
        value = f"a tone of {TONE_HZ:.0f} Hz came back as {pitch:.0f} Hz"
        return Finding(f"decode {kind}", "missing", value, "pip install --force-reinstall soundfile av soxr")
    return Finding(f"decode {kind}", "ok", f"{len(heard) / 16_000:.2f} s of {FORMATS[kind][3]} decoded")


def _pitch(samples: np.ndarray, rate: int) -> float:
    """Frequency in Hz of the strongest bin; 0 for nothing."""
    import numpy as np

    if len(samples) < 2:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def _tone(rate: int) -> np.ndarray:
    import numpy as np

    return (0.5 * np.sin(2 * np.pi * TONE_HZ / rate * np.arange(int(rate * TONE_SECONDS)))).astype(np.float32)


def _write_soundfile(path: Path, rate: int, container: str, codec: str) -> None:
    import soundfile

    soundfile.write(path, _tone(rate), rate, format=container, subtype=codec)


def _write_av(path: Path, rate: int, container: str, codec: str) -> None:
    import av

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        if not isinstance(stream, av.AudioStream):
            raise ValueError(f"{codec} is not an audio codec")
        stream.bit_rate = 64_000  # without one, ffmpeg's WMA encoder refuses a mono stream
        frame = av.AudioFrame.from_ndarray(_tone(rate)[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


def cache_findings(folder: Path | None = None) -> Iterator[Finding]:
    """The folder of decoded sound, how much it holds, and the room left on its disk."""
    if folder is None:
        from mirclr.audio.cache import default_folder

        folder = default_folder()
    held = sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else 0
    standing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(standing).free
    value = f"{folder}: {bytes_text(held)} held, {bytes_text(free)} free"
    if standing.is_dir() and os.access(standing, os.W_OK):
        yield Finding("cache", "ok", value)
    else:
        yield Finding("cache", "missing", f"{value}; not writable", "set MIRCLR_CACHE to a folder you may write to")
