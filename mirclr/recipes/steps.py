"""Every kind of step: the commands as functions a recipe can call. A new kind is one function and one line in `STEPS`.

An argument is an option of the step, its default the option's default. What is loaded for the work (torch, librosa) is
imported inside the function, so that listing and reading recipes stays instant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mirclr.datasets.tasks import Task
from mirclr.errors import UsageError
from mirclr.recipes.options import Count, Texts, listed
from mirclr.recipes.step import Grows, Named, Outcome, Reads, ReadsAll, StepFunction, Writes
from mirclr.recipes.steps_text import align, search
from mirclr.recipes.steps_training import ablation, adabn, finetune, pretrain, pretrain_tuned, synth, tune
from mirclr.reports import Work

if TYPE_CHECKING:
    from mirclr.evaluation.card import Report, Row


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
    return Outcome({"vectors": str(output)}, quarantine=listed(found.quarantine, done.quarantine))


def index(folder: Grows, encoder: Reads, store: Writes, prune: bool = False) -> Work[Outcome]:
    """`mirclr index FOLDER --encoder ENCODER --store STORE`."""
    from mirclr.features.encoder_file import load_encoder
    from mirclr.library.index import index_folder
    from mirclr.library.store import Library

    extractor = load_encoder(encoder)
    with Library.open_or_create(store, extractor, encoder) as library:
        done = yield from index_folder(library, folder, extractor, prune=prune)
    said = ", ".join(f"{count} {name}" for name, count in done.counts.items())
    return Outcome({"store": str(store)}, says=(f"library: {said}",), quarantine=listed(done.quarantine))


def playlist(
    store: Reads,
    output: Writes,
    *,
    seeds: Texts = (),
    length: Count = 20,
    per_artist: Count | None = None,
    include_seeds: bool = True,
    order: Literal["smooth", "ranked"] = "smooth",
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
    return Outcome({"playlist": str(output)}, says=(said, *made.notes), quarantine=listed(written.quarantine))


def _not_outside(path: Path) -> tuple[Mapping[str, Any], Any, int | None]:
    raise UsageError(f"{path}: not in this library; a recipe's seeds are tracks of its own library")


def evaluate(
    dataset: Named,
    encoder: ReadsAll,
    output: Writes,
    *,
    label: str | None = None,
    task: Task | None = None,
    split: str | None = None,
    folds: Annotated[int, Field(ge=2, le=50)] | None = None,
    seed: int = 0,
    random_seeds: Count = 3,
    allow: Texts = (),
    allow_partial: bool = False,
) -> Work[Outcome]:
    """`mirclr evaluate DATASET --encoder ENCODER... -o OUTPUT`: the report card on a labelled collection."""
    from mirclr.datasets.table import load_collection
    from mirclr.evaluation.report_files import write_report
    from mirclr.evaluation.runs import evaluate_runs
    from mirclr.plots.report import draw_report

    collection = load_collection(
        dataset,
        label=label,
        task=task,
        split=split,
        folds=folds,
        seed=seed,
        allow=allow,
        allow_partial=allow_partial,
    )
    report = yield from evaluate_runs(collection, encoder, random_seeds=random_seeds, seed=seed)
    paths = [*write_report(report, output), *draw_report(report, output)]
    made = {path.name: str(path) for path in paths if path.name in ("report.json", "report.html", "rows.png")}
    left_out = listed(report.quarantine, _missing(report.missing))
    says = (*(f"NO BENCHMARK: {caution}" for caution in report.about.cautions), *report.sentences, *report.notes)
    return Outcome(made, _card(report), says, left_out)


def _missing(paths: Iterable[str]) -> list[dict[str, str]]:
    return [{"path": path, "reason": "missing", "detail": "listed, but not on disk"} for path in paths]


def evaluate_folder(folder: Reads, encoder: Reads, output: Writes, seed: int = 0) -> Work[Outcome]:
    """`mirclr evaluate FOLDER --unlabelled --encoder ENCODER -o OUTPUT`: same-track and same-artist retrieval."""
    from mirclr.audio.scan import scan
    from mirclr.evaluation.folder import evaluate_folder as judge
    from mirclr.evaluation.folder import write_folder_report
    from mirclr.features.encoder_file import load_encoder
    from mirclr.plots.report import draw_folder_report

    found = yield from scan(folder)
    report = yield from judge(found.tracks, load_encoder(encoder), seed=seed)
    paths = [*write_folder_report(report, output), *draw_folder_report(report, output, folder.resolve().name)]
    made = {path.name: str(path) for path in paths if path.name in ("report.json", "report.html")}
    notes = tuple(note for row in report.rows for note in row.notes)
    left_out = listed(found.quarantine, report.quarantine)
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
    "adabn": adabn,
    "tune": tune,
    "ablation": ablation,
    "pretrain-tuned": pretrain_tuned,
    "embed": embed,
    "evaluate": evaluate,
    "evaluate-folder": evaluate_folder,
    "index": index,
    "playlist": playlist,
    "align": align,
    "search": search,
}
