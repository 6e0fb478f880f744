"""`mirclr evaluate`: the report card of one or more encoders on a labelled collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import allow_leak_option, datasets_option, task_option
from mirclr.cli.folder_card import judge_folder, refuse_label_options

if TYPE_CHECKING:
    from mirclr.evaluation.card import Report, Row


@click.command()
@click.argument("dataset")
@click.option(
    "--encoder",
    "encoders",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A run folder, its encoder/ or a checkpoint; repeat it for several seeds or several encoders.",
)
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
@datasets_option
@allow_leak_option
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
    """Judge encoders on DATASET beside chance, MFCC statistics and untrained twins.

    DATASET is a name in datasets.yaml, a folder per label, or a csv. Exit codes: 0 done, 1 error, 2 usage, 3 done but
    files were left out of every row (listed).
    """
    from mirclr.datasets.table import load_collection
    from mirclr.evaluation.runs import evaluate_runs

    if unlabelled:
        refuse_label_options(encoders, how)
        music = Path(dataset)
        folder = output or default_folder(encoders[0], music.resolve().name)
        return judge_folder(music, encoders[0], folder, seed=seed, random_seeds=random_seeds, as_json=as_json)
    collection = load_collection(dataset, seed=seed, **how)
    report = face.show_work(evaluate_runs(collection, encoders, random_seeds=random_seeds, seed=seed))
    folder = output or default_folder(encoders[0], collection.name)
    paths = _write(report, encoders, folder)
    if as_json:
        face.show_json({**report.to_json(), "files": [str(path) for path in paths]})
    else:
        face.show_table([card_row(report, row) for row in report.rows], card_columns(report), collection.name)
    _tell(report, folder)
    return face.list_quarantine(left_out(report))


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
    return [*write_report(report, folder), *draw_report(report, folder), *(path for path in curves if path)]


def card_columns(report: Report) -> list[str]:
    """The columns on screen: the measures people compare; every other one is in the files."""
    from mirclr.evaluation.verdict import SPOKEN

    shown = (
        "accuracy",
        "acc2",
        "p_score",
        "balanced_accuracy",
        "top3_accuracy",
        "macro_f1",
        "roc_auc",
        "pr_auc",
        "mae",
    )
    linear = [f"linear.{name}" for name in shown]
    keys = [report.main, *linear, report.main.replace("linear", "knn")]
    keys += ["retrieval.artist_r1", "retrieval.artist_map", "retrieval.label_p10"]
    named = {key: SPOKEN[key.partition(".")[2]][0] for key in dict.fromkeys(keys) if key in report.measures}
    return ["row", *(f"{text} (kNN)" if key.startswith("knn") else text for key, text in named.items())]


def card_row(report: Report, row: Row) -> dict[str, str]:
    """One row as text: `66.0 % ± 1.2 (60.1 to 71.8)`; ± is the deviation over seeds, the rest the interval."""
    from mirclr.evaluation.verdict import SPOKEN, spread_text, value_text

    out = {"row": row.name}
    for key, m in row.judged.measures.items():
        probe, _, metric = key.partition(".")
        column = f"{SPOKEN[metric][0]} (kNN)" if probe == "knn" else SPOKEN[metric][0]
        spread = f" ± {spread_text(key, row.spread[key])}" if key in row.spread else ""
        wide = key in (report.main, "retrieval.artist_r1") and row.kind != "chance"
        ends = f" ({spread_text(key, m.low)} to {spread_text(key, m.high)})" if wide else ""
        out[column] = f"{value_text(key, m.value)}{spread}{ends}"
    return out


def _tell(report: Report, folder: Path) -> None:
    """What the numbers say, what a reader must know, and where everything is."""
    for line in report.sentences:
        face.say(line)
    for row in report.rows:
        for note in row.notes if row.seeds == 1 else ():
            face.say(f"note: {row.name}: {note}")
    for note in report.notes:
        face.say(f"note: {note}")
    face.say(f"report: {folder / 'report.json'} (tables and figures beside it)")
