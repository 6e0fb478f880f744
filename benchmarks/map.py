"""How long `mirclr map` takes for many tracks, how large the page is, and how fast a browser draws it.

    python benchmarks/map.py --tracks 20000                    # PCA; --method t-SNE too, which takes minutes
    python benchmarks/map.py --tracks 20000 --browser          # opens the page in Chromium without a window

Prints one JSON object on stdout. The tracks are drawn: forty heaps of vectors, with artists, genres, years and paths as
long as real ones. `--browser` needs Chromium and the package playwright; without a graphics card Chromium draws on the
processor (SwiftShader), which is the slowest case there is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mirclr.files import write_atomic
from mirclr.library.rows import Binding
from mirclr.library.search import Catalogue
from mirclr.library.store import Library
from mirclr.plots.map_data import lay_out
from mirclr.plots.map_page import map_page
from mirclr.reports import Progress, finish
from mirclr.seeds import generator

HEAPS = 40


def store_of(path: Path, tracks: int, dim: int) -> Catalogue:
    """A library of drawn tracks, in memory."""
    rng = generator(0, "map")
    heaps = rng.normal(size=(HEAPS, dim)) * 2
    heap = rng.integers(HEAPS, size=tracks)
    vectors = (heaps[heap] + rng.normal(size=(tracks, dim))).astype(np.float32)
    with Library.open_or_create(path, Binding("drawn", "drawn", dim, 16_000, None, "")) as library:
        with library.batch():
            for row in range(tracks):
                library.put_track(_row(row, int(heap[row])))
                library.put_vectors(f"{row:032x}", vectors[row], vectors[row][None], np.zeros(1))
        return Catalogue.load(library)


def _row(row: int, heap: int) -> dict[str, Any]:
    name = f"{row:032x}"
    folder = f"/home/somebody/Music/An artist of heap {heap}/An album of theirs {row // 12}"
    return {
        "path": f"{folder}/{row % 12:02} A song {row}.flac",
        "id": name,
        "audio_id": name,
        "size": 1,
        "mtime_ns": 1,
        "sample_rate": 44_100,
        "channels": 2,
        "container": "flac",
        "codec": "flac",
        "flags": "",
        "track": row % 12,
        "artist": f"An artist of heap {heap}, number {row // 36}",
        "album": f"An album of theirs {row // 12}",
        "title": f"A song {row}",
        "genre": f"genre {heap % 17}",
        "year": 1960 + row % 60,
        "duration": 200.0 + row % 90,
    }


def laid_out(catalogue: Catalogue, methods: list[str], page: Path) -> dict[str, Any]:
    """Seconds of every stage, and the page's size."""
    seconds: dict[str, float] = {}
    last = ["", time.perf_counter()]

    def watch(report: Progress) -> None:
        now, was = time.perf_counter(), last[0]
        if was:
            seconds[was] = seconds.get(was, 0.0) + now - float(last[1])
        last[:] = [report.note or report.stage, now]

    start = time.perf_counter()
    laid = finish(lay_out(catalogue, "library.db", methods), watch)
    seconds["all"] = time.perf_counter() - start
    write_atomic(page, map_page(laid))
    return {"seconds": {name: round(each, 1) for name, each in seconds.items()}, "page_bytes": page.stat().st_size}


MEASURE = """async () => {
  const once = (work) => { const begun = performance.now(); work(); return performance.now() - begun; };
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const marks = document.getElementById('marks');
  const box = marks.getBoundingClientRect();
  const send = (kind, x) => marks.dispatchEvent(new PointerEvent(kind,
    { pointerId: 1, isPrimary: true, button: 0, clientX: box.left + x, clientY: box.top + 200, bubbles: true }));
  const hover = median(Array.from({ length: 50 }, (_, k) => once(() => send('pointermove', 100 + 5 * k))));
  const wheel = (k) => marks.dispatchEvent(new WheelEvent('wheel',
    { deltaY: k % 2 ? 40 : -40, clientX: 400, clientY: 300, cancelable: true }));
  const gaps = [];
  await new Promise((done) => {
    let last = performance.now();
    const step = (now) => {
      gaps.push(now - last);
      last = now;
      wheel(gaps.length);
      gaps.length < 90 ? requestAnimationFrame(step) : done();
    };
    requestAnimationFrame(step);
  });
  const field = document.getElementById('field');
  const colour = once(() => { field.value = '1'; field.dispatchEvent(new Event('change')); mirclrMap.drawNow(); });
  const find = document.getElementById('find');
  const search = once(() => { find.value = 'song 199'; find.dispatchEvent(new Event('input')); });
  const drawing = median(Array.from({ length: 30 }, () => once(mirclrMap.drawNow)));
  return { by: mirclrMap.by, frame_ms: median(gaps.slice(10)), script_ms: drawing,
    hover_ms: hover, recolour_ms: colour, first_search_ms: search };
}"""


# The page takes no WebGL that is drawn by the processor; this makes it.
ANY_WEBGL = """{
  const real = WebGL2RenderingContext.prototype.getParameter;
  WebGL2RenderingContext.prototype.getParameter = function (name) {
    return name === 0x9246 ? "a graphics card" : real.call(this, name);
  };
}"""


def in_browser(page: Path, before: str = "") -> dict[str, Any]:
    """Milliseconds from opening the page to a map that answers, of a frame while one zooms, and of a hover."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("MIRCLR_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1280, "height": 800})
        shown.add_init_script(before)
        start = time.perf_counter()
        shown.goto(page.as_uri())
        shown.wait_for_selector("body[data-ready=yes]")
        ready = (time.perf_counter() - start) * 1000
        said: dict[str, Any] = shown.evaluate(MEASURE)
        browser.close()
    return {"ready_ms": round(ready), **{k: round(v, 1) if isinstance(v, float) else v for k, v in said.items()}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--method", action="append", default=[])
    parser.add_argument("--browser", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "map.html"
        catalogue = store_of(Path(folder) / "library.db", asked.tracks, asked.dim)
        said = {"tracks": asked.tracks, "dim": asked.dim, **laid_out(catalogue, asked.method, page)}
        if asked.browser:
            said["as it comes"] = in_browser(page)
            said["any WebGL"] = in_browser(page, ANY_WEBGL)
    print(json.dumps(said, indent=2))


if __name__ == "__main__":
    main()
