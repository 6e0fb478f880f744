"""How fast each format decodes, as a multiple of real time: whole files, a 5 s window of the middle, and a scan.

    python benchmarks/decode.py [FOLDER] [--runs 5] [--minutes 4] [--rate 16000]

Without FOLDER it writes a file of noise and tones in every format to a temporary folder. The output is a table on
stdout: median of the runs, their minimum and maximum. One thread; on a shared machine read the maximum.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the writers of test files live in tests/support

from mirclr.audio.decode import decode
from mirclr.audio.probe import probe
from mirclr.audio.scan import list_files
from mirclr.audio.track import read_track
from mirclr.errors import AudioError
from tests.support.audio_files import FORMATS, write_format

WINDOW_S = 5.0


def times(work: Callable[[], object], runs: int) -> list[float]:
    """Seconds of each of `runs` calls, after one that is not counted (files into memory, libraries loaded)."""
    work()
    out = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        out.append(time.perf_counter() - began)
    return out


def files_of(folder: Path | None, minutes: float, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of what is measured."""
    if folder is None:
        for name in FORMATS:
            yield name, write_format(scratch / name, name, 60 * minutes)
        return
    for path in list_files(folder)[0]:
        yield str(path.relative_to(folder) if path != folder else path.name), path


def cell(seconds: list[float], duration: float | None) -> str:
    """Median, minimum and maximum: of the multiple of real time, or (without `duration`) of milliseconds."""
    values = sorted(1000 * s if duration is None else duration / s for s in seconds)
    digits = 1 if duration is None else 0
    return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f}-{values[-1]:.{digits}f})"


def measure(path: Path, rate: int, runs: int) -> list[str]:
    """The cells of one file."""
    duration = probe(path).duration
    middle = max(0.0, duration / 2 - WINDOW_S / 2)
    whole = times(lambda: decode(path, rate), runs)
    window = times(lambda: decode(path, rate, middle, WINDOW_S), runs)
    scanned = times(lambda: read_track(path, 4.0), runs)
    return [f"{duration:.0f}", cell(whole, duration), cell(window, WINDOW_S), cell(window, None), cell(scanned, None)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="measure these files instead of synthetic ones")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=4.0, help="length of the synthetic files")
    parser.add_argument("--rate", type=int, default=16_000, help="Hz to decode to")
    asked = parser.parse_args()
    print("| file | s | whole, x real time | 5 s window, x real time | 5 s window, ms | scan of the file, ms |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in files_of(asked.folder, asked.minutes, Path(scratch)):
            try:
                cells = measure(path, asked.rate, asked.runs)
            except AudioError as error:
                cells = [error.reason]
            print("|", " | ".join([name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
