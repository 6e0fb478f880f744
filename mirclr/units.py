"""Seconds, samples, decibels, bytes and names: the conversions every room shares."""

from __future__ import annotations

import os
import re


def samples_of(seconds: float, rate: int) -> int:
    """Seconds to the nearest whole number of samples at `rate` Hz."""
    return round(seconds * rate)


def bytes_text(count: float) -> str:
    """1536 -> '1.5 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def time_text(seconds: float) -> str:
    """3725 -> '1:02:05', 65 -> '1:05'."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def printable(text: str | os.PathLike[str]) -> str:
    """Text safe to show on one line: undecodable bytes as \\xNN, control characters (newline, escape) as \\x0a."""
    raw = os.fsencode(text) if isinstance(text, os.PathLike) else text.encode("utf-8", "surrogateescape")
    shown = raw.decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]", lambda m: f"\\x{ord(m.group()):02x}", shown)
