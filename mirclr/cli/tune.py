"""`mirclr tune`: a folder of music to the settings that suit it, or only to a learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mirclr.cli import face
from mirclr.cli.collections import allow_leak_option, datasets_option
from mirclr.cli.settings import pretrain_settings
from mirclr.config import PretrainConfig, read_yaml
from mirclr.errors import UsageError


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="The folder to write.")
@click.option("--find-rate", is_flag=True, help="Only the learning-rate range test: a minute, and one number.")
@click.option("--minutes", type=float, help="Wall-clock budget of everything, over all sessions. Default 60.")
@click.option("--trials", type=int, help="Stop after so many trials; with --minutes, whichever comes first.")
@click.option("--trial-minutes", type=float, help="Training time of each trial. Default 2.")
@click.option("--trial-steps", type=int, help="Optimiser steps of each trial, in its place; repeats exactly on CPU.")
@click.option("--space", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="YAML file: what varies.")
@click.option("--labels", metavar="DATASET", help="Judge trials by a linear probe on this labelled collection.")
@click.option("--confirm", type=int, help="Seeds on which the winner is compared with the default. Default 1.")
@click.option("--seed", type=int, help="Seed of the search and of its trials. Default 0.")
@click.option("--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="YAML or JSON file.")
@click.option("--set", "sets", multiple=True, metavar="a.b=c", help="Change one setting of every trial; repeatable.")
@datasets_option
@allow_leak_option
@face.json_option
@face.command
def tune(
    folders: tuple[Path, ...],
    output: Path | None,
    find_rate: bool,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    as_json: bool,
    registry: Path | None,
    allow: tuple[str, ...],
    **search: Any,
) -> int:
    """Search the settings that suit the music in FOLDER; write OUTPUT/best.json for `pretrain --config`.

    The same command goes on with a search that was stopped. Exit codes: 0 done, 1 error, 2 usage, 3 done but files were
    left out (listed), 130 interrupted with all finished trials kept.
    """
    settings = pretrain_settings(config, sets, {} if seed is None else {"seed": seed})
    given = {name: value for name, value in search.items() if value is not None}
    if find_rate:
        if given:
            raise UsageError(f"--find-rate takes no --{next(iter(given)).replace('_', '-')}: it searches nothing else")
        return _find_rate(list(folders), output, settings, as_json)
    if output is None:
        raise UsageError("give -o, the folder that keeps the search and its result")
    return _tune(list(folders), output, settings, given, {"registry": registry, "allow": allow}, as_json)


def _find_rate(folders: list[Path], output: Path | None, settings: PretrainConfig, as_json: bool) -> int:
    from mirclr.audio.scan import scan
    from mirclr.training.lr_finder import find_rate

    found = face.show_work(scan(folders, clip_seconds=settings.views.seconds))
    curve = face.show_work(find_rate(found.tracks, settings))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        curve.write(output / "rates.csv")
        face.say(f"curve: {output / 'rates.csv'}")
    face.say(f"the loss fell fastest at {curve.suggestion:.2g} and was lowest at {curve.lowest:.2g}: rates between the "
             "two are worth a trial, --set optim.learning_rate=...")  # fmt: skip
    rates = {"learning_rate": curve.suggestion, "lowest_loss_at": curve.lowest}
    result = {**{name: float(f"{rate:.3g}") for name, rate in rates.items()}, "steps": len(curve.rates)}
    if as_json:
        face.show_json(result)
    else:
        face.show_table([result], list(result))
    return face.list_quarantine(found.quarantine.to_dict("records"))


def _tune(
    folders: list[Path],
    output: Path,
    settings: PretrainConfig,
    given: dict[str, Any],
    reading: dict[str, Any],
    as_json: bool,
) -> int:
    from mirclr.datasets.table import load_collection
    from mirclr.recipes.tuning import tune_folder
    from mirclr.training.tune import TuneBudget

    file, dataset = given.pop("space", None), given.pop("labels", None)
    budget = TuneBudget(**given)
    space = (read_yaml(file) or {}) if file else None  # an empty file is a mistake, not the default space
    labels = load_collection(dataset, **reading) if dataset else None
    work = tune_folder(folders, output, settings, budget, space=space, labels=labels, source=str(file))
    done, left_out = face.show_work(work)
    if as_json:
        face.show_json(done.to_json())
    else:
        face.show_table(done.table(), ["run", "score", *done.values], done.objective)
    for line in (*done.sentences, f"settings: {done.settings} (mirclr pretrain --config)"):
        face.say(line)
    return face.list_quarantine(left_out.to_dict("records"))
