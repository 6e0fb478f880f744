"""Steps that make an encoder: music to train on, training, fine-tuning, adapting, searching settings, ablations.

An argument is an option of the step, its default the option's default; see mirclr.recipes.steps.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any

from pydantic import Field

from mirclr.config import BudgetConfig, PretrainConfig, read_yaml, validate
from mirclr.datasets.tasks import Task
from mirclr.recipes.ablation_rows import Groups
from mirclr.recipes.options import (
    Count,
    FolderOrNone,
    OneOrNone,
    Seconds,
    Settings,
    Texts,
    TuneSettings,
    buildable,
    listed,
)
from mirclr.recipes.step import Grown, Named, Outcome, Reads, Writes
from mirclr.reports import Work
from mirclr.training.finetune_config import FinetuneConfig


def synth(
    output: Writes,
    *,
    artists: Count = 12,
    tracks: Count = 6,
    seconds: Seconds = 30.0,
    seed: int = 0,
    truth: bool = False,
) -> Work[Outcome]:
    """Music by the procedural band: `artists` bands with `tracks` each of `seconds`, and labels.csv beside them; with
    `truth` the exact beats, onsets, notes and sections of each."""
    from mirclr.audio.synth_catalogue import make_collection

    work = make_collection(
        output, artists=artists, tracks=tracks, seconds=seconds, seed=seed, truth=truth, format="ogg"
    )
    table = yield from work
    made = {"music": str(output), "labels": str(output / "labels.csv")}
    return Outcome(made, says=(f"{len(table)} tracks by {artists} bands in {table['label'].nunique()} styles",))


def pretrain(folder: Reads, output: Writes, config: Settings = PretrainConfig()) -> Work[Outcome]:  # noqa: B008
    """`mirclr pretrain FOLDER -o OUTPUT`, with `--resume` when it was cut short."""
    from mirclr.audio.scan import scan
    from mirclr.training.pretrain import pretrain as train

    found = yield from scan(folder, clip_seconds=config.views.seconds)
    done = yield from train(found.tracks, config, output, resume=output.exists())
    said = (f"{done.steps} steps. {done.outlook}",)
    return Outcome({"encoder": str(done.encoder), "curves": str(output / "metrics.jsonl")}, says=said,
                   quarantine=listed(found.quarantine, done.quarantine))  # fmt: skip


def finetune(
    dataset: Named,
    encoder: Reads,
    output: Writes,
    *,
    label: str | None = None,
    task: Task | None = None,
    folds: Annotated[int, Field(ge=2, le=50)] | None = None,
    target: FolderOrNone = (),
    allow: Texts = (),
    config: TuneSettings = FinetuneConfig(),  # noqa: B008
) -> Work[Outcome]:
    """`mirclr finetune DATASET --encoder ENCODER -o OUTPUT`, with `--resume` when it was cut short."""
    from mirclr.evaluation.held_out_scores import score_held_out
    from mirclr.training.finetune import finetune as tune
    from mirclr.training.labelled import load_for_split

    collection = load_for_split(dataset, config.split, label=label, task=task, folds=folds, allow=allow)
    settings = config.model_copy(update={"encoder": encoder, "target": target[0] if target else None})
    done = yield from tune(collection, settings, output, resume=output.exists())
    p = done.predictions
    scores = score_held_out(p.task, p.truth, p.scores, p.groups, values=p.values)
    scores.write(output / "test.json")
    made = {"encoder": str(done.encoder), "head": str(done.head), "predictions": str(output / "predictions.csv")}
    said = f"{done.steps} steps, the weights of step {done.best_step}"
    return Outcome(made, scores.card(), (said, *done.notes), listed(done.quarantine))


def adabn(
    folder: Reads,
    encoder: Reads,
    output: Writes,
    *,
    share: Annotated[float, Field(ge=0, le=1)] = 1.0,
    normalisation: bool = True,
    max_seconds: Seconds | None = 120.0,
) -> Work[Outcome]:
    """`mirclr adabn FOLDER --encoder ENCODER -o OUTPUT`: batch norm's statistics measured anew."""
    from mirclr.training.adabn import adabn as measure
    from mirclr.training.adabn_config import AdaBNConfig

    config = AdaBNConfig(encoder=encoder, share=share, normalisation=normalisation, max_seconds=max_seconds)
    done = yield from measure([folder], config, output)
    furthest = max(done.shifts, key=lambda shift: shift.moved)
    most = f"{furthest.layer} had to move most, by {furthest.moved:.2f} deviations"
    said = f"statistics of {len(done.shifts)} layers measured on {done.tracks} tracks; {most}"
    made = {"encoder": str(done.encoder), "shifts": str(output / "shifts.csv")}
    return Outcome(made, says=(said,), quarantine=listed(done.quarantine))


