"""Every text tag of a file, by the same names whatever the format, with all the values it has.

`mirclr.audio.tags` reads the six fields of the track table; this reads them again as they are written, and everything
beside them: composer, mood, bpm, label, what other programs and `mirclr tag --write` put there under other names.
Numbers stay the texts they are: a rating is 0 to 255 in ID3 (POPM), and whatever the program chose elsewhere.

Left out: pictures, lyrics, bytes that are no text. Tags come from strangers, so a file has at most `MOST` values, known
names first, and a value at most `LONGEST` characters: a longer one is cut. Broken tags are no tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mutagen import id3
from mutagen.asf import ASFUnicodeAttribute
from mutagen.mp4 import AtomDataType, MP4FreeForm, MP4Tags

from mirclr.audio import tag_names
from mirclr.audio.musicbrainz import OWNER
from mirclr.audio.sniff import sniff
from mirclr.audio.tag_names import KNOWN, tag_name
from mirclr.audio.tags import BROKEN, line_of, open_tags

READER = 1
"""Which tags are read and how they are called: another number, and an index run reads the tags of every file again."""
MOST = 200
LONGEST = 1000

FurtherTags = dict[str, list[str]]
Pair = tuple[str, Any]
_TEXT_ATOMS = (AtomDataType.UTF8, AtomDataType.IMPLICIT)


def read_further_tags(path: Path, container: str, codec: str | None = None) -> FurtherTags:
    """Name to values, in the order they stand, of a file that `sniff` calls `container` (`codec` for Ogg).

    Reads no audio. Empty where there are no tags or they are broken; one broken tag costs itself.
    """
    try:
        opened = open_tags(path, container, codec)
        tags = opened if isinstance(opened, id3.ID3) else opened.tags
        return bounded(list(_pairs(tags, container)))
    except BROKEN:
        return {}


def further_tags_of(path: Path) -> FurtherTags:
    """`read_further_tags` of a file of any kind. Raises AudioError as `sniff`."""
    found = sniff(path)
    return read_further_tags(path, found.container, found.codec) if found.container else {}


def bounded(pairs: Iterable[Pair]) -> FurtherTags:
    """Names as `tag_name` has them, to their different values on one clean line each, within the bounds."""
    named = [(name, value) for text, value in pairs if (name := tag_name(text))]
    out: FurtherTags = {}
    count = 0
    for name, value in sorted(named, key=lambda pair: pair[0] not in KNOWN):
        for part in str(value)[: 4 * LONGEST].split("\x00"):  # a zero parts the values of older taggers
            line = (line_of(part) or "")[:LONGEST].rstrip()
            if line and line not in out.get(name, []) and count < MOST:
                out.setdefault(name, []).append(line)
                count += 1
    return out


def _pairs(tags: Any, container: str) -> Iterator[Pair]:
    """What every tag is called and says, one pair a value."""
    if tags is None:
        return
    parts = _of_frame if isinstance(tags, id3.ID3) else _PARTS.get(container, _of_comment)
    # Comments and ASF are lists of pairs, the others dictionaries.
    for key, value in tags.items() if isinstance(tags, (id3.ID3, MP4Tags)) else list(tags):
        try:
            yield from list(parts(key, value))
        except BROKEN:
            continue


def _of_comment(key: str, value: Any) -> Iterator[Pair]:
    yield key, value


def _of_frame(key: str, frame: Any) -> Iterator[Pair]:
    """An ID3 frame. A rating of 0 says that there is none; people are called by what they did."""
    kind = key[:4]
    if kind == "POPM":
        yield from [("rating", frame.rating)] if frame.rating else []
    elif kind == "UFID":
        yield from [("musicbrainz_trackid", frame.data.decode("ascii"))] if frame.owner == OWNER else []
    elif kind in ("TIPL", "TMCL", "IPLS"):
        for role, person in frame.people:
            yield from _person(role, person, kind == "TMCL")
    elif kind in ("COMM", "TXXX"):
        name = _comment_name(frame.desc) if kind == "COMM" else frame.desc
        yield from ((name, text) for text in frame.text)
    elif kind in tag_names.ID3 or kind.startswith("T"):
        texts = frame.genres if kind == "TCON" else frame.text
        yield from ((tag_names.ID3.get(kind, kind), text) for text in texts)


def _comment_name(description: str) -> str:
    """Comments that are described are notes of programs (iTunNORM, ...), each by its own name."""
    plain = tag_name(description)
    return f"comment_{plain}" if plain and plain != "id3v1_comment" else "comment"


def _person(role: str, person: str, plays: bool) -> Iterator[Pair]:
    if plays:
        yield "performer", f"{person} ({role})" if role else person
    else:
        yield tag_names.ROLES.get(tag_name(role).replace("_", ""), role), person


def _of_atom(key: str, values: Any) -> Iterator[Pair]:
    """An MP4 atom: texts, numbers, yes or no, `(3, 12)` for the third of twelve, or a free form with a name."""
    name = key.split(":", 2)[2] if key.startswith("----:") else tag_names.MP4.get(key, key)
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, MP4FreeForm):
            if value.dataformat in _TEXT_ATOMS:
                yield name, bytes(value).decode("utf-8")
        elif isinstance(value, tuple):
            yield name, "/".join(str(number) for number in value if number)
        elif isinstance(value, (str, int)):
            yield name, int(value) if isinstance(value, bool) else value


def _of_attribute(key: str, value: Any) -> Iterator[Pair]:
    """An ASF attribute; bytes and identifiers are no text."""
    name = tag_names.ASF.get(key, key.removeprefix("WM/"))
    if isinstance(value, (str, ASFUnicodeAttribute)):
        yield name, value
    elif isinstance(getattr(value, "value", None), int):
        yield name, int(value.value)


_PARTS = {"m4a": _of_atom, "wma": _of_attribute}
