"""`mirclr finetune`: labels and an encoder to a head, a better encoder and its score on the test part."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import allow_leak_option, datasets_option, task_option
from mirclr.cli.settings import given_budget, resolved
from mirclr.training.finetune_config import FinetuneConfig

if TYPE_CHECKING:
    from mirclr.evaluation.held_out_scores import HeldOutScores
    from mirclr.training.finetune import Finetuned


@click.command()
@click.argument("dataset")
@click.option("-o", "--output", "run", required=True, type=click.Path(path_type=Path), help="The run folder to write.")
@click.option("--encoder", type=click.Path(path_type=Path), help="A run folder, its encoder/, or a safetensors file.")
@click.option("--from-scratch", is_flag=True, help="Build an untrained encoder (--set plan.encoder.width=48 ...).")
@click.option("--key-map", type=click.Path(path_type=Path), help="YAML `theirs: ours`, for weights moved into a plan.")
@click.option("--allow-partial", is_flag=True, help="Take the weights that fit a plan; the rest is listed.")
@click.option("--mode", type=click.Choice(["head", "full", "lora"]), help="What trains. Default full.")
@click.option("--target", type=click.Path(path_type=Path), help="Music without labels to align embeddings with.")
@click.option("--adapt", metavar="coral|mmd", help="How to align with --target. Needs it.")
@click.option("--split", help="A split by name, or a rule for its first. Default: the first there is.")
@click.option("--label", help="Another label column of a table.")
@task_option
@click.option("--folds", type=click.IntRange(2, 50), help="How many seeded folds. Default: as declared, else 5.")
@click.option("--minutes", type=float, help="Wall-clock budget of training; decoding comes before it. Default 5.")
@click.option("--steps", type=int, help="Number of optimiser steps, in place of --minutes; repeats bit for bit on CPU.")
@click.option("--seed", type=int, help="Seed of head, crops and effects; never of the folds. Default 0.")
@click.option("--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="YAML or JSON file.")
@click.option("--set", "sets", multiple=True, metavar="a.b=c", help="Change one setting; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@datasets_option
@allow_leak_option
@face.json_option
@face.command
def finetune(
    dataset: str,
    run: Path,
    from_scratch: bool,
    adapt: str | None,
    minutes: float | None,
    steps: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    resume: bool,
    as_json: bool,
    label: str | None,
    task: str | None,
    folds: int | None,
    registry: Path | None,
    allow: tuple[str, ...],
    **options: Any,
) -> int:
    """Train a head, or the whole encoder, on the labels of DATASET and score the test part of one split, once.

    DATASET is a name in datasets.yaml, a folder per label, or a csv. Exit codes: 0 done, 1 error, 2 usage, 3 done but
    files were left out (listed), 130 interrupted after saving.
    """
    from mirclr.training.labelled import load_for_split

    given = given_budget(minutes, steps)
    given |= {"plan": {}} if from_scratch else {}
    given |= {name: value for name, value in options.items() if value not in (None, False)}
    # Kept in config.json: the same file from wherever the run is resumed.
    given |= {name: given[name].absolute() for name in ("encoder", "key_map", "target") if name in given}
    settings = resolved(FinetuneConfig, config, sets, given, run if resume else None, partial(_aligned, adapt))
    reading = {"label": label, "task": task, "folds": folds, "registry": registry, "allow": allow}
    return _finetune(load_for_split(dataset, settings.split, **reading), run, settings, resume, as_json)


def _aligned(name: str | None, data: dict[str, Any]) -> dict[str, Any]:
    """`data` with the alignment `name`, and the options that were given with it or for it."""
    if name is None:
        return data
    told = data.get("adapt") or {}
    return {**data, "adapt": {**(told if told.get("name", name) == name else {}), "name": name}}


def _finetune(collection: Any, run: Path, settings: FinetuneConfig, resume: bool, as_json: bool) -> int:
    from mirclr.evaluation.held_out_scores import score_held_out
    from mirclr.training.finetune import finetune as tune

    done = face.show_work(tune(collection, settings, run, resume))
    p = done.predictions
    scores = score_held_out(p.task, p.truth, p.scores, p.groups, values=p.values)
    scores.write(run / "test.json")
    _tell(run, done)
    if as_json:
        face.show_json(_result(run, done, scores))
    else:
        face.show_table(scores.card(), ["measure", "value", "95 % interval", "chance"], f"{collection.name} {p.split}")
    return face.list_quarantine(done.quarantine.to_dict("records"))


def _tell(run: Path, done: Finetuned) -> None:
    if done.transferred is not None and done.transferred.partial:
        for line in done.transferred.lines():
            face.say(f"transfer: {line}")
    for note in done.notes:
        face.say(f"note: {note}")
    face.say(f"encoder: {done.encoder}, head: {done.head}, of step {done.best_step} of {done.steps}")
    face.say(f"test part: {run / 'predictions.csv'}, {run / 'test.json'}")


def _result(run: Path, done: Finetuned, scores: HeldOutScores) -> dict[str, Any]:
    return {
        "run": str(run),
        "encoder": str(done.encoder),
        "head": str(done.head),
        "steps": done.steps,
        "best_step": done.best_step,
        "split": done.predictions.split,
        "report": done.report,
        "test": scores.to_json(),
        "transfer": done.transferred.to_json() if done.transferred else None,
    }
