"""Ctrl-C and SIGTERM as a wish, not a crash: the loop sees it after the step in hand, saves, and says how to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopWish:
    """`name` of the signal that asked for an end, or None. A second signal of the same kind acts at once."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict[int, object] = {}

    def catch(self, number: int) -> None:
        """Listen for a signal until `release`."""
        self._before[number] = signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def release(self) -> None:
        """Put the former handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned goes back in
        self._before.clear()


@contextmanager
def stop_on_signal() -> Iterator[StopWish]:
    """A `StopWish` for SIGINT and SIGTERM; silent outside the main thread, where Python allows no handlers."""
    wish = StopWish()
    if threading.current_thread() is threading.main_thread():
        wish.catch(signal.SIGINT)
        wish.catch(signal.SIGTERM)
    try:
        yield wish
    finally:
        wish.release()
