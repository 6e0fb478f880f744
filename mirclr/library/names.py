"""Who made a track and what it is called, as a person compares them: case, width and spacing do not count."""

from __future__ import annotations

import re
import unicodedata

# Tags that say "no single artist" in the tongues of common taggers; such tracks are under no per-artist limit.
NO_ARTIST = frozenset(
    {"", "various", "various artists", "va", "v.a.", "v/a", "unknown", "unknown artist", "compilation", "soundtrack"}
)

# What the same song is called on other records, in brackets or behind a dash: "(Live at Leeds)", "- 2011 Remaster".
_VERSION = (
    r"(?:live|re-?master(?:ed)?|re-?mix(?:ed)?|mix|edit|version|demo|acoustic|instrumental|mono|stereo|take|alternate|"
    r"bonus|feat\.?|featuring|ft\.?|deluxe|single|radio|extended|unplugged|karaoke|explicit|clean)"
)
_BRACKETED = re.compile(rf"\s*[(\[][^()\[\]]*\b{_VERSION}(?!\w)[^()\[\]]*[)\]]")
_DASHED = re.compile(rf"\s+[-\u2013\u2014]\s+[^-\u2013\u2014]*\b{_VERSION}(?!\w)[^-\u2013\u2014]*$")


# C0 and C1 control characters, and the line and paragraph separators some programs break lines at.
_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """`text` with every run of white space and control characters as one space, and valid Unicode."""
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode()).strip()


def folded(text: str | None) -> str:
    """`text` for comparison: NFKC, case folded, runs of spaces and control characters as one space."""
    return one_line(unicodedata.normalize("NFKC", text or "").casefold())


def typed(text: str) -> str:
    """`text` as somebody without the right keyboard would type it: folded, accents off."""
    apart = unicodedata.normalize("NFKD", folded(text))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def artist_key(artist: str | None) -> str | None:
    """What identifies an artist, or None when the tag names no single one."""
    key = folded(artist)
    return None if key in NO_ARTIST else key


def song_key(artist: str | None, title: str | None) -> tuple[str, str] | None:
    """What identifies a song across albums and encodings, or None when either tag is missing."""
    who, what = artist_key(artist), folded(title)
    return (who, what) if who and what else None


def version_key(artist: str | None, title: str | None) -> tuple[str, str] | None:
    """`song_key` without what only tells versions of a song apart: live, remaster, remix, edit, guests.

    "Song (Part 2)" stays apart from "Song (Part 1)". A title that is nothing but a version's name stays as it is.
    """
    who, what = artist_key(artist), folded(title)
    plain = _DASHED.sub("", _BRACKETED.sub("", what)).strip() or what
    return (who, plain) if who and plain else None


def label(artist: str | None, title: str | None, file_name: str) -> str:
    """'Artist - Title' for people; what is missing is left out, and a track without a title shows its file name."""
    return " - ".join(part for part in (artist, title or file_name) if part)
