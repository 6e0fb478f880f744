"""The pictures of a report card, and the page that holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mirclr.datasets.tasks import spoken
from mirclr.evaluation.card import ALSO_COMPARED, Report
from mirclr.evaluation.folder import FolderReport
from mirclr.evaluation.page import trained_rows
from mirclr.evaluation.projection import FEWEST, methods, project, sampled
from mirclr.evaluation.report_files import row_confusion
from mirclr.plots.confusion import draw_confusion
from mirclr.plots.embeddings import draw_embeddings, target_tags
from mirclr.plots.figure import save_png
from mirclr.plots.page import Picture, folder_page, report_page, write_page
from mirclr.plots.rows import draw_rows
from mirclr.plots.sections import draw_section

ROWS_SAY = "every row with its interval"


def draw_report(report: Report, folder: Path, curves: Sequence[Path] = ()) -> list[Path]:
    """Write every picture of a report and the page that holds them (and `curves`, drawn before); returns their paths.

    rows.png; confusion-NAME.png (one label a track) and embeddings-NAME.png for every trained encoder; NAME.png for
    every further section that has a picture; report.html last.
    """
    keys = [key for key in (report.main, *ALSO_COMPARED) if key in report.measures]
    warned = ", NO BENCHMARK" if report.about.cautions else ""
    figure = draw_rows(report.rows, keys, f"{report.collection}: 95 % intervals over artists{warned}")
    pictures = {"rows": [Picture(save_png(figure, folder / "rows.png"), ROWS_SAY)]}
    stems = file_stems([row.name for row in trained_rows(report)])
    pictures["confusion"] = list(_confusions(report, folder, stems))
    pictures["embeddings"] = list(_embeddings(report, folder, stems))
    for section in report.sections:
        drawn = draw_section(section)
        if drawn is not None:
            path = save_png(drawn, folder / f"{section.name}.png")
            pictures[section.name] = [Picture(path, section.title)]
    pictures["curves"] = [Picture(path, "training curves") for path in curves]
    page = write_page(report_page(report, pictures), folder / "report.html")
    return [*(p.path for name, each in pictures.items() if name != "curves" for p in each), page]


def draw_folder_report(report: FolderReport, folder: Path, name: str) -> list[Path]:
    """Write rows.png and report.html of a card without labels, `name` its music; returns their paths."""
    figure = draw_rows(report.rows, list(report.rows[-1].judged.measures), f"{name}: 95 % intervals over artists")
    path = save_png(figure, folder / "rows.png")
    return [path, write_page(folder_page(report, name, [Picture(path, ROWS_SAY)]), folder / "report.html")]


def _confusions(report: Report, folder: Path, stems: Mapping[str, str]) -> Iterator[Picture]:
    for name, stem in stems.items() if report.task == "multiclass" else ():
        title = f"{name} on {report.collection}, linear probe, artist-disjoint"
        figure = draw_confusion(row_confusion(report, name), report.vocabulary, title)
        yield Picture(save_png(figure, folder / f"confusion-{stem}.png"), f"confusion matrix of {name}")


def _embeddings(report: Report, folder: Path, stems: Mapping[str, str]) -> Iterator[Picture]:
    """The vectors of every trained row in the plane; none where there are too few tracks to see anything."""
    tags = target_tags(spoken(report.problem.task, report.problem.targets), report.vocabulary)
    for row in trained_rows(report):
        if row.vectors is None or len(row.vectors) < FEWEST:
            continue
        chosen = sampled(len(row.vectors), report.seed)
        maps = {method: project(row.vectors[chosen], method, report.seed) for method in methods()}
        figure = draw_embeddings(maps, {name: values[chosen] for name, values in tags.items()}, row.name)
        yield Picture(save_png(figure, folder / f"embeddings-{stems[row.name]}.png"), f"vectors of {row.name}")


def file_stems(names: Sequence[str]) -> dict[str, str]:
    """A file name of plain letters for every row name, numbered where two would be the same."""
    out: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "encoder"
        tries = (stem, *(f"{stem}-{n}" for n in range(2, len(names) + 2)))
        out[name] = next(t for t in tries if t.casefold() not in {s.casefold() for s in out.values()})
    return out