def tune(
    folder: Reads,
    output: Writes,
    *,
    minutes: Annotated[float, Field(gt=0)] | None = None,
    trials: Count | None = None,
    trial_minutes: Annotated[float, Field(gt=0)] | None = None,
    trial_steps: Count | None = None,
    confirm: Annotated[int, Field(ge=0)] = 1,
    space: dict[str, Any] | None = None,
    labels: OneOrNone = (),
    config: Settings = PretrainConfig(),  # noqa: B008
) -> Work[Outcome]:
    """`mirclr tune FOLDER -o OUTPUT`; `output`/best.json is what `pretrain-tuned` reads."""
    from mirclr.datasets.table import load_collection
    from mirclr.recipes.tuning import tune_folder
    from mirclr.training.tune import TuneBudget

    budget = TuneBudget(minutes, trials, trial_minutes, trial_steps, confirm)
    judged = load_collection(labels[0]) if labels else None
    done, left_out = yield from tune_folder([folder], output, config, budget, space=space, labels=judged)
    made = {"settings": str(done.settings), "trials": str(output / "trials.csv")}
    return Outcome(made, tuple(done.table(most=3)), done.sentences, listed(left_out))


def ablation(
    dataset: Named,
    output: Writes,
    *,
    rows: Annotated[Groups, Grown],
    others: Texts = (),
    seeds: Annotated[int, Field(ge=1), Grown] = 3,
    minutes: Annotated[float, Field(gt=0)] = 2.0,
    processes: Annotated[int, Field(ge=1), Grown] = 2,
    sensitive: Annotated[int, Field(ge=0)] = 40,
    config: Settings = PretrainConfig(),  # noqa: B008
) -> Work[Outcome]:
    """Every row of `rows` trained for `minutes` of processor time with `seeds` seeds, beside the default `config`."""
    from mirclr.datasets.table import load_collection
    from mirclr.recipes.ablation import Exam, ablate
    from mirclr.recipes.ablation_rows import rows_of
    from mirclr.recipes.ablation_table import write_tables

    exam = Exam(load_collection(dataset), tuple(load_collection(name) for name in others), sensitive)
    planned = rows_of(rows, config)
    for row in planned:
        buildable(row.config)
    look = functools.partial(write_tables, folder=output)
    results = yield from ablate(planned, exam, output, seeds=seeds, minutes=minutes, processes=processes, look=look)
    made = {name: str(output / name) for name in ("ablation.md", "ablation.csv")}
    return Outcome(made, tuple(write_tables(results, output)))


def pretrain_tuned(
    folder: Reads, settings: Reads, output: Writes, minutes: Annotated[float, Field(gt=0)] | None = None
) -> Work[Outcome]:
    """`mirclr pretrain FOLDER -o OUTPUT --config SETTINGS [--minutes M]`: settings that an earlier step found."""
    config = validate(PretrainConfig, read_yaml(settings), str(settings))
    if minutes is not None:
        config = config.model_copy(update={"budget": BudgetConfig(minutes=minutes)})
    return (yield from pretrain(folder, output, config))
