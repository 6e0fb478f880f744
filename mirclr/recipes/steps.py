"""Every kind of step: the commands as functions a recipe can call. A new kind is one function and one line in `STEPS`.

An argument is an option of the step, its default the option's default. What is loaded for the work (torch, librosa) is
imported inside the function, so that listing and reading recipes stays instant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from mirclr.config import BudgetConfig, PretrainConfig, read_yaml, validate
from mirclr.errors import ConfigError, UsageError
from mirclr.recipes.step import Grows, Mark, Named, Outcome, Reads, ReadsAll, StepFunction, Writes, one_or_more
from mirclr.reports import Work
from mirclr.training.finetune_config import FinetuneConfig, PlanConfig, data_settings, plan_data

if TYPE_CHECKING:
    import pandas as pd

    from mirclr.evaluation.card import Report, Row

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_more)]
OneOrNone = Annotated[
    tuple[str, ...],
    BeforeValidator(one_or_more),
    Field(max_length=1),
    Mark(reads=True, may_be_a_name=True),
]


def _buildable(config: PretrainConfig) -> PretrainConfig:
    """Asks the rooms whether every part can be built, before anything is decoded."""
    from mirclr.training.check import check_config

    try:
        check_config(config, "config")
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from error
    return config


def _tunable(config: FinetuneConfig) -> FinetuneConfig:
    """The same of the parts that do not depend on the encoder's files."""
    _buildable(data_settings(config, plan_data(config.plan or PlanConfig())))
    return config


Settings = Annotated[PretrainConfig, AfterValidator(_buildable)]
TuneSettings = Annotated[FinetuneConfig, AfterValidator(_tunable)]


def _listed(*tables: pd.DataFrame | list[dict[str, Any]]) -> tuple[dict[str, str], ...]:
    """Quarantine tables as plain rows."""
    rows = [row for table in tables for row in (table if isinstance(table, list) else table.to_dict("records"))]
    return tuple({name: str(row[name]) for name in ("path", "reason", "detail")} for row in rows)


def synth(
    output: Writes, *, artists: Count = 12, tracks: Count = 6, seconds: Seconds = 30.0, seed: int = 0
) -> Work[Outcome]:
    """Music by the procedural band: `artists` bands with `tracks` each of `seconds`, and labels.csv beside them."""
    from mirclr.audio.synth_catalogue import make_collection

    table = yield from make_collection(output, artists=artists, tracks=tracks, seconds=seconds, seed=seed, format="ogg")
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
                   quarantine=_listed(found.quarantine, done.quarantine))  # fmt: skip


def finetune(
    dataset: Named,
    encoder: Reads,
    output: Writes,
    *,
    label: str | None = None,
    folds: Annotated[int, Field(ge=2, le=50)] | None = None,
    allow: Texts = (),
    config: TuneSettings = FinetuneConfig(),  # noqa: B008
) -> Work[Outcome]:
    """`mirclr finetune DATASET --encoder ENCODER -o OUTPUT`, with `--resume` when it was cut short."""
    from mirclr.evaluation.held_out_scores import score_held_out
    from mirclr.training.finetune import finetune as tune
    from mirclr.training.labelled import load_for_split

    collection = load_for_split(dataset, config.split, label=label, folds=folds, allow=allow)
    settings = config.model_copy(update={"encoder": encoder})
    done = yield from tune(collection, settings, output, resume=output.exists())
    p = done.predictions
    scores = score_held_out(p.task, p.truth, p.scores, p.groups)
    scores.write(output / "test.json")
    made = {"encoder": str(done.encoder), "head": str(done.head), "predictions": str(output / "predictions.csv")}
    said = f"{done.steps} steps, the weights of step {done.best_step}"
    return Outcome(made, scores.card(), (said, *done.notes), _listed(done.quarantine))


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
    return Outcome(made, tuple(done.table(most=3)), done.sentences, _listed(left_out))


def pretrain_tuned(
    folder: Reads, settings: Reads, output: Writes, minutes: Annotated[float, Field(gt=0)] | None = None
) -> Work[Outcome]:
    """`mirclr pretrain FOLDER -o OUTPUT --config SETTINGS [--minutes M]`: settings that an earlier step found."""
    config = validate(PretrainConfig, read_yaml(settings), str(settings))
    if minutes is not None:
        config = config.model_copy(update={"budget": BudgetConfig(minutes=minutes)})
    return (yield from pretrain(folder, output, config))


def embed(folder: Reads, encoder: Reads, output: Writes) -> Work[Outcome]:
    """`mirclr embed FOLDER --encoder ENCODER -o OUTPUT`."""
    from mirclr.audio.scan import scan
    from mirclr.features.embed import embed_tracks
    from mirclr.features.encoder_file import load_encoder
    from mirclr.features.vector_file import check_suffix, write_vectors

    check_suffix(output)
    extractor = load_encoder(encoder)
    found = yield from scan(folder)
    done = yield from embed_tracks(extractor, found.tracks)
    write_vectors(output, list(done.tracks["path"]), done.vectors)
    return Outcome({"vectors": str(output)}, quarantine=_listed(found.quarantine, done.quarantine))


