"""`mirclr evaluate`: the report card of one or more encoders on a labelled collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import allow_leak_option, datasets_option, task_option
from mirclr.cli.folder_card import judge_folder, refuse_label_options
from mirclr.cli.report_page import show_card
from mirclr.errors import UsageError

if TYPE_CHECKING:
    from mirclr.evaluation.card import Report

# The names of mirclr.evaluation.protocols.PROTOCOLS, which needs torch (a test holds them to it), and fine-tuning.
PROTOCOLS = ("linear", "knn", "fewshot", "jukemir", "marble", "hear", "finetune")
FURTHER = ("vectors", "previous", "protocols", "label_efficiency", "robustness", "finetune_steps")


@click.command()
@click.argument("dataset")
@click.option(
    "--encoder",
    "encoders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A run folder, its encoder/ or a checkpoint; repeat it for several seeds or several encoders.",
)
@click.option(
    "--vectors",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Anybody's vectors as .npz, .csv or .parquet (path or id, then numbers): one more row. Repeatable.",
)
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(PROTOCOLS),
    help="Ask by a protocol of the field too (linear and knn are always asked). Repeatable.",
)
@click.option(
    "--finetune-steps",
    type=click.IntRange(1),
    help="Steps of every fit of --protocol finetune. Default: five minutes, as mirclr finetune.",
)
@click.option("--label-efficiency", is_flag=True, help="Also with 1, 5, 10 and 20 tracks of every label, 20 draws.")
@click.option("--robustness", is_flag=True, help="Also on test tracks with noise, other level, MP3, no treble, ...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for report.json, tables and figures. Default: evaluation/DATASET in the first run folder.",
)
@click.option("--label", help="Another label column of a table.")
@task_option
@click.option("--split", help="A split by name, or the column to split a table of your own by.")
@click.option("--folds", type=click.IntRange(2, 50), help="How many seeded folds. Default: as declared, else 5.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Folds, bootstrap, untrained twins.")
@click.option("--random-seeds", type=click.IntRange(1), default=3, show_default=True, help="Untrained twins.")
@click.option("--unlabelled", is_flag=True, help="DATASET is a folder of music: same-track and same-artist retrieval.")
@click.option("--previous", type=click.Path(path_type=Path), help="An earlier encoder, as a rival: is this one better?")
@datasets_option
@allow_leak_option
@click.option(
    "--allow-partial", is_flag=True, help="Judge a collection of which files are missing; every output says so."
)
@face.json_option
@face.command
def evaluate(
    dataset: str,
    encoders: tuple[Path, ...],
    output: Path | None,
    *,
    seed: int,
    random_seeds: int,
    unlabelled: bool,
    as_json: bool,
    **how: Any,
) -> int:
    """Judge encoders on DATASET beside chance, handcrafted vectors and untrained twins.

    What was embedded and answered is kept in the cache: the same command goes on where it was interrupted.

    DATASET is a name in datasets.yaml, a folder per label, or a csv. The whole card goes to stdout, and as a page to
    report.html. Exit codes: 0 done, 1 error (also: a collection that leaks or is not whole), 2 usage, 3 done but files
    were left out of every row (listed).
    """
    further = {name: how.pop(name) for name in FURTHER}
    _refuse_contradictions(encoders, unlabelled, further)
    if unlabelled:
        refuse_label_options(encoders, {**how, **further})
        music = Path(dataset)
        folder = output or default_folder(encoders[0], music.resolve().name)
        return judge_folder(music, encoders[0], folder, seed=seed, random_seeds=random_seeds, as_json=as_json)
    report, folder = _judged(dataset, encoders, output, seed, random_seeds, further, how)
    paths = _write(report, encoders, folder)
    if as_json:
        face.show_json({**report.to_json(), "files": [str(path) for path in paths]})
    else:
        show_card(report)
    _tell(report, folder)
    return face.list_quarantine(left_out(report))


def _refuse_contradictions(encoders: tuple[Path, ...], unlabelled: bool, further: Mapping[str, Any]) -> None:
    """Raises UsageError where nothing is named that can be judged as asked."""
    tuned = "finetune" in further["protocols"]
    if not encoders and (unlabelled or tuned or not further["vectors"]):
        raise UsageError("nothing to judge: name an --encoder" + ("" if unlabelled or tuned else " or --vectors"))
    if further["finetune_steps"] is not None and not tuned:
        raise UsageError("--finetune-steps is of use with --protocol finetune only")


def _judged(
    dataset: str,
    encoders: tuple[Path, ...],
    output: Path | None,
    seed: int,
    random_seeds: int,
    further: Mapping[str, Any],
    how: Mapping[str, Any],
) -> tuple[Report, Path]:
    """The report and its folder."""
    from mirclr.datasets.table import load_collection
    from mirclr.evaluation.runs import evaluate_runs, kept_exams

    collection = load_collection(dataset, seed=seed, **how)
    vectors, protocols = further["vectors"], further["protocols"]
    folder = output or default_folder((encoders or vectors)[0], collection.name)
    exams = kept_exams(
        [name for name in protocols if name != "finetune"],
        label_efficiency=further["label_efficiency"],
        robustness=further["robustness"],
        seed=seed,
    )
    work = evaluate_runs(
        collection,
        encoders,
        vectors=vectors,
        exams=exams,
        previous=further["previous"],
        random_seeds=random_seeds,
        seed=seed,
    )
    report = face.show_work(work)
    if "finetune" in protocols:
        from mirclr.config import BudgetConfig
        from mirclr.recipes.finetune_exam import with_finetuning
        from mirclr.training.finetune_config import FinetuneConfig

        config = FinetuneConfig(budget=BudgetConfig(steps=further["finetune_steps"]))
        report = face.show_work(with_finetuning(report, collection, encoders, folder / "finetune", config))
    return report, folder


def default_folder(encoder: Path, collection: str) -> Path:
    """evaluation/COLLECTION in the run folder of `encoder`, or beside an encoder without a run."""
    from mirclr.evaluation.runs import run_folder

    return (run_folder(encoder) or (encoder.parent if encoder.is_file() else encoder)) / "evaluation" / collection


def left_out(report: Report) -> list[dict[str, Any]]:
    """Every file no row was judged on: path, reason, detail."""
    missing = [{"path": p, "reason": "missing", "detail": "listed, but not on disk"} for p in report.missing]
    return [*({str(k): v for k, v in row.items()} for row in report.quarantine.to_dict("records")), *missing]


def _write(report: Report, encoders: tuple[Path, ...], folder: Path) -> list[Path]:
    """Tables, figures of the report, and the curves of every run that left its metrics."""
    from mirclr.evaluation.report_files import write_report
    from mirclr.evaluation.runs import run_folder
    from mirclr.plots.curves import draw_run
    from mirclr.plots.report import draw_report, file_stems

    runs = {run.resolve().name: run for path in encoders if (run := run_folder(path))}
    curves = [draw_run(runs[name], folder / f"curves-{stem}.png") for name, stem in file_stems(list(runs)).items()]
    drawn = [path for path in curves if path]
    return [*write_report(report, folder), *drawn, *draw_report(report, folder, drawn)]


def _tell(report: Report, folder: Path) -> None:
    """What the numbers say, what a reader must know, and where everything is."""
    for caution in report.about.cautions:
        face.say(f"NO BENCHMARK: {caution}")
    for line in report.sentences:
        face.say(line)
    for row in report.rows:
        for note in row.notes if row.seeds == 1 else ():
            face.say(f"note: {row.name}: {note}")
    for note in report.notes:
        face.say(f"note: {note}")
    face.say(f"report: {folder / 'report.html'} (report.json, tables and figures beside it)")
