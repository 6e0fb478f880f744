"""What every test stands on: one thread per process, a cache of its own, and real music only where it was offered."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.chromium import CHROMIUM, CHROMIUM_MISSING

# Before any library reads them. Two OpenMP threads on two busy cores run several times slower than one.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))

# A script's background jobs begin with Ctrl-C ignored, and so would the programs that tests send it to.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No database of failing examples: a failing example is in the test's own output, and runs do not depend on each other.
settings.register_profile("mirclr", database=None)
settings.load_profile("mirclr")

MUSIC_VARIABLE = "MIRCLR_TEST_MUSIC"
MUSIC_MISSING = f"{MUSIC_VARIABLE} is not set: no real music to test with"


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache is never touched; processes started by a test inherit the folder."""
    folder = tmp_path_factory.mktemp("mirclr-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRCLR_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def music() -> Path:
    """The folder of real music. A wrong path is a failure, only an absent variable is a skip."""
    named = os.environ.get(MUSIC_VARIABLE)
    if not named:
        pytest.skip(MUSIC_MISSING)
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.fail(f"{MUSIC_VARIABLE}={named}: no such folder")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    """One torch thread again, whatever the test before asked for; torch is not imported for it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that reads real music says so: `-m "not music"` must leave out every one of them."""
    for item in items:
        if "music" in getattr(item, "fixturenames", ()) and item.get_closest_marker("music") is None:
            raise pytest.UsageError(f"{item.nodeid} uses the fixture `music`: mark it with @pytest.mark.music")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What did not run for want of music or a browser is said loudly, once, above the closing line."""
    for sign, said in (
        (MUSIC_MISSING, f"on real music did NOT run: set {MUSIC_VARIABLE} to a folder of music"),
        (CHROMIUM_MISSING, f"of pages in a real browser did NOT run: install Chromium, or name it in {CHROMIUM}"),
    ):
        skipped = [r for r in terminalreporter.stats.get("skipped", []) if sign in str(r.longrepr)]
        if skipped:
            terminalreporter.write_line(f"!!! {len(skipped)} test(s) {said}", yellow=True, bold=True)
