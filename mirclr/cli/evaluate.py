"""`mirclr evaluate`: the report card of one or more encoders on a labelled collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import allow_leak_option, datasets_option, task_option
from mirclr.cli.folder_card import judge_folder, refuse_label_options
from mirclr.errors import UsageError

if TYPE_CHECKING:
    from mirclr.evaluation.card import Report, Row

# The names of mirclr.evaluation.protocols.PROTOCOLS, which needs torch (a test holds them to it), and fine-tuning.
PROTOCOLS = ("linear", "knn", "fewshot", "jukemir", "marble", "hear", "finetune")
FURTHER = ("vectors", "protocols", "label_efficiency", "robustness", "finetune_steps")


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

    What was embedded and answered is kept in the cache: the same command goes on where it was interrupted.

    DATASET is a name in datasets.yaml, a folder per label, or a csv. Exit codes: 0 done, 1 error, 2 usage, 3 done but
    files were left out of every row (listed).
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
        face.show_table([card_row(report, row) for row in report.rows], card_columns(report), report.collection)
        _show_sections(report)
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
    work = evaluate_runs(collection, encoders, vectors=vectors, exams=exams, random_seeds=random_seeds, seed=seed)
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
    keys += [key for key in report.measures if key.endswith(report.main.removeprefix("linear")) and key not in keys]
    keys += ["retrieval.artist_r1", "retrieval.artist_map", "retrieval.label_p10"]
    named = {key: SPOKEN[key.partition(".")[2]][0] for key in dict.fromkeys(keys) if key in report.measures}
    return ["row", *(_column(key, text) for key, text in named.items())]


def _column(key: str, spoken: str) -> str:
    """The heading of a measure: the linear probe goes without saying, retrieval has no probe."""
    probe = key.partition(".")[0]
    return spoken if probe in ("linear", "retrieval") else f"{spoken} ({'kNN' if probe == 'knn' else probe})"


def card_row(report: Report, row: Row) -> dict[str, str]:
    """One row as text: `66.0 % ± 1.2 (60.1 to 71.8)`; ± is the deviation over seeds, the rest the interval."""
    from mirclr.evaluation.verdict import SPOKEN, spread_text, value_text

    out = {"row": row.name}
    for key, m in row.judged.measures.items():
        column = _column(key, SPOKEN[key.partition(".")[2]][0])
        spread = f" ± {spread_text(key, row.spread[key])}" if key in row.spread else ""
        wide = key in (report.main, "retrieval.artist_r1") and row.kind != "chance"
        ends = f" ({spread_text(key, m.low)} to {spread_text(key, m.high)})" if wide else ""
        out[column] = f"{value_text(key, m.value)}{spread}{ends}"
    return out


def _show_sections(report: Report) -> None:
    """Every further table, shares to three digits; intervals and settings are in the files."""
    for section in report.sections:
        if section.kind is None:
            continue
        shown = [c for c in section.columns if not c.endswith((" low", " high"))]
        rows = [dict(zip(section.columns, row, strict=True)) for row in section.rows]
        cells = [{c: f"{v:.3f}" if isinstance(v := row[c], float) else v for c in shown} for row in rows]
        click.echo()
        face.show_table(cells, shown, section.title)


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
