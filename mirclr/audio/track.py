"""One file to one row of the track table, to nothing (it is no music), or to an AudioError that says why not."""

from __future__ import annotations

import os
from contextlib import closing
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from mirclr.audio.decode import open_reader
from mirclr.audio.further_tags import read_further_tags
from mirclr.audio.integrity import refuse_cut
from mirclr.audio.listen import listen
from mirclr.audio.quality import flags_of
from mirclr.audio.sniff import Sniffed, looks_like_audio, sniff
from mirclr.audio.tags import read_tags
from mirclr.errors import AudioError

Row = dict[str, Any]
# What a picture, a text or an empty marker file gives: no news, unless the name promised audio.
_OTHER_FILES = ("not_audio", "no_audio", "empty_file")


def read_track(path: Path, clip_seconds: float, further: bool = False) -> Row | None:
    """The row of the track table for `path`, None for a file that neither is nor claims to be audio.

    `further`: also `further_tags`, as `mirclr.audio.further_tags` reads them. Hears the sound as `mirclr.audio.listen`
    says. Raises AudioError with the reason for the quarantine table.
    """
    try:
        return _row(path, sniff(path), clip_seconds, further)
    except AudioError as error:
        # macOS leaves "._song.mp3" beside songs on foreign disks: properties, not sound.
        claims = looks_like_audio(path.name) and not path.name.startswith("._")
        if error.reason in _OTHER_FILES and not claims:
            return None
        raise
    except FileNotFoundError as error:
        raise AudioError(path, "missing_file", "vanished while it was read") from error
    except OSError as error:
        raise AudioError(path, "unreadable", error.strerror or str(error)) from error


def _row(path: Path, sniffed: Sniffed, clip_seconds: float, further: bool) -> Row:
    if sniffed.container is not None:
        refuse_cut(path, sniffed.container)
    with closing(open_reader(path, sniffed)) as reader:
        heard = listen(path, reader)
    container = sniffed.container or ""
    tags = read_tags(path, container, sniffed.codec)
    place, duration = path.stat(), heard.length / reader.rate
    return {
        "id": content_id(path),
        "path": str(path),
        "container": container,
        "codec": sniffed.codec or reader.codec,
        "sample_rate": reader.rate,
        "channels": reader.channels,
        "duration": duration,
        **vars(tags),
        "size": place.st_size,
        "mtime_ns": place.st_mtime_ns,
        "audio_id": heard.audio_id,
        "flags": ",".join(flags_of(heard.measured, duration, clip_seconds)),
        **({"further_tags": read_further_tags(path, container, sniffed.codec)} if further else {}),
    }


def content_id(path: str | os.PathLike[str]) -> str:
    """32 hex digits of a file's bytes (BLAKE2b-128): the `id` of the track table. Raises OSError."""
    with open(path, "rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
