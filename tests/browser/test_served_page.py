"""The page of `mirclr serve` in a real browser, from a real server: a token, the map, sound in ranges, a playlist."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from mirclr.server import app as app_module
from mirclr.server.app import make_app
from mirclr.server.gate import Keys
from mirclr.server.live import Ask, LiveLibrary
from mirclr.server.run import bind
from tests.support.chromium import Seen, opened
from tests.support.shown_library import HOSTILE, lines_of, rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TOKEN = "token-for-the-browser-test"
PLAYS = "() => { const a = document.getElementById('audio'); return !a.paused && a.currentTime > 0; }"


@pytest.fixture(scope="module")
def served(place: Path) -> Iterator[str]:
    """A running server on a free port of loopback, with a token; its address."""
    listening = bind("127.0.0.1", 0)
    app = make_app(LiveLibrary(Ask(place / "library.db", ("PCA",))), Keys(TOKEN))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)
    listening.close()
    assert not thread.is_alive()


@pytest.fixture
def seen(chrome: Browser, served: str) -> Seen:
    return opened(chrome, f"{served}login#{TOKEN}")


def test_a_link_with_the_token_logs_in_and_keeps_it_out_of_the_address(seen: Seen, served: str) -> None:
    assert seen.page.url == served
    assert [address for address in seen.asked if TOKEN in address.partition("#")[0]] == []
    assert all(address.startswith(served) for address in seen.asked)
    assert seen.page.evaluate("document.cookie") == ""  # no script reads it
    assert seen.is_clean()


def test_without_the_token_there_is_a_form_that_takes_it(
    chrome: Browser, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "WRONG_TOKEN_S", 0.0)
    page = chrome.new_context().new_page()
    page.goto(served)
    assert page.url == f"{served}login"
    page.fill("#token", "wrong")
    page.press("#token", "Enter")
    page.wait_for_function("() => document.getElementById('status').textContent === 'That is not the token.'")
    page.fill("#token", TOKEN)
    page.press("#token", "Enter")
    page.wait_for_selector("body[data-ready=yes]")


def test_a_click_streams_the_file_and_hostile_tags_run_nothing(seen: Seen, place: Path) -> None:
    with seen.page.expect_response(lambda answer: answer.url.endswith("/audio")) as waiting:
        seen.page.fill("#find", "script")
        seen.page.press("#find", "Enter")
        seen.page.press("#marks", "Enter")
    assert waiting.value.status in (200, 206)
    assert waiting.value.url.endswith(f"/api/tracks/{rows(place)[4]['audio_id']}/audio")
    seen.page.wait_for_function(PLAYS)
    assert seen.text("#chosen-title") == HOSTILE
    assert seen.page.evaluate("window.hacked") is None
    assert seen.is_clean()


def test_a_file_that_the_browser_cannot_play_is_heard_as_a_preview(seen: Seen, place: Path) -> None:
    id = rows(place)[0]["audio_id"]
    seen.page.route(
        f"**/api/tracks/{id}/audio", lambda route: route.fulfill(status=200, body=b"?", content_type="audio/x")
    )
    seen.page.fill("#find", "joga")
    seen.page.press("#find", "Enter")
    seen.page.press("#marks", "Enter")
    seen.page.wait_for_function(PLAYS)
    assert seen.page.evaluate("document.getElementById('audio').currentSrc").endswith(f"/api/tracks/{id}/preview")


def test_a_playlist_from_here_is_drawn_listed_and_downloaded(seen: Seen, place: Path, tmp_path: Path) -> None:
    seen.page.fill("#find", "mushroom")
    seen.page.press("#find", "Enter")
    seen.page.click("text=Playlist from here")
    seen.page.wait_for_selector("#list li")
    listed = seen.state("list")
    assert listed[0] == 3
    assert len(listed) == len(set(listed)) > 5
    with seen.page.expect_download() as waiting:
        seen.page.click("#save-list")
    waiting.value.save_as(tmp_path / "got.m3u8")
    held = [rows(place)[row]["path"] for row in listed if "\n" not in rows(place)[row]["path"]]
    assert lines_of(tmp_path / "got.m3u8") == held
    assert seen.is_clean()
