"""The map as a page: one HTML file with its script, its style and its data in it, and nothing outside it.

Tags come from strangers: the data lies in a block that no browser runs, with every character that could end the block
escaped; the script writes text, never markup; and the page's own Content-Security-Policy lets run what is named here by
its hash and nothing else (W3C, Content Security Policy Level 3).
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mirclr.plots.map_data import Map

WEB = Path(__file__).parent / "web"
# In this order; together they are one script with one scope.
SCRIPTS = (
    *("data", "colours", "view", "points_gl", "points_2d", "marks", "lasso"),
    *("player", "panel", "search", "keys", "main"),
)
LINE_ENDS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def map_page(laid: Map) -> str:
    """The page of a map that works from a file, with links to the music and whatever previews the map holds."""
    return _page(laid.name, harmless(laid.as_json()), served=False)


def served_page(name: str) -> str:
    """The same page for `mirclr serve`: it asks its own server for the map, playlists and sound."""
    return _page(name, "", served=True)


def login_page() -> str:
    """The page that asks for the token and sends it."""
    script, style = _source("login.js"), _source("page.css")
    return _jinja().get_template("login.html.j2").render(
        script=Markup(script), style=Markup(style), policy=policy(script, style, served=True)
    )  # fmt: skip


def page_policy() -> str:
    """The policy of the served page, for its header."""
    return policy(page_script(), _source("page.css"), served=True)


def login_policy() -> str:
    """The policy of the login page, for its header."""
    return policy(_source("login.js"), _source("page.css"), served=True)


def policy(script: str, style: str, *, served: bool) -> str:
    """What a page may do: run this script and this style, show no picture but its own, and play sound."""
    parts = {
        "default-src": "'none'",
        "script-src": f"'sha256-{_hash(script)}'",
        "style-src": f"'sha256-{_hash(style)}'",
        "img-src": "data:",
        "media-src": "'self'" if served else "data: file:",
        "connect-src": "'self'" if served else "'none'",
        "base-uri": "'none'",
        "form-action": "'self'" if served else "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def harmless(data: str) -> str:
    """JSON that cannot end the block it stands in, nor a line of script: the same JSON, with escapes."""
    for character, escape in LINE_ENDS.items():
        data = data.replace(character, escape)
    return data


@cache
def page_script() -> str:
    """The whole script of the map."""
    return '"use strict";\n(() => {\n' + "\n".join(_source(f"{name}.js") for name in SCRIPTS) + "})();\n"


@cache
def _source(name: str) -> str:
    return (WEB / name).read_text("utf-8")


@cache
def _jinja() -> Environment:
    return Environment(loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined)


def _page(name: str, data: str, *, served: bool) -> str:
    script, style = page_script(), _source("page.css")
    return _jinja().get_template("map.html.j2").render(
        name=name,
        # Escaped by `harmless`, and ours: neither may be escaped once more.
        data=Markup(data),
        script=Markup(script),
        style=Markup(style),
        served=served,
        policy=policy(script, style, served=served),
    )  # fmt: skip


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
