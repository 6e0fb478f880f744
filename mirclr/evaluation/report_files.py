"""A report on disk: report.json with everything, and tables for a spreadsheet or a notebook.

| file | one row is |
|---|---|
| report.csv | a measure of a row, with its interval and its spreads over folds and seeds |
| per_class.csv | a label (or target) of a row, linear probe |
| confusion.csv | a pair (true, predicted) of a row, linear probe (multiclass only) |
| predictions.csv | a track (and label or target) predicted by a row's linear probe |
| NAME.csv | a row of the section NAME: a protocol, label efficiency, robustness |
| draws.npz | not a table: the values of all rows in every draw of artists, for `mirclr compare` |

Where a score is no benchmark (a leak, a partial collection) every table has a column `caution` that says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirclr.datasets.tasks import spoken
from mirclr.evaluation.card import Report, Row
from mirclr.evaluation.metrics import class_scores, confusion_matrix, correlated, explained
from mirclr.evaluation.ranking import ranking_areas
from mirclr.evaluation.stored import DRAWS_FILE, Stored, StoredRow, write_draws
from mirclr.files import write_atomic

Record = dict[str, Any]


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write the files above to `folder` (made if missing) and return their paths, report.json last.

    Files of an earlier report are replaced; since report.json comes last it never describes tables not yet written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Callable[[Report], Iterator[Record]]] = {
        "report.csv": measure_records,
        "per_class.csv": class_records,
        "predictions.csv": prediction_records,
    }
    if report.task == "multiclass":
        tables["confusion.csv"] = confusion_records
    caution = {"caution": "; ".join(report.about.cautions)} if report.about.cautions else {}
    for name, records in tables.items():
        write_atomic(folder / name, pd.DataFrame(records(report)).assign(**caution).to_csv(index=False))
    for section in report.sections:
        table = pd.DataFrame(list(section.rows), columns=list(section.columns)).assign(**caution)
        write_atomic(folder / f"{section.name}.csv", table.to_csv(index=False))
    write_draws(_stored(report), folder / DRAWS_FILE)
    names = [*tables, *(f"{section.name}.csv" for section in report.sections), DRAWS_FILE, "report.json"]
    write_atomic(folder / "report.json", json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n")
    return [folder / name for name in names]


def _stored(report: Report) -> Stored:
    """What `mirclr compare` needs of a report."""
    terms = {
        "collection": report.collection,
        "task": report.problem.task,
        "labels": ", ".join(report.vocabulary),
        "split": report.about.split,
        "parts of the split": report.about.digest,
        "seed": str(report.seed),
        "draws": str(report.draws),
    }
    rows = {row.name: StoredRow(row.kind, row.seeds, row.judged) for row in report.rows if row.judged.draws}
    ids = report.tracks["id"].tolist()
    return Stored(terms, report.main, ids, report.problem.groups, report.problem.targets, rows)


def measure_records(report: Report) -> Iterator[Record]:
    """Rows of report.csv. `folds_*` are over the values of single folds, `seeds_std` over a family's seeds."""
    for row in report.rows:
        for key, m in row.judged.measures.items():
            probe, _, metric = key.partition(".")
            folds = np.array(m.folds, float)
            known = folds[~np.isnan(folds)]
            yield {
                "collection": report.collection,
                "extractor": row.name,
                "kind": row.kind,
                "probe": probe,
                "metric": metric,
                "value": m.value,
                "low": m.low,
                "high": m.high,
                "folds_mean": known.mean() if known.size else np.nan,
                "folds_std": known.std(ddof=1) if known.size > 1 else np.nan,
                "seeds": row.seeds,
                "seeds_std": row.spread.get(key, np.nan),
            }


def _linear(report: Report) -> Iterator[tuple[Row, np.ndarray, np.ndarray]]:
    """Every row that predicted, with truth and linear scores of the tested tracks."""
    tested, _ = report.problem.tested()
    for row in report.rows:
        if row.judged.predictions is not None:
            yield row, report.problem.targets[tested], row.judged.predictions.scores["linear"]


def row_confusion(report: Report, name: str) -> np.ndarray:
    """`(K, K)` counts of the row called `name`: true class down, predicted class across (multiclass only)."""
    truth, scores = next((t, s) for row, t, s in _linear(report) if row.name == name)
    return confusion_matrix(truth, scores.argmax(axis=1), len(report.vocabulary))


def row_classes(report: Report, name: str) -> dict[str, np.ndarray]:
    """Columns `(K,)` of per_class.csv for the row called `name`."""
    truth, scores = next((t, s) for row, t, s in _linear(report) if row.name == name)
    table = {"multiclass": _class_table, "multilabel": _label_table, "regression": _target_table}[report.task]
    return table(truth, scores)


def confusion_records(report: Report) -> Iterator[Record]:
    """Rows of confusion.csv: every pair of labels, zeros too."""
    for row, _, _ in _linear(report):
        counts = row_confusion(report, row.name)
        for i, true in enumerate(report.vocabulary):
            for j, predicted in enumerate(report.vocabulary):
                yield {"extractor": row.name, "true": true, "predicted": predicted, "count": int(counts[i, j])}


def class_records(report: Report) -> Iterator[Record]:
    """Rows of per_class.csv: precision, recall, F1, support (multiclass); areas and support (multilabel); R², MAE."""
    for row, _, _ in _linear(report):
        columns = row_classes(report, row.name)
        for k, label in enumerate(report.vocabulary):
            yield {"extractor": row.name, "label": label, **{name: c[k] for name, c in columns.items()}}


def _class_table(truth: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    confusion = confusion_matrix(truth, scores.argmax(axis=1), scores.shape[1])
    support = confusion.sum(axis=1)
    return {**class_scores(confusion.diagonal(), support, confusion.sum(axis=0)), "support": support}


def _label_table(truth: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    weights = np.ones((len(truth), 1))
    wanted = truth > 0.5
    areas = np.array([ranking_areas(wanted[:, k], scores[:, k], weights) for k in range(scores.shape[1])])[:, :, 0]
    return {"roc_auc": areas[:, 0], "pr_auc": areas[:, 1], "support": wanted.sum(axis=0)}


def _target_table(truth: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    error = scores - truth
    every = np.ones((1, len(truth)))
    r2, r = explained(truth, scores, every)[0], correlated(truth, scores, every)[0]
    return {"r2": r2, "r": r, "mae": np.abs(error).mean(axis=0), "rmse": np.sqrt((error**2).mean(axis=0))}


def prediction_records(report: Report) -> Iterator[Record]:
    """Rows of predictions.csv. Multiclass: the answer and its probability; else one row per label or target."""
    tested, folds = report.problem.tested()
    paths = report.tracks["path"].to_numpy()[tested]
    names = np.array([split.name for split in report.problem.splits])[folds]
    for row, truth, scores in _linear(report):
        for i, (path, fold) in enumerate(zip(paths, names, strict=True)):
            place = {"extractor": row.name, "path": path, "split": fold}
            if report.task == "multiclass":
                yield {**place, **_answer(report.vocabulary, truth[i], scores[i])}
            else:
                told = spoken(report.problem.task, truth[i]), spoken(report.problem.task, scores[i])
                pairs = zip(report.vocabulary, *told, strict=True)
                yield from ({**place, "label": k, "true": t, "predicted": s} for k, t, s in pairs)


def _answer(vocabulary: tuple[str, ...], truth: int, scores: np.ndarray) -> Record:
    best = int(scores.argmax())
    return {"true": vocabulary[truth], "predicted": vocabulary[best], "probability": scores[best]}
