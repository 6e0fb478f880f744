"""Worker processes: a crash or a hang loses its own item and nothing else."""

from __future__ import annotations

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
