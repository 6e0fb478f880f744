"""Playlists for players that read a folder of files: MPD, Navidrome and Jellyfin, each with paths as it wants them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mirclr.errors import UsageError
from mirclr.files import write_atomic
from mirclr.library.names import one_line
from mirclr.library.playlist import Entry
from mirclr.library.playlist_file import UNWRITABLE, write_playlist
from mirclr.library.playlist_formats import STRIPPED, no_line_holds
from mirclr.library.playlist_read import Listed, read_playlist

OUTSIDE, STREAM = "outside", "stream"
MPD_HEAD = "#EXTM3U"
Quarantine = list[dict[str, str]]


@dataclass(frozen=True)
class Player:
    """How a player takes playlists: the `suffix` of the file, whether paths are `rooted` in the music folder (else they
    are relative to the playlist), whether the playlist has to lie `inside` the music folder."""

    suffix: str
    rooted: bool
    inside: bool


PLAYERS = {
    "mpd": Player(".m3u", rooted=True, inside=False),
    "navidrome": Player(".m3u8", rooted=False, inside=True),
    "jellyfin": Player(".m3u8", rooted=False, inside=True),
}


@dataclass(frozen=True)
class Handed:
    """The files written, with how many tracks each holds, and what could not be (path, reason, detail)."""

    files: dict[Path, int]
    quarantine: Quarantine


Lists = dict[str, list[Listed]]


def read_lists(playlists: Sequence[Path]) -> tuple[Lists, Quarantine]:
    """The files that playlists name, by the playlist's name without its extension, and their lines that name no file.

    Raises UsageError on two of one name, or one that cannot be read.
    """
    lists: Lists = {}
    lost: Quarantine = []
    for playlist in playlists:
        if playlist.stem in lists:
            raise UsageError(f"{playlist}: two playlists are called {playlist.stem!r}; rename one")
        listed = read_playlist(playlist).tracks
        lists[playlist.stem] = [each for each in listed if each.path is not None]
        lost += [
            {"path": each.shown, "reason": STREAM, "detail": f"in {playlist}: not a file"}
            for each in listed
            if each.path is None
        ]
    return lists, lost


def lists_of_tags(rows: Iterable[Mapping[str, Any]]) -> Lists:
    """A playlist for every tag of a table (`mirclr.library.tag_table.read_tags_file`), called `field label`: the tracks
    that got it, the surest first."""
    found: dict[str, list[tuple[float, Listed]]] = {}
    for row in rows:
        for tag in row["tags"]:
            strength = tag["confidence"] if tag["confidence"] is not None else tag["value"]
            found.setdefault(_file_name(f"{row['field']} {tag['label']}"), []).append((-float(strength), _listed(row)))
    return {name: [each for _, each in sorted(pairs, key=lambda p: p[0])] for name, pairs in sorted(found.items())}


def _listed(row: Mapping[str, Any]) -> Listed:
    return Listed(path=Path(row["path"]), artist=row["artist"], title=row["title"])


def _file_name(text: str) -> str:
    """`text` as a name that every file system takes."""
    return "".join("_" if letter in '/\\:*?"<>|' else letter for letter in one_line(text)).strip(" .") or "_"


def hand_over(player: str, lists: Mapping[str, Sequence[Listed]], music: Path, folder: Path) -> Handed:
    """Write every one of `lists` for a player of PLAYERS whose music lies under `music` into `folder`.

    Tracks outside `music`, which the player cannot see, and paths that a line cannot hold are left out and listed.
    Raises UsageError when a folder does not exist or lies where the player does not look, and on a file that is there
    and is no playlist.
    """
    how = PLAYERS[player]
    root, target = _folder(music), _folder(folder)
    if how.inside and not f"{target}/".startswith(f"{root}/"):
        raise UsageError(f"{folder}: {player} reads playlists inside the music folder only; choose a folder in {music}")
    files: dict[Path, int] = {}
    bad: Quarantine = []
    for name, listed in lists.items():
        place, seen = Path(target, name + how.suffix), _seen(root, listed, bad)
        write = _write_rooted if how.rooted else _write_relative
        files[place] = write(place, seen, root, bad)
    return Handed(files, bad)


def _folder(path: Path) -> str:
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder")
    return os.path.realpath(path)


def _seen(root: str, listed: Sequence[Listed], bad: Quarantine) -> list[Listed]:
    """The tracks under `root`, links on the way to the file resolved; the others go to `bad`."""
    kept = []
    for each in listed:
        path = str(each.path)
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if real.startswith(f"{root}/"):
            kept.append(replace(each, path=Path(real)))
        else:
            bad.append({"path": path, "reason": OUTSIDE, "detail": f"not under {root}: the player cannot see it"})
    return kept


def _write_relative(place: Path, listed: Sequence[Listed], root: str, bad: Quarantine) -> int:
    names = ("artist", "title", "album", "duration")
    tracks = [{"path": str(each.path), **{name: getattr(each, name) for name in names}} for each in listed]
    done = write_playlist(place, [Entry(track, 0.0) for track in tracks], story=["made by mirclr"])
    bad += done.quarantine
    return done.tracks


def _write_rooted(place: Path, listed: Sequence[Listed], root: str, bad: Quarantine) -> int:
    """MPD's stored playlists: a line a track, seen from the music folder, without a dot in front; `#` is a comment."""
    if place.exists() and not place.read_bytes().startswith(MPD_HEAD.encode()):
        raise UsageError(f"{place}: exists and was not written by mirclr; choose another folder or delete it first")
    paths = [str(each.path) for each in listed]
    lines = [os.path.relpath(path, root) for path in paths]
    fits = [not no_line_holds(line) and line[0] not in f"{STRIPPED}#" for line in lines]
    why = "its path has a line break, a space at an end or # in front; rename the file"
    bad += [{"path": path, "reason": UNWRITABLE, "detail": why} for path, ok in zip(paths, fits, strict=True) if not ok]
    good = [line for line, ok in zip(lines, fits, strict=True) if ok]
    write_atomic(place, "\n".join([MPD_HEAD, *good]) + "\n")
    return len(good)
