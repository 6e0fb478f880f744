"""What lies under a folder: every file once, links followed once, and a reason for whatever could not be entered.

Real folders come first, linked ones after, so that a file found both ways is named by its real path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from mirclr.audio.manifest import Verdict, is_manifest, read_manifest
from mirclr.errors import UsageError

Row = dict[str, str]


def list_rows(roots: Sequence[Path]) -> tuple[list[Path], list[Row]]:
    """All files under `roots` (folders, files, or manifests of `mirclr.audio.manifest`, which stand for the files they
    keep), absolute, sorted by name; rows of path, reason, detail for the rest.

    A folder is entered once however many links lead to it. A link to a folder that was entered elsewhere is passed
    over, nothing is lost by it; one that leads back to a folder it lies in is told as `symlink_loop`. No file is
    opened. Raises UsageError where a root does not exist.
    """
    walk = _Walk()
    for root in roots:
        walk.start(os.path.abspath(root))
    walk.follow_links()
    files = sorted(walk.files, key=os.fsencode)
    return [Path(name) for name in files], sorted(walk.rows, key=lambda row: os.fsencode(row["path"]))


class _Walk:
    """The state of one walk. Folders are known by device and inode; names do not tell."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.rows: list[Row] = []
        self.entered: set[tuple[int, int]] = set()
        self.folders: deque[str] = deque()
        self.links: deque[str] = deque()

    def start(self, root: str) -> None:
        try:
            place = os.stat(root)
            if stat.S_ISREG(place.st_mode) and is_manifest(root):
                for verdict in read_manifest(Path(root)):
                    self._keep(verdict)
            else:
                self._sort_in(root, place)
        except FileNotFoundError as error:
            raise UsageError(f"{root}: no such folder or file") from error
        except OSError as error:
            self._note(root, "unreadable", error.strerror or str(error))
        self._enter_all()

    def _keep(self, verdict: Verdict) -> None:
        if verdict.keep:
            self._look_at(verdict.path)

    def follow_links(self) -> None:
        while self.links:
            link = self.links.popleft()
            place = os.stat(link)
            if (place.st_dev, place.st_ino) not in self.entered:
                self.folders.append(link)
                self._enter_all()
            elif _leads_back(link):
                self._note(link, "symlink_loop", f"leads back to {os.path.realpath(link)}")

    def _enter_all(self) -> None:
        while self.folders:
            folder = self.folders.popleft()
            try:
                place = os.stat(folder)
                if (place.st_dev, place.st_ino) in self.entered:
                    continue
                self.entered.add((place.st_dev, place.st_ino))
                with os.scandir(folder) as entries:
                    names = sorted((entry.path for entry in entries), key=os.fsencode)
            except OSError as error:
                self._note(folder, "folder_unreadable", error.strerror or str(error))
                continue
            for name in names:
                self._look_at(name)

    def _look_at(self, name: str) -> None:
        try:
            link = os.path.islink(name)
            place = os.stat(name)
        except FileNotFoundError:
            self._note(name, "broken_link" if link else "missing_file", "points at nothing" if link else "vanished")
        except OSError as error:
            looped = error.errno == errno.ELOOP
            self._note(name, "symlink_loop" if looped else "unreadable", error.strerror or str(error))
        else:
            if link and stat.S_ISDIR(place.st_mode):
                self.links.append(name)
            else:
                self._sort_in(name, place)

    def _sort_in(self, name: str, place: os.stat_result) -> None:
        if stat.S_ISDIR(place.st_mode):
            self.folders.append(name)
        elif stat.S_ISREG(place.st_mode):
            self.files.add(name)
        else:
            self._note(name, "not_a_file", "a pipe, socket or device was not opened")

    def _note(self, path: str, reason: str, detail: str) -> None:
        self.rows.append({"path": path, "reason": reason, "detail": detail})


def _leads_back(link: str) -> bool:
    """Whether the folder a link points at is one the link itself lies in."""
    target, place = os.path.realpath(link), os.path.realpath(os.path.dirname(link))
    return os.path.commonpath([target, place]) == target
