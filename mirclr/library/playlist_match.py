"""What a playlist from anywhere names, in this library: by path, then by the hash of the sound or of the file, then by
its tags, then as a file outside the library. What fits nothing is listed, never dropped in silence."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mirclr.audio.track import content_id
from mirclr.errors import AudioError
from mirclr.library.names import label, typed
from mirclr.library.playlist import Seed
from mirclr.library.playlist_read import Listed
from mirclr.library.resolve import Embed
from mirclr.library.search import Catalogue


class Matched(NamedTuple):
    """`tracks` in the playlist's order; `by`: how each was found (path, sound, file, tags, outside); `lost`: rows
    (path, reason, detail) of those that were not."""

    tracks: list[Seed]
    by: list[str]
    lost: list[dict[str, str]]


@dataclass
class Finder:
    """Finds listed tracks in a catalogue. `embed`: how to take in a file outside the library; None: do not."""

    catalogue: Catalogue
    embed: Embed | None = None

    def match(self, listed: Sequence[Listed], source: str) -> Matched:
        """Every track of a playlist; `source` names it in what is said about lost ones."""
        tracks, by, lost = [], [], []
        for each in listed:
            found = self._found(each)
            if isinstance(found, dict):
                lost.append({**found, "detail": f"in {source}: {found['detail']}"})
            else:
                tracks.append(found[0])
                by.append(found[1])
        return Matched(tracks, by, lost)

    def _found(self, each: Listed) -> tuple[Seed, str] | dict[str, str]:
        known = next(self._in_library(each), None)
        if known is not None:
            return known
        if each.path is not None and self.embed is not None and each.path.is_file():
            try:
                heard = self.embed(each.path)
            except AudioError as error:
                return {"path": str(each.path), "reason": error.reason, "detail": error.detail}
            return Seed.heard(self.catalogue, *heard), "outside"
        if each.path is None and each.url is not None:
            return {"path": each.url, "reason": "stream", "detail": "not a file, and no track here has its tags"}
        return {"path": each.shown, "reason": "missing_file", "detail": "not there, not indexed, no track has its tags"}

    def _in_library(self, each: Listed) -> Iterator[tuple[Seed, str]]:
        for path in self._spellings(each.path):
            if (seed := Seed.at_path(self.catalogue, path)) is not None:
                yield seed, "path"
        if each.audio_id:
            yield from self._rows(self.catalogue.row_of_audio(each.audio_id), "sound")
        if each.path is not None and each.path.is_file():
            yield from self._rows(self._by_file.get(content_id(each.path)), "file")
        yield from self._rows(self._by_tags(each), "tags")

    def _rows(self, row: int | None, how: str) -> Iterator[tuple[Seed, str]]:
        if row is not None:
            yield Seed.at(self.catalogue, row), how

    def _spellings(self, path: Path | None) -> Iterator[Path]:
        """A path, with its links resolved, and in the encoding of older players."""
        if path is None:
            return
        yield path
        yield Path(os.path.realpath(path))
        raw = os.fsencode(path)
        if raw.decode("utf-8", "ignore").encode() != raw:
            yield Path(raw.decode("cp1252", "replace"))

    @cached_property
    def _by_file(self) -> dict[str, int]:
        return {str(digest): row for row, digest in reversed(list(enumerate(self.catalogue.tracks["id"])))}

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        """'artist - title' as somebody types it to its rows; only tracks that have a title."""
        found: dict[str, list[int]] = defaultdict(list)
        columns = self.catalogue.tracks[["artist", "title"]].itertuples(index=False)
        for row, (artist, title) in enumerate(columns):
            if isinstance(title, str) and isinstance(artist, str):
                found[typed(label(artist, title, ""))].append(row)
        return found

    def _by_tags(self, each: Listed) -> int | None:
        """The row of this artist and title; of several, the one on this album, then of the nearest length, then the
        first."""
        name = label(each.artist, each.title, "") if each.artist and each.title else each.label
        rows = self._by_name.get(typed(name), []) if name else []
        return min(rows, key=lambda row: self._distance(each, row)) if rows else None

    def _distance(self, each: Listed, row: int) -> tuple[bool, float, int]:
        track = self.catalogue.tracks.iloc[row]
        album = not (each.album and isinstance(track["album"], str) and typed(track["album"]) == typed(each.album))
        unknown = each.duration is None or pd.isna(track["duration"])
        return album, 0.0 if unknown else abs(float(track["duration"]) - float(each.duration or 0)), row
