"""Help with the options of a command in named sections, and groups whose usual command need not be named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click


class _Option(click.Option):
    """An option that stands in a section of the help."""

    def __init__(self, *args: Any, section: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


def section(name: str) -> Callable[..., Any]:
    """`click.option` for one section of the help."""
    return partial(click.option, cls=_Option, section=name)


class Grouped(click.Command):
    """A command whose help shows its options by section; those without one come last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                shown.setdefault(getattr(param, "section", "Answer"), []).append(record)
        shown["Answer"] = shown.pop("Answer", [])
        for name, records in shown.items():
            with formatter.section(name):
                formatter.write_dl(records)


class Usual(click.Group):
    """A group that takes its `usual` command for meant when the first word names none."""

    usual: str

    def __init__(self, *args: Any, usual: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.usual = usual

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.usual, *args]
        return super().parse_args(ctx, args)
