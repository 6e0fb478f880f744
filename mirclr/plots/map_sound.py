"""The previews that a map carries: a few seconds of each track, inside the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mirclr.audio.excerpt import excerpt
from mirclr.errors import AudioError, UsageError
from mirclr.reports import Progress, Work
from mirclr.units import bytes_text

SECONDS = 8.0
BYTES_EACH = 54_000  # 8 s at 40 kbit/s, in base64
MOST = 2500  # tracks; a page of more than 140 MB is opened by no telephone


class Previews(NamedTuple):
    """`uris`, "" where there is none; `quarantine`: rows (path, reason, detail) of files that could not be heard."""

    uris: tuple[str, ...]
    quarantine: list[dict[str, str]]


def previews(tracks: Sequence[Mapping[str, Any]]) -> Work[Previews]:
    """A data URI for each track of the track table. Reports progress.

    Raises UsageError where there are so many that no browser would open the page.
    """
    if len(tracks) > MOST:
        raise UsageError(
            f"previews of {len(tracks)} tracks would make a page of {bytes_text(len(tracks) * BYTES_EACH)}; at most "
            f"{MOST} fit. Leave --previews out (points link to the files), or use: mirclr serve"
        )
    uris: list[str] = []
    bad: list[dict[str, str]] = []
    for done, track in enumerate(tracks):
        yield Progress("previews", done, len(tracks))
        try:
            sound = excerpt(track["path"], track["duration"], SECONDS)
            uris.append("data:audio/mpeg;base64," + base64.b64encode(sound).decode("ascii"))
        except AudioError as error:
            uris.append("")
            bad.append({"path": error.path, "reason": error.reason, "detail": error.detail})
    yield Progress("previews", len(tracks), len(tracks))
    return Previews(tuple(uris), bad)
