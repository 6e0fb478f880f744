"""A real browser without a window: Chromium as the machine has it, and what a page of ours said and asked for."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = "MIRCLR_CHROMIUM"
CHROMIUM_MISSING = "no Chromium on this machine"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# The page takes no WebGL that is drawn by the processor; here there is no other.
ANY_WEBGL = """{
  const real = WebGL2RenderingContext.prototype.getParameter;
  WebGL2RenderingContext.prototype.getParameter = function (name) {
    return name === 0x9246 ? "a graphics card" : real.call(this, name);
  };
}"""
# The driver talks of itself there: a screenshot reads the picture back from the graphics card.
NOT_OURS = ("GPU stall due to ReadPixels",)


def chromium() -> str | None:
    """Where the browser is: the variable, else the machine's own."""
    return os.environ.get(CHROMIUM) or next((found for name in NAMES if (found := shutil.which(name))), None)


def launch(play: Playwright) -> Browser:
    """A browser. Root may not use Chromium's sandbox."""
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return play.chromium.launch(executable_path=chromium(), args=sandbox)


@dataclass
class Seen:
    """A page and what it said and did: `talk` on the console, `errors` thrown, `asked` addresses."""

    page: Page
    talk: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def spot(self, row: int) -> tuple[float, float]:
        """Where the point of a row is, in pixels of the window."""
        x, y = self.page.evaluate("row => mirclrMap.at(row)", row)
        box = self.page.locator("#marks").bounding_box()
        assert box is not None
        return box["x"] + x, box["y"] + y

    def state(self, name: str) -> Any:
        """A part of what the page holds chosen."""
        return self.page.evaluate("name => mirclrMap.state[name]", name)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def is_clean(self) -> bool:
        """Nothing thrown, nothing on the console. Shows it where there is."""
        if self.talk or self.errors:
            raise AssertionError([*self.talk, *self.errors])
        return True


def opened(
    browser: Browser, address: str | Path, width: int = 1100, height: int = 750, before: str = "", **context: Any
) -> Seen:
    """A page in a context of its own, ready; `before` is a script that runs before its own."""
    page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
    page.add_init_script(before)
    seen = Seen(page)
    page.on(
        "console",
        lambda said: None if any(w in said.text for w in NOT_OURS) else seen.talk.append(f"{said.type} {said.text}"),
    )
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.goto(address.as_uri() if isinstance(address, Path) else address)
    page.wait_for_selector("body[data-ready=yes]")
    return seen
