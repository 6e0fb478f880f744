"""Functions for worker processes: some work, some die, some hang."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from mirclr.audio.processes import in_processes
from mirclr.errors import AudioError


def task(item: str) -> str:
    """Upper case; except that some items kill, hang or refuse, and `once:PATH` kills only where PATH is not yet."""
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "hang":
        time.sleep(600)
    if item == "refuse":
        raise AudioError(item, "not_audio", "a test")
    if item == "bug":
        raise ZeroDivisionError("a bug")
    if item.startswith("once:") and not Path(item[5:]).exists():
        Path(item[5:]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item.upper()


def threads(_: int) -> str | None:
    """What a worker is told about threads."""
    return os.environ.get("OMP_NUM_THREADS")


def say_who_and_wait(place: str) -> None:
    """Write this process's number to `place`, then take longer than anybody waits."""
    Path(place).write_text(str(os.getpid()))
    time.sleep(600)


if __name__ == "__main__":  # a parent to be killed
    list(in_processes(say_who_and_wait, sys.argv[1:], workers=1))
