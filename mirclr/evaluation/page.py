"""The report card as tables, in the order a reader wants them; the terminal and report.html print the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mirclr.evaluation.about import versions
from mirclr.evaluation.bootstrap import LEVEL
from mirclr.evaluation.card import Report, Row
from mirclr.evaluation.folder import FolderReport
from mirclr.evaluation.published import published
from mirclr.evaluation.report_files import row_classes, row_confusion
from mirclr.evaluation.sections import Cell, Section
from mirclr.evaluation.verdict import SPOKEN, spread_text, value_text
from mirclr.units import printable, time_text

# The measures people compare; every other one is in the files.
SHOWN = (
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
RETRIEVAL = ("retrieval.artist_r1", "retrieval.artist_map", "retrieval.label_p10")
WITH_INTERVAL = "retrieval.artist_r1"  # beside the main measure; a table of intervals alone is read by nobody
LEGIBLE = 16  # up to this many labels a confusion matrix is a table people read


def sections_of(report: Report) -> tuple[Section, ...]:
    """Facts, splits, rows, scores per label, confusion, further sections, published rows, and what each row costs."""
    out = [facts(report), splits(report), rows(report), per_label(report)]
    if report.task == "multiclass" and len(report.vocabulary) <= LEGIBLE:
        out.append(confusion(report))
    known = published_rows(report)
    return (*out, *report.sections, *([known] if known.rows else []), costs(report))


def folder_sections(report: FolderReport) -> tuple[Section, ...]:
    """The same of a card without labels: facts and rows."""
    told = {
        "task": "no labels: does one half of a track find the other, does an artist find its own",
        "tracks": f"{report.tracks} by {report.artists} artists",
        "intervals": _intervals(report.draws, report.seed),
        "left out": f"{len(report.quarantine)} unreadable files",
        "versions": _versions(versions()),
    }
    card = report.card()
    rows = tuple(tuple(record.values()) for record in card)
    notes = ("in brackets the 95 % interval over artists",)
    return (
        Section("facts", "On what", ("what", "is"), tuple(told.items())),
        Section("rows", "Every row", tuple(card[0]), rows, notes),
    )


def _intervals(draws: int, seed: int) -> str:
    return f"{100 * LEVEL:.0f} % over artists drawn with replacement, {draws} draws, seed {seed}"


def _versions(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def cell_text(cell: Cell) -> str:
    """A cell as people read it: text on one line, whole numbers whole, others to three digits, nothing for None."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float):
        return f"{cell:.3f}" if abs(cell) < 1000 else f"{cell:.4g}"
    return printable(str(cell))


def trained_rows(report: Report) -> list[Row]:
    """The rows of single trained encoders, in order."""
    return [row for row in report.rows if row.kind == "trained" and row.judged.predictions is not None]


def facts(report: Report) -> Section:
    """On what was judged and how."""
    about, problem = report.about, report.problem
    folds = len(problem.splits)
    overlap = f"{about.overlap} artists" + ("" if about.overlap else ": whole artists are trained on or tested on")
    spoken = SPOKEN[report.main.partition(".")[2]][0]
    told = {
        "collection": report.collection,
        **{f"caution {i}" if i else "caution": text for i, text in enumerate(about.cautions)},
        "task": f"{report.problem.task}, {len(report.vocabulary)} labels",
        "tracks": f"{len(report.tracks)} by {len(np.unique(problem.groups))} artists",
        "split": f"{about.split}{f', {folds} folds' if folds > 1 else ''} (hash {about.digest})",
        "in training and test": overlap,
        "main measure": f"{spoken} of a linear probe",
        "intervals": _intervals(report.draws, report.seed),
        "licence": about.licence,
        "source": about.citation,
        "left out": f"{len(report.missing)} missing, {len(report.quarantine)} unreadable files",
        "took": time_text(about.seconds),
        "versions": _versions(about.versions),
    }
    return Section("facts", report.collection, ("what", "is"), tuple((k, v) for k, v in told.items() if v))


def splits(report: Report) -> Section:
    """How many tracks and artists each part of each split has."""
    cells: list[tuple[Cell, ...]] = []
    for split in report.problem.splits:
        parts = [getattr(split, part) for part in ("train", "valid", "test")]
        artists = [len(np.unique(report.problem.groups[part])) for part in parts]
        told = [f"{len(part)} ({count})" for part, count in zip(parts, artists, strict=True)]
        cells.append((split.name, *told))
    return Section("splits", "Tracks (artists) of each split", ("split", "train", "valid", "test"), tuple(cells))


