"""Worker processes: a crash or a hang loses its own item and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mirclr.audio.processes import Lost, in_processes
from mirclr.errors import AudioError
from tests.support.process_tasks import task, threads


def test_a_crash_loses_only_its_own_item() -> None:
    items = ["a", "crash", "b", "c", "refuse", "d"]
    found = dict(in_processes(task, items, workers=2))
    assert {k: v for k, v in found.items() if isinstance(v, str)} == {k: k.upper() for k in "abcd"}
    assert found["crash"] == Lost("its process died (SIGSEGV)")
    assert isinstance(found["refuse"], AudioError)
    assert found["refuse"].reason == "not_audio"


def test_an_item_whose_process_was_killed_once_is_tried_again(tmp_path: Path) -> None:
    item = f"once:{tmp_path / 'was here'}"
    assert dict(in_processes(task, [item, "a"], workers=1)) == {item: item.upper(), "a": "A"}


def test_a_hanging_item_is_given_up() -> None:
    found = dict(in_processes(task, ["hang", "a"], workers=1, patience_s=0.3))
    assert found == {"hang": Lost("no result after 0 s"), "a": "A"}


def test_a_bug_is_raised_and_not_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(in_processes(task, ["bug", "a"], workers=1))


def test_workers_have_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert dict(in_processes(threads, [0], workers=1)) == {0: "1"}
    assert threads(0) == "7"


def test_a_function_that_no_process_can_load_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    def local(item: int) -> int:
        return item

    with pytest.raises((AttributeError, RuntimeError), match=r"local|did not start"):
        list(in_processes(local, [1], workers=1))


def test_nothing_to_do_starts_nothing() -> None:
    assert list(in_processes(task, [], workers=4)) == []


def gone(process: int) -> bool:
    """Whether a process has ended; one that waits for its parent to ask about it has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(happened: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.05)
    return happened()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_worker_goes_with_a_parent_that_is_killed_also_in_the_middle_of_an_item(tmp_path: Path) -> None:
    note = tmp_path / "worker"
    with subprocess.Popen([sys.executable, "-m", "tests.support.process_tasks", str(note)]) as parent:
        assert until(lambda: note.exists() and bool(note.read_text()))
        worker = int(note.read_text())
        assert not gone(worker)
        parent.kill()
    assert until(lambda: gone(worker))
