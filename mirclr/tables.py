"""Rooms keep tables of name to class. A choice from one is checked here: every mistake, with the nearest right word."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mirclr.config import nearest


def options_of(maker: Callable[..., Any], supplied: tuple[str, ...] = ()) -> dict[str, Any]:
    """The options a class takes and their defaults, without those the builder supplies itself."""
    parameters = inspect.signature(maker).parameters
    return {name: p.default for name, p in parameters.items() if name not in supplied}


def unknown_options(
    owner: str, maker: Callable[..., Any], options: Mapping[str, Any], supplied: tuple[str, ...] = ()
) -> list[str]:
    """A line for each of `options` that `maker`, called `owner`, does not take."""
    known = options_of(maker, supplied)
    return [f"{owner}: unknown option {key!r}.{nearest(key, known)}" for key in options if key not in known]


def build(
    kind: str,
    table: Mapping[str, Callable[..., Any]],
    name: str,
    options: Mapping[str, Any],
    supplied: Mapping[str, Any] | None = None,
) -> Any:
    """`table[name](**supplied, **options)`. Raises ValueError, naming `kind`, on an unknown name or option."""
    given = dict(supplied or {})
    if name not in table:
        raise ValueError(f"no {kind} {name!r}.{nearest(name, table)}")
    wrong = unknown_options(f"{kind} {name!r}", table[name], options, tuple(given))
    if wrong:
        raise ValueError("; ".join(wrong))
    return table[name](**given, **options)
