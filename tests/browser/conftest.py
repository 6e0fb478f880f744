"""One browser for all tests of pages, a library to show, and its map as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from mirclr.cli.main import main
from tests.support.chromium import CHROMIUM_MISSING, chromium, launch
from tests.support.shown_library import make_library

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright


@pytest.fixture(scope="session")
def play() -> Iterator[Playwright]:
    if chromium() is None:
        pytest.skip(CHROMIUM_MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chrome(play: Playwright) -> Iterator[Browser]:
    started = launch(play)
    yield started
    started.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """library.db, music/, and map.html with the playlist list.m3u8 as a path."""
    folder = tmp_path_factory.mktemp("shown")
    store = make_library(folder)
    (folder / "list.m3u8").write_text("#EXTM3U\nmusic/03 plain.flac\nmusic/00 plain.flac\nmusic/09 plain.flac\n")
    said = ["map", "-o", folder / "map.html", "--store", store, "--playlist", folder / "list.m3u8", "--method", "PCA"]
    done = CliRunner().invoke(main, [str(word) for word in said])
    assert done.exit_code == 0, done.output
    return folder
