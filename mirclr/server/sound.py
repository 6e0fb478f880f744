"""Sound over HTTP: a library's file as it is, or an excerpt as MP3; both in ranges (RFC 9110, section 14).

Only files that a store names are opened, and only while they are sound: a name that has become a link to something else
since the last index is refused by its content.
"""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse

from mirclr.audio.excerpt import excerpt
from mirclr.audio.sniff import sniff
from mirclr.errors import AudioError
from mirclr.files import write_atomic

MEDIA = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "wma": "audio/x-ms-wma",
}
PREVIEW_S, PREVIEW_RATE = 30.0, 44_100
KEPT = 256  # previews on disk, 360 kB each
PRIVATE = {"Cache-Control": "private, max-age=3600"}


def file_response(track: dict[str, Any]) -> FileResponse:
    """The file of a track, whole or in the range that was asked for. Raises AudioError when it is no sound now."""
    path = Path(track["path"])
    sniffed = sniff_regular(path)
    media = MEDIA.get(sniffed or "")
    if media is None:
        raise AudioError(path, "not_audio", "it is not the sound that was indexed; index the folder again")
    return FileResponse(path, media_type=media, headers=PRIVATE, stat_result=path.stat())


def sniff_regular(path: Path) -> str | None:
    """The container of a regular file, None for none that is read. Raises AudioError: missing_file, not_a_file, ..."""
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        raise AudioError(path, "missing_file", "it is not there any more; index the folder again") from error
    if not regular:
        raise AudioError(path, "not_a_file", "a folder, pipe or device")
    return sniff(path).container


class Previews:
    """Excerpts made when asked for, and kept in `folder` for the ranges that a browser asks for one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def response(self, track: dict[str, Any]) -> FileResponse:
        """The excerpt of a track as MP3. Raises AudioError as decoding does."""
        path = self.folder / f"{track['audio_id']}.mp3"
        if not path.exists():
            sniff_regular(Path(track["path"]))
            write_atomic(path, excerpt(track["path"], track["duration"], PREVIEW_S, PREVIEW_RATE))
            self._forget()
        return FileResponse(path, media_type="audio/mpeg", headers=PRIVATE, stat_result=path.stat())

    def _forget(self) -> None:
        """Delete the oldest excerpts above `KEPT`; one that is being sent is still read to its end."""
        with self._lock:
            made = sorted(self.folder.glob("*.mp3"), key=lambda path: path.stat().st_mtime_ns)
            for path in made[:-KEPT]:
                path.unlink(missing_ok=True)
