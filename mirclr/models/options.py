"""Checks of encoder options at construction: the message names the option, what it takes and what it got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def check_whole(highest: int, lowest: int = 1, **options: Any) -> None:
    """Raises ValueError unless each of `options` is a whole number in `lowest..highest`."""
    for name, value in options.items():
        if not _whole(value, lowest, highest):
            raise ValueError(f"encoder.{name} must be a whole number in {lowest}..{highest}, got {value!r}")


def check_share(**options: Any) -> None:
    """Raises ValueError unless each of `options` is a number from 0 to below 1."""
    for name, value in options.items():
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise ValueError(f"encoder.{name} must be a number from 0 to below 1, got {value!r}")


def check_word(words: Sequence[str], **options: Any) -> None:
    """Raises ValueError unless each of `options` is one of `words`."""
    for name, value in options.items():
        if value not in words:
            raise ValueError(f"encoder.{name} must be one of {', '.join(words)}; got {value!r}")


def check_strides(count: int, highest: int, what: str, **options: Any) -> None:
    """Raises ValueError unless each of `options` holds `count` whole numbers in 1..highest; `what` says of what."""
    for name, value in options.items():
        fits = isinstance(value, list | tuple) and len(value) == count
        if not fits or not all(_whole(each, 1, highest) for each in value):
            raise ValueError(f"encoder.{name} must be {count} whole numbers in 1..{highest} ({what}), got {value!r}")


def _whole(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
