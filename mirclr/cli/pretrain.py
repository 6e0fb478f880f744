"""`mirclr pretrain`: a folder of music to a run folder with an encoder in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mirclr.cli import face
from mirclr.cli.attributes import attribute_options, with_attributes
from mirclr.cli.settings import given_budget, pretrain_settings
from mirclr.config import PretrainConfig, merged


def _told(
    start: Path | None, key_map: Path | None, allow_partial: bool, labels: str | None, split: str | None,
    teacher: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Where the weights come from and what is told, as sections of the configuration."""
    beginning = {"source": start, "key_map": key_map, "allow_partial": allow_partial or None}
    told = {"dataset": labels, "split": split, "teacher": teacher}
    sections: dict[str, dict[str, Any]] = {"start": beginning, "labels": told}
    filled = {name: {k: v for k, v in part.items() if v is not None} for name, part in sections.items()}
    return {name: part for name, part in filled.items() if part}


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "run", required=True, type=click.Path(path_type=Path), help="The run folder to write.")
@click.option("--minutes", type=float, help="Wall-clock budget of training; decoding comes before it. Default 10.")
@click.option("--steps", type=int, help="Number of optimiser steps, in place of --minutes; repeats bit for bit on CPU.")
@click.option("--seed", type=int, help="Seed of weights, crops and augmentations. Default 0.")
@click.option("--max-seconds", type=float, help="Keep at most so much of a track, as even excerpts. Default 120.")
@click.option("--from", "start", type=click.Path(path_type=Path), help="Begin with these weights, not at random.")
@click.option("--key-map", type=click.Path(path_type=Path), help="YAML `theirs: ours`, for weights of another origin.")
@click.option("--allow-partial", is_flag=True, help="Take the weights that fit; the rest is listed.")
@click.option("--labels", help="A labelled collection of files in FOLDER, for supervised objectives (supcon, ...).")
@click.option("--split", help="Of which only the training part of this split is told.")
@click.option("--teacher", help="An encoder, a table of vectors or of tags, 'handcrafted' or 'mfcc' (distill, ...).")
@attribute_options
@click.option("--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="YAML or JSON file.")
@click.option("--set", "sets", multiple=True, metavar="a.b=c", help="Change one setting; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@face.json_option
@face.command
def pretrain(
    folders: tuple[Path, ...],
    run: Path,
    minutes: float | None,
    steps: int | None,
    seed: int | None,
    max_seconds: float | None,
    config: Path | None,
    sets: tuple[str, ...],
    resume: bool,
    as_json: bool,
    keep: tuple[str, ...],
    ignore: tuple[str, ...],
    heads: tuple[str, ...],
    **more: Any,
) -> int:
    """Train an encoder on the music in FOLDER and export it to RUN/encoder.

    Without labels by default. With --labels or --teacher the objective becomes gen_supcon or distill, unless --set
    loss.name or a configuration names another that learns from them.

    Exit codes: 0 done, 1 error, 2 usage, 3 done but files were left out (listed), 130 interrupted after saving.
    """
    given = given_budget(minutes, steps)
    given |= {} if seed is None else {"seed": seed}
    given |= {} if max_seconds is None else {"audio": {"max_seconds": max_seconds}}
    given = merged(given, _told(**more))
    settings = pretrain_settings(config, sets, given, run if resume else None)
    settings = with_attributes(settings, keep, ignore, heads, resumed=resume and config is None)
    return _pretrain(list(folders), run, settings, resume, as_json)


def _pretrain(folders: list[Path], run: Path, settings: PretrainConfig, resume: bool, as_json: bool) -> int:
    import pandas as pd

    from mirclr.audio.scan import scan
    from mirclr.training.check import check_config
    from mirclr.training.pretrain import pretrain as train

    check_config(settings, "pretrain")
    found = face.show_work(scan(folders, clip_seconds=settings.views.seconds))
    done = face.show_work(train(found.tracks, settings, run, resume))
    for line in (*done.transferred, f"encoder: {done.encoder}", f"curves: {run / 'metrics.jsonl'}", done.outlook):
        face.say(line)
    result = {"run": str(run), "encoder": str(done.encoder), "steps": done.steps, "report": done.report}
    if as_json:
        face.show_json({**result, "outlook": done.outlook})
    else:
        face.show_table([result], ["encoder", "steps"])
    bad = pd.concat([found.quarantine, done.quarantine])
    return face.list_quarantine(bad.to_dict("records"))