def rows(report: Report) -> Section:
    """Every row: `66.0 % ± 1.2 (60.1 to 71.8)`; ± is the deviation over seeds, the rest the interval over artists."""
    by_protocol = [key for key in report.measures if key.endswith(report.main.removeprefix("linear"))]
    keys = [report.main, *(f"linear.{name}" for name in SHOWN), report.main.replace("linear", "knn"), *RETRIEVAL]
    kept = [key for key in dict.fromkeys([*keys, *by_protocol]) if key in report.measures]
    names = [_heading(key) for key in kept]
    cells = tuple((row.name, *(_measured(report, row, key) for key in kept)) for row in report.rows)
    notes = ("± is the deviation over seeds, in brackets the 95 % interval over artists",)
    return Section("rows", "Every row", ("row", *names), cells, notes)


def _heading(key: str) -> str:
    """The heading of a measure: the linear probe goes without saying, retrieval has no probe."""
    probe, _, metric = key.partition(".")
    spoken = SPOKEN[metric][0]
    return spoken if probe in ("linear", "retrieval") else f"{spoken} ({'kNN' if probe == 'knn' else probe})"


def _measured(report: Report, row: Row, key: str) -> str:
    m = row.judged.measures.get(key)
    if m is None:
        return ""
    spread = f" ± {spread_text(key, row.spread[key])}" if key in row.spread else ""
    wide = key in (report.main, WITH_INTERVAL) and row.kind != "chance"
    ends = f" ({spread_text(key, m.low)} to {spread_text(key, m.high)})" if wide else ""
    return f"{value_text(key, m.value)}{spread}{ends}"


def per_label(report: Report) -> Section:
    """Scores of every label: all of them for one trained encoder, the main one of each for several."""
    shown = trained_rows(report)
    tables = {row.name: row_classes(report, row.name) for row in shown}
    if len(shown) == 1:
        columns = dict(tables[shown[0].name])
    else:
        first = {name: next(iter(table)) for name, table in tables.items()}
        main = {name: "f1" if "f1" in table else first[name] for name, table in tables.items()}
        columns = {f"{main[name]} of {name}": table[main[name]] for name, table in tables.items()}
    cells: list[tuple[Cell, ...]] = []
    for k, label in enumerate(report.vocabulary):
        cells.append((label, *(_number(column[k]) for column in columns.values())))
    names = ", ".join(printable(row.name) for row in shown)
    return Section("per-class", f"Per label, linear probe on {names}", ("label", *columns), tuple(cells))


def _number(value: np.generic) -> Cell:
    return int(value) if np.issubdtype(type(value), np.integer) else float(value)


def confusion(report: Report) -> Section:
    """Whom the first trained encoder takes for whom."""
    row = trained_rows(report)[0]
    counts = row_confusion(report, row.name)
    cells = tuple((label, *counts[k].tolist()) for k, label in enumerate(report.vocabulary))
    title = f"Who is taken for whom, linear probe on {printable(row.name)}"
    return Section("confusion", title, ("true \\ predicted", *report.vocabulary), cells)


def published_rows(report: Report) -> Section:
    """What others published on this collection."""
    cells = tuple(
        (p.model, _spoken(p.measure) + (f", {p.of}" if p.of else ""), p.value, p.protocol, p.source)
        for p in published(report.collection)
    )
    notes = ("published by others, not measured here; their protocols differ from this one and from each other",)
    columns = ("published", "measure", "value", "protocol", "source")
    return Section("published", "Published, not ours", columns, cells, notes)


def _spoken(measure: str) -> str:
    return SPOKEN[measure][0] if measure in SPOKEN else measure.replace("_", " ")


def costs(report: Report) -> Section:
    """What every row costs: numbers in it, numbers in a vector, and time."""
    cells = tuple(
        (row.name, row.parameters, row.dim, _factor(report.about.speeds.get(row.name)))
        for row in report.rows
        if row.dim is not None
    )
    notes = (
        "real-time factor: seconds of work of one thread for a second of sound, without decoding, median over tracks; "
        "none where all vectors were there already",
    )
    return Section("cost", "Cost", ("row", "parameters", "dimensions", "real-time factor"), cells, notes)


def _factor(speed: float | None) -> str | None:
    return None if speed is None else f"{1 / speed:.5f} ({speed:.0f} times real time)"
