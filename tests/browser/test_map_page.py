"""The page of `mirclr map` in a real browser, from a file: finds, shows, plays, and runs nothing of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from mirclr.cli.main import main
from mirclr.library.search import Catalogue, similar
from mirclr.library.store import Library
from tests.support.chromium import ANY_WEBGL, Seen, opened
from tests.support.shown_library import HOSTILE, SONGS, lines_of, make_library, rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PLAYS = "() => { const a = document.getElementById('audio'); return !a.paused && a.currentTime > 0; }"
BLUE, AMBER = (0, 114, 178), (230, 159, 0)


@pytest.fixture
def seen(chrome: Browser, place: Path) -> Seen:
    """The page with its legend closed, so that every point is free."""
    seen = opened(chrome, place / "map.html")
    close_legend(seen)
    return seen


def close_legend(seen: Seen) -> None:
    """And wait until the points have taken its place: a click on where one was would miss it."""
    before = seen.spot(2)
    seen.page.click("#legend summary")
    seen.page.wait_for_function("x => Math.abs(mirclrMap.at(2)[0] - x) > 20", arg=before[0])


def neighbours(place: Path, row: int) -> list[int]:
    with Library.open(place / "library.db") as library:
        catalogue = Catalogue.load(library)
    return [hit.row for hit in similar(catalogue, catalogue.unit[row], 10, exclude=[row])]


def choose(seen: Seen, title: str) -> None:
    seen.page.fill("#find", title)
    seen.page.press("#find", "Enter")


def test_the_page_asks_for_nothing_but_itself_and_hostile_tags_run_nothing(seen: Seen, place: Path) -> None:
    seen.page.mouse.move(*seen.spot(4))
    assert seen.text("#tip strong") == HOSTILE
    seen.page.mouse.click(*seen.spot(4))
    assert seen.text("#chosen-title") == HOSTILE
    choose(seen, "line end")
    assert seen.page.locator("#chosen-title").text_content() == "line\u2028end\u2029here"
    assert seen.page.evaluate("window.hacked") is None
    assert seen.page.locator("img").count() == 0
    assert seen.page.locator("script").count() == 2  # the data and ours
    assert {address.split(":")[0] for address in seen.asked} == {"file"}
    assert seen.asked[0] == (place / "map.html").as_uri()
    assert all((place / "music").as_uri() in address for address in seen.asked[1:])
    assert seen.is_clean()


def test_the_policy_stops_what_is_put_into_the_page_and_every_way_out(seen: Seen) -> None:
    page = seen.page
    page.evaluate(
        "() => { const s = document.createElement('script'); s.text = 'window.hacked=2'; document.body.append(s); }"
    )
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("() => fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')") == "stopped"
    assert any("Content Security Policy" in line for line in seen.talk)


def test_search_finds_without_accents_and_shows_only_what_it_found(seen: Seen) -> None:
    seen.page.fill("#find", "bjork joga")
    assert seen.page.locator("#found [role=option]").all_inner_texts() == ["J\u00f3ga\nBj\u00f6rk"]
    assert seen.page.get_attribute("#find", "aria-expanded") == "true"
    seen.page.mouse.move(*seen.spot(2))
    assert seen.page.locator("#tip").is_hidden()  # not among the found
    seen.page.press("#find", "Enter")
    assert seen.text("#chosen-title") == "J\u00f3ga"
    assert seen.page.evaluate("document.activeElement.id") == "marks"
    seen.page.fill("#find", "no such thing")
    assert seen.text("#found") == "Nothing has these words"
    seen.page.press("#find", "Escape")
    assert seen.state("matches") is None
    assert seen.is_clean()


def test_the_list_of_what_was_found_is_walked_by_keys(seen: Seen) -> None:
    seen.page.fill("#find", "faust")
    seen.page.press("#find", "ArrowDown")
    seen.page.press("#find", "ArrowDown")
    assert seen.page.get_attribute("#find", "aria-activedescendant") == "found-1"
    seen.page.press("#find", "Enter")
    assert seen.text("#chosen-title") == "The Sad Skinhead"


def test_hover_shows_the_tags(seen: Seen) -> None:
    seen.page.mouse.move(*seen.spot(2))
    shown = seen.text("#tip").splitlines()
    assert shown[:2] == ["Halleluwah", "Can"]
    assert {"genre: rock", "year: 1971", "duration: 0:03"} <= set(shown)


@pytest.mark.parametrize("row", [0, 2, 5, 6, 7], ids=["plain", "percent", "quotes", "bytes", "line break"])
def test_a_click_plays_the_file(seen: Seen, place: Path, row: int) -> None:
    seen.page.mouse.click(*seen.spot(row))
    seen.page.wait_for_function(PLAYS)
    assert seen.page.evaluate("document.getElementById('audio').currentSrc") == Path(rows(place)[row]["path"]).as_uri()
    assert seen.page.get_attribute("#chosen-links a", "href") == Path(rows(place)[row]["path"]).as_uri()
    assert seen.is_clean()


def test_a_track_without_tags_goes_by_its_file_name(seen: Seen) -> None:
    seen.page.mouse.move(*seen.spot(6))
    assert seen.text("#tip strong") == "06 \ufffd bytes.flac"


def test_a_file_that_is_gone_is_said(chrome: Browser, tmp_path: Path) -> None:
    store, page = make_library(tmp_path), tmp_path / "map.html"
    assert CliRunner().invoke(main, ["map", "-o", str(page), "--store", str(store), "--method", "PCA"]).exit_code == 0
    Path(rows(tmp_path)[0]["path"]).unlink()
    seen = opened(chrome, page)
    seen.page.mouse.click(*seen.spot(0))
    seen.page.wait_for_function("() => document.getElementById('status').textContent.includes('cannot play')")
    assert seen.errors == []


def test_neighbours_are_those_of_similar(seen: Seen, place: Path) -> None:
    choose(seen, "halleluwah")
    listed = seen.page.locator("#near li").evaluate_all("items => items.map(item => Number(item.dataset.row))")
    assert listed == neighbours(place, 2)


def test_a_lasso_downloads_exactly_the_tracks_inside(seen: Seen, place: Path, tmp_path: Path) -> None:
    spots = {row: seen.spot(row) for row in range(len(SONGS))}
    middle = sorted(x for x, _ in spots.values())[7]
    box = seen.page.locator("#marks").bounding_box()
    assert box is not None
    left, top, bottom = box["x"] + 3, box["y"] + 3, box["y"] + box["height"] - 3
    seen.page.click("#lasso")
    seen.page.mouse.move(left, top)
    seen.page.mouse.down()
    for x, y in ((middle + 1, top), (middle + 1, bottom), (left, bottom)):
        seen.page.mouse.move(x, y, steps=4)
    seen.page.mouse.up()
    inside = [row for row, (x, _) in spots.items() if x <= middle + 1]
    assert seen.state("picked") == inside
    with seen.page.expect_download() as waiting:
        seen.page.click("#save")
    waiting.value.save_as(tmp_path / "got.m3u8")
    held = [rows(place)[row]["path"] for row in inside if b"\n" not in SONGS[row][0]]
    assert lines_of(tmp_path / "got.m3u8") == held
    assert waiting.value.suggested_filename == "selection.m3u8"
    assert seen.is_clean()


def test_a_path_that_no_line_holds_is_left_out_and_said(seen: Seen, tmp_path: Path) -> None:
    choose(seen, "hallogallo")
    seen.page.press("#marks", "s")
    choose(seen, "hero")
    seen.page.press("#marks", "s")
    assert seen.text("#picked-title") == "2 tracks selected"
    with seen.page.expect_download() as waiting:
        seen.page.click("#save")
    waiting.value.save_as(tmp_path / "got.m3u8")
    assert [Path(line).name for line in lines_of(tmp_path / "got.m3u8")] == ["09 plain.flac"]
    assert "left out" in seen.text("#status")
    assert "Neu! - Hallogallo #EXTINF:1,x" in seen.text("#status")


def test_the_whole_way_by_keys(seen: Seen, place: Path) -> None:
    page = seen.page
    page.focus("#marks")
    page.keyboard.press("ArrowRight")
    first = seen.state("chosen")
    near = neighbours(place, first)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert seen.state("cursor") == 1
    assert seen.text("#status").startswith(f"Neighbour 2 of {len(near)}: ")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_function(PLAYS)
    assert page.evaluate("document.getElementById('audio').currentSrc") == Path(rows(place)[near[0]]["path"]).as_uri()
    page.keyboard.press("Enter")
    assert page.evaluate("document.getElementById('audio').paused")
    page.keyboard.press("ArrowUp")
    assert seen.state("chosen") == near[0]
    page.keyboard.press("ArrowDown")
    assert seen.state("chosen") == first
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#keys").is_hidden()
    page.keyboard.press("Escape")
    assert seen.state("chosen") == -1
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    assert seen.is_clean()


def test_everything_is_reached_by_tab_and_has_a_name(seen: Seen) -> None:
    nameless = seen.page.evaluate(
        "() => [...document.querySelectorAll('button, select, input, a, audio:not([hidden]), canvas[tabindex]')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))"
        ".map(e => e.outerHTML)"
    )
    assert nameless == []
    reached = set()
    for _ in range(24):
        seen.page.keyboard.press("Tab")
        reached.add(seen.page.evaluate("document.activeElement.id"))
    assert {"find", "field", "layout", "marks", "in", "out", "fit", "lasso", "help"} <= reached


def test_the_playlist_is_a_path_in_its_order(seen: Seen, tmp_path: Path) -> None:
    assert seen.state("list") == [3, 0, 9]
    assert seen.page.locator("#list li").count() == 3
    with seen.page.expect_download() as waiting:
        seen.page.click("#save-list")
    waiting.value.save_as(tmp_path / "got.m3u8")
    assert [Path(line).name for line in lines_of(tmp_path / "got.m3u8")] == [
        "03 plain.flac",
        "00 plain.flac",
        "09 plain.flac",
    ]
    seen.page.click("#drop-list")
    assert seen.page.locator("#list-part").is_hidden()


def test_zoom_and_pan_keep_what_is_under_the_pointer(seen: Seen) -> None:
    spot = seen.spot(2)
    seen.page.mouse.move(*spot)
    seen.page.mouse.wheel(0, -600)
    seen.page.wait_for_timeout(100)
    assert seen.spot(2) == pytest.approx(spot, abs=2)  # a wheel is at whole pixels
    other = seen.spot(0)
    seen.page.mouse.move(500, 400)
    seen.page.mouse.down()
    seen.page.mouse.move(540, 420, steps=3)
    seen.page.mouse.up()
    assert seen.spot(0) == pytest.approx((other[0] + 40, other[1] + 20), abs=0.5)
    seen.page.click("#fit")
    assert seen.spot(2) == pytest.approx(spot, abs=0.01)


def right_of_the_legend(seen: Seen) -> bool:
    edge = seen.page.evaluate("document.getElementById('legend').getBoundingClientRect().right")
    return all(seen.spot(row)[0] > edge for row in range(len(SONGS)))


def test_an_open_legend_covers_no_point_and_a_closed_one_takes_no_place(chrome: Browser, place: Path) -> None:
    seen = opened(chrome, place / "map.html")
    beside = seen.spot(2)
    assert right_of_the_legend(seen)
    close_legend(seen)
    assert seen.spot(2)[0] < beside[0]
    seen.page.click("#legend summary")
    seen.page.wait_for_function("x => Math.abs(mirclrMap.at(2)[0] - x) < 0.01", arg=beside[0])
    assert seen.spot(2) == pytest.approx(beside, abs=0.01)


def test_it_opens_on_the_layout_that_was_named_first(chrome: Browser, place: Path) -> None:
    page = place / "two.html"
    words = ["map", "-o", str(page), "--store", str(place / "library.db"), "--method", "t-SNE", "--method", "PCA"]
    assert CliRunner().invoke(main, words).exit_code == 0
    seen = opened(chrome, page)
    assert seen.page.evaluate("mirclrMap.state.layout.name") == "t-SNE"
    assert seen.page.locator("#layout option:checked").inner_text() == "t-SNE"


def pixel(seen: Seen, row: int) -> tuple[int, int, int]:
    """The colour in the middle of a point."""
    import io

    from PIL import Image

    seen.page.evaluate("mirclrMap.drawNow()")
    picture = Image.open(io.BytesIO(seen.page.screenshot())).convert("RGB")
    found = picture.getpixel(tuple(map(round, seen.spot(row))))
    assert isinstance(found, tuple)
    return found[0], found[1], found[2]


@pytest.mark.parametrize(("before", "by"), [(ANY_WEBGL, "WebGL"), ("", "canvas")])
def test_points_have_the_colours_of_their_genre_with_and_without_webgl(
    chrome: Browser, place: Path, before: str, by: str
) -> None:
    seen = opened(chrome, place / "map.html", before=before, color_scheme="light")
    assert seen.page.evaluate("mirclrMap.by") == by
    for row, colour in ((10, BLUE), (8, AMBER)):  # rock is the most frequent genre, pop the second
        assert pixel(seen, row) == pytest.approx(colour, abs=40)
    seen.page.click("#legend-body button:nth-child(2)")  # only pop
    assert pixel(seen, 8) == pytest.approx(AMBER, abs=40)
    assert pixel(seen, 10) != pytest.approx(BLUE, abs=60)
    assert seen.is_clean()


def test_numbers_are_a_scale_and_dark_is_dark(chrome: Browser, place: Path) -> None:
    seen = opened(chrome, place / "map.html", color_scheme="dark")
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 27)"
    seen.page.select_option("#field", label="year")
    assert seen.text("#legend").splitlines()[:3] == ["year", "1", "2001"]
    assert "(unknown)" in seen.text("#legend")


def test_on_a_telephone_nothing_is_cut_and_fingers_work(chrome: Browser, place: Path) -> None:
    seen = opened(chrome, place / "map.html", 390, 780, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("in", "out", "fit", "lasso", "help"):
        box = seen.page.locator(f"#{name}").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40
    seen.page.touchscreen.tap(*seen.spot(3))
    assert seen.text("#chosen-title") == "Mushroom"
    before = seen.page.evaluate("mirclrMap.at(3)[0] - mirclrMap.at(2)[0]")
    touch = seen.page.context.new_cdp_session(seen.page)
    for kind, gap in (("touchStart", 20), ("touchMove", 30), ("touchMove", 60)):
        points = [{"x": 195 + side * gap, "y": 280, "id": side} for side in (-1, 1)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    after = seen.page.evaluate("mirclrMap.at(3)[0] - mirclrMap.at(2)[0]")
    assert after / before == pytest.approx(3, rel=0.2)
    assert seen.is_clean()


def test_previews_play_from_the_page_when_the_music_is_elsewhere(chrome: Browser, place: Path, tmp_path: Path) -> None:
    page = tmp_path / "carried.html"
    done = CliRunner().invoke(
        main, ["map", "-o", str(page), "--store", str(place / "library.db"), "--method", "PCA", "--previews"]
    )
    assert done.exit_code == 0, done.output
    seen = opened(chrome, page)
    seen.page.mouse.click(*seen.spot(0))
    seen.page.wait_for_function(PLAYS)
    assert seen.page.evaluate("document.getElementById('audio').currentSrc").startswith("data:audio/mpeg;base64,")
    assert 2.5 < seen.page.evaluate("document.getElementById('audio').duration") < 3.5
    assert seen.is_clean()
