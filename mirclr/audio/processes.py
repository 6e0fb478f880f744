"""Work on many files in several processes, where a codec may crash or hang: that file is lost and no other.

The standard process pool breaks as a whole when one worker is killed, and cannot say which file did it. Here every
worker has its own pipe and holds one item at a time, so a death names its item. Processes are spawned, never forked: a
fork of a process with threads (torch, FFmpeg) may inherit a lock that nobody will release. A script that calls this
therefore needs the usual `if __name__ == "__main__":`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from mirclr.audio.chatter import quiet_codecs
from mirclr.errors import AudioError

Item = TypeVar("Item")
Result = TypeVar("Result")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_READY = "ready"


@dataclass(frozen=True)
class Lost:
    """What became of an item whose process died twice, or had to be stopped; `why` is one line for people."""

    why: str


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, patience_s: float = 900.0
) -> Generator[tuple[Item, Result | AudioError | Lost], None, None]:
    """`(item, function(item))` for every item, as they finish, from `workers` processes of one thread each.

    An AudioError takes the place of its item's result. An item whose process dies (a crash, the kernel short of
    memory) is tried once more in a fresh process, then Lost; one that takes longer than `patience_s` seconds is Lost.
    Any other exception of `function` is raised here. `function` and the items must be picklable. Leaving the iterator
    early, also by Ctrl-C, ends the processes.

    Raises RuntimeError when processes cannot start at all.
    """
    crew = _Crew(function, items, patience_s)
    try:
        for _ in range(min(workers, len(items))):
            crew.hire()
        while crew.workers:
            ready = wait([worker.pipe for worker in crew.workers], timeout=1.0)
            for worker in list(crew.workers):
                if worker.pipe in ready:
                    yield from crew.hear(worker)
                elif worker.task and time.monotonic() - worker.since > patience_s:
                    yield from crew.stop_waiting_for(worker)
    finally:
        for worker in list(crew.workers):
            crew.dismiss(worker)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Children started in here give every library one thread: the processes are the parallelism."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, function: Callable[[Any], Any]) -> None:
    """A worker's life: items in, results or errors out, until the parent is gone. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    pipe.send(_READY)
    with quiet_codecs(), suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _answer(pipe, function, pipe.recv())


def _leave_with_parent() -> None:
    """End this process when the one that started it is gone, also in the middle of an item: a parent that was killed
    ends nobody, and an item may take hours and write where the next run does."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _answer(pipe: Connection, function: Callable[[Any], Any], item: Any) -> None:
    """Send what `function` returns, or the exception it ends with; one that is no AudioError also ends the worker."""
    try:
        result = function(item)
    except AudioError as error:
        result = error
    except Exception as error:
        pipe.send(error)
        raise
    pipe.send(result)


@dataclass
class _Task(Generic[Item]):
    """An item and how many processes have died on it."""

    item: Item
    deaths: int = 0


@dataclass
class _Worker(Generic[Item]):
    """A process, our end of its pipe, and the task it has held since `since` (None: still starting)."""

    process: BaseProcess
    pipe: Connection
    task: _Task[Item] | None = None
    since: float = 0.0


class _Crew(Generic[Item, Result]):
    """The workers and the tasks nobody holds."""

    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item], patience_s: float) -> None:
        self.function, self.patience_s = function, patience_s
        self.tasks = deque(_Task(item) for item in items)
        self.workers: list[_Worker[Item]] = []

    def hire(self) -> None:
        """Start a worker; it reports when it is ready."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.function), daemon=True)
        with _one_thread():
            process.start()
        theirs.close()  # so that our end is told when the worker dies
        self.workers.append(_Worker(process, ours))

    def dismiss(self, worker: _Worker[Item]) -> None:
        """End a worker, whatever it is doing."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)

    def assign(self, worker: _Worker[Item]) -> None:
        """Give a worker its next task, or let it go."""
        if not self.tasks:
            self.dismiss(worker)
            return
        worker.task, worker.since = self.tasks.popleft(), time.monotonic()
        try:
            worker.pipe.send(worker.task.item)
        except OSError:
            return  # it has just died; its pipe says so at the next wait

    def hear(self, worker: _Worker[Item]) -> Iterator[tuple[Item, Result | AudioError | Lost]]:
        """Take a worker's message, or its death. It gets its next task before the result is passed on."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self.mourn(worker)
            return
        task = worker.task
        if task is not None and isinstance(message, Exception) and not isinstance(message, AudioError):
            raise message
        self.assign(worker)
        if task is not None:
            yield task.item, message

    def mourn(self, worker: _Worker[Item]) -> Iterator[tuple[Item, Lost]]:
        """A worker died: its item is tried once more, then given up."""
        task = worker.task
        worker.process.join()
        code = worker.process.exitcode or 0
        why = f"its process died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"
        self.dismiss(worker)
        if task is None:
            raise RuntimeError(f"a worker process did not start: {why}; a script needs `if __name__ == '__main__':`")
        task.deaths += 1
        if task.deaths < 2:
            self.tasks.append(task)
        if self.tasks:
            self.hire()
        if task.deaths >= 2:
            yield task.item, Lost(why)

    def stop_waiting_for(self, worker: _Worker[Item]) -> Iterator[tuple[Item, Lost]]:
        """A worker hangs: end it and give its item up."""
        task = worker.task
        self.dismiss(worker)
        if self.tasks:
            self.hire()
        if task is not None:
            yield task.item, Lost(f"no result after {self.patience_s:.0f} s")
