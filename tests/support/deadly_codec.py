"""A decoder that crashes on files with `deadly` in their name, as a C library would: without an exception."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from mirclr.audio.track import read_track


def read_or_die(path: Path, clip_seconds: float, further: bool = False) -> dict[str, Any] | None:
    """`read_track`, or the end of the process."""
    if "deadly" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_track(path, clip_seconds, further)
