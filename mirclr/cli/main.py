"""`mirclr`: commands are found by name and imported only when called, so `--help` stays instant."""

from __future__ import annotations

import importlib
from typing import Any

import click

from mirclr import __version__
from mirclr.memory import ask_for_huge_pages

# name: (module:object, one line for --help). The line is repeated here so that help imports no room.
COMMANDS: dict[str, tuple[str, str]] = {
    "pretrain": ("mirclr.cli.pretrain:pretrain", "Train an encoder on a folder of music."),
    "tune": ("mirclr.cli.tune:tune", "Search the settings that suit a folder of music."),
    "finetune": ("mirclr.cli.finetune:finetune", "Train an encoder and a head on a labelled collection."),
    "train-head": ("mirclr.cli.train_head:train_head", "Train a head for tags on frozen embeddings, calibrated."),
    "adabn": ("mirclr.cli.adabn:adabn", "Fit an encoder's statistics to a folder of other music."),
    "align": ("mirclr.cli.align:align", "Learn a space in which text finds music."),
    "embed": ("mirclr.cli.embed:embed", "Write one vector per track of a folder."),
    "annotate": ("mirclr.cli.annotate:annotate", "Write beats, onsets, notes and sections of music as tables."),
    "export": ("mirclr.cli.export:export", "Hand encoders, tags and playlists to other programs."),
    "index": ("mirclr.cli.library:index", "Bring a library store up to date with a folder."),
    "similar": ("mirclr.cli.similar:similar", "Find the tracks most like tracks, moments, artists or words."),
    "search": ("mirclr.cli.search:search", "Find the tracks that a text says most of."),
    "tag": ("mirclr.cli.tag:tag", "Tag a library by heads, as a table or in the files themselves."),
    "library": ("mirclr.cli.upkeep:library", "Look after a library store; find duplicates."),
    "map": ("mirclr.cli.map:map_library", "Write a library as one page: see it, search it, hear it."),
    "serve": ("mirclr.cli.serve:serve", "Open a library as a small web app on this machine."),
    "playlist": ("mirclr.cli.playlist:playlist", "Make, extend, order, convert and judge playlists; radio."),
    "adapt": ("mirclr.cli.adapt:adapt", "Learn your taste from playlists you like."),
    "evaluate": ("mirclr.cli.evaluate:evaluate", "Judge an encoder on a labelled collection."),
    "compare": ("mirclr.cli.compare:compare", "Compare two reports of `evaluate`, paired over artists."),
    "invariance": ("mirclr.cli.invariance:invariance", "Measure what moves a track among its neighbours, and how far."),
    "plot": ("mirclr.cli.plot:plot", "Draw embeddings, coloured by any tag."),
    "recipe": ("mirclr.cli.recipe:recipe", "List, show, check and run recipes."),
    "augment": ("mirclr.cli.augment:augment", "List the augmentations; hear and see what they do."),
    "data": ("mirclr.cli.data:data", "Look at folders and labelled collections."),
    "doctor": ("mirclr.cli.doctor:doctor", "Say what this machine has and what is missing."),
}


class _Lazy(click.Group):
    """A group whose commands are imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from mirclr.config import nearest

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}.{nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__)
def main() -> None:
    """A folder of music in; an encoder trained on it, an honest report card and a playlist out."""
    ask_for_huge_pages()
