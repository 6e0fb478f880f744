"""Tags as beets' flexible attributes: a shell script of `beet modify`, which a person can read before it runs.

Attributes are called `mirclr_FIELD`, so that nothing of the library's own is touched, and neither files nor names are
(`--nowrite`, `--nomove`). Tracks that get the same value share a command: starting beets takes longer than changing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mirclr.library.tag_table import SEPARATOR

AT_ONCE = 100  # paths a command: well below what a system takes on one line
HEAD = """#!/bin/sh
# Written by mirclr: tags as flexible attributes of beets. Run it with `sh`; BEET names another beets.
BEET="${BEET:-beet}"
failed=0
"""
TAIL = """[ "$failed" = 0 ] || echo "some tracks are not in the library of beets: import them, then run this again" >&2
exit "$failed"
"""


@dataclass(frozen=True)
class Script:
    """The `commands`, a line each, and `quarantine`: path, reason and detail of what no query can name."""

    commands: list[str]
    quarantine: list[dict[str, str]]

    @property
    def text(self) -> str:
        """The file."""
        return HEAD + "".join(f"{command} || failed=1\n" for command in self.commands) + TAIL


def beets_script(rows: Iterable[Mapping[str, Any]]) -> Script:
    """The script for rows of `read_tags_file`.

    A track that gets no tag loses the attribute, so that a newer script leaves nothing of an older one.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    bad: list[dict[str, str]] = []
    for row in rows:
        if row["path"].endswith(",") or any(letter in row["path"] for letter in "\n\r\0"):
            detail = "beets cannot be asked for a path with a line break or a comma at its end; rename the file"
            bad.append({"path": row["path"], "reason": "path_not_writable", "detail": detail})
            continue
        value = SEPARATOR.join(tag["label"] for tag in row["tags"])
        groups.setdefault((f"mirclr_{row['field']}", value), []).append(row["path"])
    parts = [(key, paths[at : at + AT_ONCE]) for key, paths in groups.items() for at in range(0, len(paths), AT_ONCE)]
    return Script([_command(*key, paths) for key, paths in parts], bad)


def _command(attribute: str, value: str, paths: list[str]) -> str:
    """One `beet modify` of all tracks in `paths`; beets joins queries by a comma as a word of its own."""
    words = [word for path in paths for word in (",", shlex.quote(f"path:{path}"))][1:]
    change = shlex.quote(f"{attribute}={value}" if value else f"{attribute}!")
    return f'"$BEET" modify --yes --nowrite --nomove {" ".join(words)} {change}'