def index(folder: Grows, encoder: Reads, store: Writes, prune: bool = False) -> Work[Outcome]:
    """`mirclr index FOLDER --encoder ENCODER --store STORE`."""
    from mirclr.features.encoder_file import load_encoder
    from mirclr.library.index import index_folder
    from mirclr.library.store import Library

    extractor = load_encoder(encoder)
    with Library.open_or_create(store, extractor, encoder) as library:
        done = yield from index_folder(library, folder, extractor, prune=prune)
    said = ", ".join(f"{count} {name}" for name, count in done.counts.items())
    return Outcome({"store": str(store)}, says=(f"library: {said}",), quarantine=_listed(done.quarantine))


def playlist(
    store: Reads,
    output: Writes,
    *,
    seeds: Texts = (),
    length: Count = 20,
    per_artist: Count | None = None,
    include_seeds: bool = True,
    order: Literal["journey", "ranked"] = "journey",
    absolute: bool = False,
) -> Work[Outcome]:
    """`mirclr playlist SEEDS --store STORE -o OUTPUT`. Without seeds it starts from the first track of the library."""
    from mirclr.library.playlist import Rules, make_playlist
    from mirclr.library.playlist_file import format_of, write_playlist
    from mirclr.library.resolve import resolve
    from mirclr.library.search import Catalogue
    from mirclr.library.store import Library

    format_of(output)
    yield from ()  # it takes no time that would be worth a bar
    with Library.open(store) as library:
        catalogue = Catalogue.load(library)
    started = [resolve(catalogue, seed, _not_outside) for seed in seeds or (str(catalogue.track(0)["path"]),)]
    made = make_playlist(catalogue, started, Rules(length, per_artist, include_seeds, order))
    story = ["made by mirclr", *(f"seed: {seed.name}" for seed in started)]
    written = write_playlist(output, made.entries, absolute=absolute, story=story)
    said = f"playlist: {written.tracks} tracks that follow from {'; '.join(seed.name for seed in started)}"
    return Outcome({"playlist": str(output)}, says=(said, *made.notes), quarantine=_listed(written.quarantine))


def _not_outside(path: Path) -> tuple[Mapping[str, Any], Any]:
    raise UsageError(f"{path}: not in this library; a recipe's seeds are tracks of its own library")


def evaluate(
    dataset: Named,
    encoder: ReadsAll,
    output: Writes,
    *,
    label: str | None = None,
    split: str | None = None,
    folds: Annotated[int, Field(ge=2, le=50)] | None = None,
    seed: int = 0,
    random_seeds: Count = 3,
    allow: Texts = (),
) -> Work[Outcome]:
    """`mirclr evaluate DATASET --encoder ENCODER... -o OUTPUT`: the report card on a labelled collection."""
    from mirclr.datasets.table import load_collection
    from mirclr.evaluation.report_files import write_report
    from mirclr.evaluation.runs import evaluate_runs
    from mirclr.plots.report import draw_report

    collection = load_collection(dataset, label=label, split=split, folds=folds, seed=seed, allow=allow)
    report = yield from evaluate_runs(collection, encoder, random_seeds=random_seeds, seed=seed)
    paths = [*write_report(report, output), *draw_report(report, output)]
    made = {path.name: str(path) for path in paths if path.name in ("report.json", "rows.png")}
    left_out = _listed(report.quarantine, _missing(report.missing))
    return Outcome(made, _card(report), (*report.sentences, *report.notes), left_out)


def _missing(paths: Iterable[str]) -> list[dict[str, str]]:
    return [{"path": path, "reason": "missing", "detail": "listed, but not on disk"} for path in paths]


def evaluate_folder(folder: Reads, encoder: Reads, output: Writes, seed: int = 0) -> Work[Outcome]:
    """`mirclr evaluate FOLDER --unlabelled --encoder ENCODER -o OUTPUT`: same-track and same-artist retrieval."""
    from mirclr.audio.scan import scan
    from mirclr.evaluation.folder import evaluate_folder as judge
    from mirclr.evaluation.folder import write_folder_report
    from mirclr.features.encoder_file import load_encoder

    found = yield from scan(folder)
    report = yield from judge(found.tracks, load_encoder(encoder), seed=seed)
    made = {path.name: str(path) for path in write_folder_report(report, output)[-1:]}
    notes = tuple(note for row in report.rows for note in row.notes)
    left_out = _listed(found.quarantine, report.quarantine)
    return Outcome(made, tuple(report.card()), (*report.sentences, *notes), left_out)


def _card(report: Report) -> tuple[dict[str, str], ...]:
    """Rows of a report for a terminal: the main measure and the retrieval ones, each as `value (low to high)`."""
    from mirclr.evaluation.card import ALSO_COMPARED
    from mirclr.evaluation.verdict import SPOKEN, spread_text, value_text

    def cell(row: Row, key: str) -> str:
        m = row.judged.measures[key]
        known = math.isfinite(m.low)  # chance is exact: it has no interval
        return value_text(key, m.value) + (
            f" ({spread_text(key, m.low)} to {spread_text(key, m.high)})" if known else ""
        )

    shown = {key: SPOKEN[key.partition(".")[2]][0] for key in (report.main, *ALSO_COMPARED) if key in report.measures}
    return tuple({"row": row.name, **{text: cell(row, key) for key, text in shown.items()}} for row in report.rows)


STEPS: dict[str, StepFunction] = {
    "synth": synth,
    "pretrain": pretrain,
    "finetune": finetune,
    "tune": tune,
    "pretrain-tuned": pretrain_tuned,
    "embed": embed,
    "evaluate": evaluate,
    "evaluate-folder": evaluate_folder,
    "index": index,
    "playlist": playlist,
}
