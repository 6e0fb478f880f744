"""A playlist as ListenBrainz imports it: JSPF whose tracks are MusicBrainz recordings and nothing else.

ListenBrainz knows recordings by their MusicBrainz identifier only, so tracks whose tags hold none are left out and
listed. No path of this machine is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mirclr.audio.musicbrainz import recording_id
from mirclr.errors import AudioError
from mirclr.library.playlist_formats import jspf_text
from mirclr.library.playlist_read import Listed

EXTENSION = "https://musicbrainz.org/doc/jspf#playlist"
RECORDING = "https://musicbrainz.org/recording/"


def listenbrainz_text(title: str, listed: Sequence[Listed], public: bool = False) -> tuple[str, list[dict[str, str]]]:
    """The JSPF of files, called `title`, and rows (path, reason, detail) of those that are left out.

    `public`: everybody may see it there.
    """
    tracks: list[dict[str, Any]] = []
    bad: list[dict[str, str]] = []
    for each in listed:
        try:
            found = recording_id(str(each.path))
        except AudioError as error:
            bad.append({"path": str(each.path), "reason": error.reason, "detail": error.detail})
            continue
        if found is None:
            detail = "no MusicBrainz recording in its tags; Picard or beets can write it"
            bad.append({"path": str(each.path), "reason": "no_recording_id", "detail": detail})
            continue
        told = {"title": each.title, "creator": each.artist, "album": each.album}
        tracks.append({"identifier": [RECORDING + found], **{n: text for n, text in told.items() if text}})
    return jspf_text({"title": title, "extension": {EXTENSION: {"public": public}}, "track": tracks}), bad
