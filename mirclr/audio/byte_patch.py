"""What turns a changed file back into the old one, byte for byte, where only little of it changed.

Tags lie in a corner of a file, and most containers leave the rest where it was. The edits hold the old bytes of that
corner: a few hundred for a genre.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

MOST_BYTES = 65_536  # a file of which more changed is restored tag for tag
BLOCK = 1 << 20
NEAR = 16  # differences so close are one edit


class Edit(NamedTuple):
    """In the new file `length` bytes from `start` stand where the `old` bytes stood."""

    start: int
    length: int
    old: bytes


def edits_between(new: Path, old: Path) -> list[Edit] | None:
    """The edits that make `new` into `old`, in order; None where they would hold more than `MOST_BYTES`.

    Files are compared from the front, and from both ends: whichever leaves less to keep.
    """
    if not (new.stat().st_size and old.stat().st_size):
        return None
    now, then = (np.memmap(path, np.uint8, "r") for path in (new, old))
    found = [edits for edits in (_from_front(now, then), _from_both_ends(now, then)) if edits is not None]
    return min(found, key=lambda edits: sum(len(edit.old) for edit in edits)) if found else None


def apply_edits(edits: list[Edit], new: Path, target: BinaryIO) -> None:
    """Write the old file into `target`. Raises ValueError on edits that do not fit the file."""
    size = new.stat().st_size
    with new.open("rb") as file:
        at = 0
        for start, length, old in edits:
            if not at <= start <= start + length <= size:
                raise ValueError("edits that do not fit the file")
            _copy(file, target, start - at)
            target.write(old)
            file.seek(start + length)
            at = start + length
        _copy(file, target, size - at)


def _copy(source: BinaryIO, target: BinaryIO, count: int) -> None:
    while count > 0 and (part := source.read(min(count, BLOCK))):
        target.write(part)
        count -= len(part)


def _from_front(now: np.ndarray, then: np.ndarray) -> list[Edit] | None:
    """Edits where bytes stayed at their place; what one file has behind the end of the other is the last one."""
    common, edits = min(len(now), len(then)), []
    for start, end in _runs(now[:common], then[:common]):
        edits.append(Edit(start, end - start, then[start:end].tobytes()))
        if sum(len(edit.old) for edit in edits) > MOST_BYTES:
            return None
    if len(then) - common > MOST_BYTES:
        return None
    if len(now) != len(then):
        edits.append(Edit(common, len(now) - common, then[common:].tobytes()))
    return edits


def _runs(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[int, int]]:
    """(start, end) of stretches in which two arrays of one length differ, near ones joined within a block."""
    for at in range(0, len(a), BLOCK):
        differ = np.flatnonzero(a[at : at + BLOCK] != b[at : at + BLOCK])
        if len(differ):
            gaps = np.flatnonzero(np.diff(differ) > NEAR)
            starts, ends = differ[np.append(0, gaps + 1)], differ[np.append(gaps, len(differ) - 1)]
            yield from ((at + int(start), at + int(end) + 1) for start, end in zip(starts, ends, strict=True))


def _from_both_ends(now: np.ndarray, then: np.ndarray) -> list[Edit] | None:
    """One edit between the bytes that are the same at the front and those that are the same at the back."""
    common = min(len(now), len(then))
    front = _same(now, then, common)
    back = _same(now[::-1], then[::-1], common - front)
    if len(then) - front - back > MOST_BYTES:
        return None
    return [Edit(front, len(now) - front - back, then[front : len(then) - back].tobytes())]


def _same(a: np.ndarray, b: np.ndarray, most: int) -> int:
    """How many of the first `most` values are the same before the first that is not."""
    for at in range(0, most, BLOCK):
        end = min(at + BLOCK, most)
        differ = np.flatnonzero(a[at:end] != b[at:end])
        if len(differ):
            return at + int(differ[0])
    return most
