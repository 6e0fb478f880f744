"""`--keep`, `--ignore` and `--heads`: attributes in words, laid over the configuration's augmentation and views."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any

import click

from mirclr.cli import face
from mirclr.config import AugmentConfig, PretrainConfig, ViewsConfig, validate
from mirclr.errors import ConfigError


def attribute_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The three options, for a command that takes `keep`, `ignore` and `heads`."""
    named = functools.partial(click.option, multiple=True, metavar="ATTRIBUTE,...")
    ignore = named("--ignore", help="Learn to ignore it: effects that change it, stronger (tempo, key, timbre, ...).")
    keep = named("--keep", help="Keep it readable: no effect that changes it (tempo, key, timbre, ...).")
    heads = named("--heads", help="Give it a space of its own: a head tells apart what effects do to it (tempo, ...).")
    return keep(ignore(heads(function)))


def with_attributes(
    config: PretrainConfig, keep: Iterable[str], ignore: Iterable[str], heads: Iterable[str], resumed: bool = False
) -> PretrainConfig:
    """`config` with chains that keep and ignore those attributes, and with heads for those (each text may hold several,
    with commas); what was changed in the chains is said.

    A `resumed` run has its chains already: what nothing in them changes any more is no mistake.
    Raises ConfigError with every mistake that `mirclr.augment.attributes.shaped` finds, and on an attribute with a head
    that is kept or ignored.
    """
    kept, ignored, headed = _words(keep), _words(ignore), _words(heads)
    contradictions = _contradictions(kept, ignored, headed or config.views.heads)
    if contradictions:
        raise ConfigError("--heads", contradictions)
    if headed:
        views = validate(ViewsConfig, {**config.views.model_dump(), "heads": headed}, "--heads")
        config = config.model_copy(update={"views": views})
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


def _contradictions(kept: Collection[str], ignored: Collection[str], heads: Collection[str]) -> list[str]:
    """What is wanted of an attribute beside a head that a head rules out, a line each."""
    forgone = "the effects are removed that its head would learn from"
    forgotten = "its head would make the embedding remember what it is to forget"
    return [
        *(f"{word} cannot be kept and have a head: {forgone}" for word in heads if word in kept),
        *(f"{word} cannot be ignored and have a head: {forgotten}" for word in heads if word in ignored),
    ]


def _words(given: Iterable[str]) -> list[str]:
    """`["tempo,key", "order"]` to `["tempo", "key", "order"]`."""
    return [word.strip() for text in given for word in text.split(",") if word.strip()]
