"""`--keep` and `--ignore`: attributes in words, laid over the augmentation chains of a configuration."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import click

from mirclr.cli import face
from mirclr.config import AugmentConfig, PretrainConfig, validate
from mirclr.errors import ConfigError


def attribute_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The two options, for a command that takes `keep` and `ignore`."""
    named = functools.partial(click.option, multiple=True, metavar="ATTRIBUTE,...")
    ignore = named("--ignore", help="Learn to ignore it: effects that change it, stronger (tempo, key, timbre, ...).")
    keep = named("--keep", help="Keep it readable: no effect that changes it (tempo, key, timbre, ...).")
    return keep(ignore(function))


def with_attributes(
    config: PretrainConfig, keep: Iterable[str], ignore: Iterable[str], resumed: bool = False
) -> PretrainConfig:
    """`config` with chains that keep and ignore those attributes (each text may hold several, with commas); what
    was changed is said.

    A `resumed` run has its chains already: what nothing in them changes any more is no mistake.
    Raises ConfigError with every mistake that `mirclr.augment.attributes.shaped` finds.
    """
    kept, ignored = _words(keep), _words(ignore)
    if not kept and not ignored:
        return config
    from mirclr.augment.attributes import ATTRIBUTES, changed_by, shaped

    chains = {name: [part.model_dump() for part in getattr(config.augment, name)] for name in ("wave", "spec")}
    if resumed:
        kept = [word for word in kept if word in changed_by(chains) or word not in ATTRIBUTES]
    try:
        done = shaped(chains, kept, ignored)
    except ValueError as error:
        raise ConfigError("--keep/--ignore", str(error).splitlines()) from error
    for note in done.notes:
        face.say(note)
    augment = validate(AugmentConfig, {**config.augment.model_dump(), **done.chains}, "--keep/--ignore")
    return config.model_copy(update={"augment": augment})


def _words(given: Iterable[str]) -> list[str]:
    """`["tempo,key", "order"]` to `["tempo", "key", "order"]`."""
    return [word.strip() for text in given for word in text.split(",") if word.strip()]
