"""Changing the tags of one file so that its sound is proved untouched and no moment leaves half a file.

The file is copied beside itself, the copy is changed, and only when the encoded sound of both has the same digest and
the copy says what it should does the copy take the file's place. The copy keeps mode, owner (where allowed) and
extended attributes; its time of change is now, so that programs which look at it see a changed file. A symbolic link
stays one: the file it leads to is replaced. Another hard link keeps the old file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mirclr.audio.byte_patch import Edit, apply_edits, edits_between
from mirclr.audio.payload import payload_digest
from mirclr.audio.sniff import Sniffed, sniff
from mirclr.audio.tag_fields import TagFile
from mirclr.audio.tags import BROKEN
from mirclr.audio.track import content_id
from mirclr.errors import AudioError
from mirclr.files import sync_folder

Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Change:
    """A changed copy that waits beside its file. `before`, `after`: digests (`content_id`) of file and copy; `old`:
    what the changed fields said; `edits`: the way back, None where it is too long."""

    target: Path
    copy: Path
    before: str
    after: str
    old: dict[str, list[str]]
    edits: list[Edit] | None

    def commit(self) -> None:
        """Put the copy in the file's place. Raises AudioError, leaving the file alone, when it changed meanwhile."""
        try:
            with _as_audio_error(self.target):
                if content_id(self.target) != self.before:
                    raise AudioError(self.target, "changed", "it was changed by another program meanwhile; index again")
                os.replace(self.copy, self.target)
                sync_folder(self.target.parent)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the copy."""
        self.copy.unlink(missing_ok=True)


def read_fields(path: str | Path, fields: Sequence[str]) -> dict[str, list[str]]:
    """The texts of each of `fields` in a file, empty ones too. Raises AudioError."""
    sniffed = _sniffed(path)
    with _as_audio_error(path):
        tags = TagFile(Path(path), sniffed.container or "", sniffed.codec)
        return {field: tags.get(field) for field in fields}


def prepare(path: str | Path, fields: Fields) -> Change:
    """A copy of the file in which each of `fields` holds its texts (none: the field is gone), proved.

    Raises AudioError when the file cannot be read or written, its tags are damaged, its sound would not be the same, or
    the container does not keep what is written.
    """
    sniffed, target = _sniffed(path), Path(os.path.realpath(path))
    container = sniffed.container or ""

    def change(copy: Path) -> dict[str, list[str]]:
        shutil.copyfile(target, copy)
        tags = TagFile(copy, container, sniffed.codec)
        old = {field: tags.get(field) for field in fields}
        for field, texts in fields.items():
            tags.put(field, texts)
        tags.save()
        if payload_digest(copy, container) != payload_digest(target, container):
            raise AudioError(path, "sound_changed", "with these tags its sound would not be the same: left alone")
        if read_fields(copy, list(fields)) != {field: list(texts) for field, texts in fields.items()}:
            raise AudioError(path, "tag_lost", "the container does not keep these tags: left alone")
        return old

    return _beside(target, change)


def restore(path: str | Path, before: str, edits: list[Edit]) -> Change:
    """A copy of the file as it was, byte for byte. Raises AudioError when `edits` do not lead back to `before`."""
    target = Path(os.path.realpath(path))

    def change(copy: Path) -> dict[str, list[str]]:
        with copy.open("wb") as file:
            apply_edits(edits, target, file)
        if content_id(copy) != before:
            raise AudioError(path, "changed", "the kept bytes do not lead back to the file that was")
        return {}

    return _beside(target, change)


def _beside(target: Path, change: Callable[[Path], dict[str, list[str]]]) -> Change:
    """The change of a copy of `target`, which is made by `change`, durable and dressed as the file itself."""
    copy = _place(target)
    with _as_audio_error(target):
        try:
            before = content_id(target)
            copy.touch(exist_ok=False)
            old = change(copy)
            _dress(copy, target)
            return Change(target, copy, before, content_id(copy), old, edits_between(copy, target))
        except FileExistsError:
            raise
        except BaseException:
            copy.unlink(missing_ok=True)
            raise


def _place(target: Path) -> Path:
    """Where the copy of a file is: the same name each time, so that one left by a killed run is found."""
    stem = os.fsencode(target.name)[:100].decode("utf-8", "ignore")
    return target.with_name(f".{stem}.mirclr-tag")


def clear(path: str | Path) -> None:
    """Remove the copy that a killed run has left beside a file."""
    with contextlib.suppress(OSError):
        _place(Path(os.path.realpath(path))).unlink(missing_ok=True)


def _dress(copy: Path, target: Path) -> None:
    """Mode, owner and attributes of `target` for `copy`, and all of it on the disk."""
    found = target.stat()
    with contextlib.suppress(PermissionError, AttributeError):  # only root gives files away; Windows knows no owners
        os.chown(copy, found.st_uid, found.st_gid)
    shutil.copystat(target, copy)
    os.utime(copy)
    with copy.open("rb+") as file:
        os.fsync(file.fileno())


def _sniffed(path: str | Path) -> Sniffed:
    sniffed = sniff(path)
    if sniffed.container is None:
        raise AudioError(path, "unsupported", "not a format whose tags are written")
    return sniffed


@contextlib.contextmanager
def _as_audio_error(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise AudioError(path, "busy", "another run is changing it") from error
    except OSError as error:
        raise AudioError(path, "unwritable", error.strerror or str(error)) from error
    except BROKEN as error:
        raise AudioError(path, "tags_damaged", f"its tags cannot be read or written: {error or type(error)}") from error
