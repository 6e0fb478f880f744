"""Figures: what is drawn is what was counted, and the files are PNGs made without a display."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mirclr.evaluation.card import Report
from mirclr.plots.confusion import draw_confusion
from mirclr.plots.curves import draw_curves, draw_run, smoothed
from mirclr.plots.figure import new_figure, save_png
from mirclr.plots.report import draw_report, file_stems
from mirclr.plots.rows import draw_rows
from tests.support.report_card import judge

PNG = b"\x89PNG\r\n\x1a\n"


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def journal(steps: int = 40) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for step in range(1, steps + 1):
        rows.append({"kind": "step", "step": step, "loss": 5 - step / 10, "learning_rate": 1e-3})
        if step % 10 == 0:
            told = {"clips_per_s": 90.0, "held_out_recall_at_1": step / 100, "batch_effective_rank": float(step)}
            rows.append({"kind": "epoch", "step": step, "loss": 100.0, "learning_rate": 9.0, **told})
    return rows


def test_confusion_writes_counts_and_colours_shares_of_the_true_class() -> None:
    figure = draw_confusion(np.array([[3, 1], [0, 0]]), ["a", "b"], "who")
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, [[0.75, 0.25], [0, 0]])
    assert texts(figure) == ["3", "1"]
    assert figure.axes[0].get_title() == "who"
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("predicted", "true")


def test_confusion_of_many_classes_leaves_the_numbers_out() -> None:
    assert texts(draw_confusion(np.eye(40, dtype=int), [f"c{i}" for i in range(40)], "many")) == []


def test_curves_draw_the_loss_of_steps_and_a_panel_for_what_was_reported() -> None:
    figure = draw_curves(journal(), "run")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title(loc="left") for axes in shown]
    assert titles == ["loss", "held-out tracks finding their own second crop", "effective rank", "learning rate",
                      "clips per second"]  # fmt: skip
    raw = shown[0].lines[0]
    np.testing.assert_array_equal(raw.get_xdata(), np.arange(1, 41))
    np.testing.assert_allclose(raw.get_ydata(), 5 - np.arange(1, 41) / 10)
    np.testing.assert_allclose(shown[1].lines[0].get_ydata(), [0.1, 0.2, 0.3, 0.4])
    assert shown[3].lines[0].get_ydata().max() == 1e-3  # of steps, not of reports


def test_curves_leave_a_gap_where_a_number_is_not_finite() -> None:
    rows = journal(10)
    rows[4]["loss"] = float("inf")
    drawn = draw_curves(rows, "run").axes[0].lines[0].get_ydata()
    assert np.isnan(drawn[4])
    assert np.isfinite(np.delete(drawn, 4)).all()


def test_curves_of_a_run_without_a_step_are_refused_and_left_out() -> None:
    with pytest.raises(ValueError, match=r"run: metrics\.jsonl has no loss to draw"):
        draw_curves([], "run")


def test_run_folder_to_png_and_none_without_metrics(tmp_path: Path) -> None:
    assert draw_run(tmp_path, tmp_path / "curves.png") is None
    lines = [json.dumps(row) for row in journal(3)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"kind": "step", "st']))  # torn by a kill
    assert draw_run(tmp_path, tmp_path / "curves.png") == tmp_path / "curves.png"
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


def test_smoothing_keeps_lines_straight_to_their_ends() -> None:
    line = 3 + 0.5 * np.arange(50)
    np.testing.assert_allclose(smoothed(line, 9), line)
    noise = np.where(np.arange(50) % 2, 1.0, -1.0)
    assert np.abs(smoothed(noise, 11)[5:-5]).max() < 0.1


def test_rows_figure_has_a_dot_and_an_interval_per_row(report: Report) -> None:
    figure = draw_rows(report.rows, [report.main], "rows")
    panel = figure.axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == [row.name for row in report.rows]
    main = [row.judged.measures[report.main] for row in report.rows]
    intervals, dots = panel.lines[0::2], panel.lines[1::2]
    np.testing.assert_allclose([line.get_xdata()[0] for line in dots], [m.value for m in main])
    np.testing.assert_allclose([line.get_xdata() for line in intervals], [[m.low, m.high] for m in main])
    assert panel.get_title() == "accuracy"


def test_report_figures_are_written_for_every_trained_encoder(report: Report, tmp_path: Path) -> None:
    paths = draw_report(report, tmp_path / "card")
    *pictures, page = [p.name for p in paths]
    assert page == "report.html"
    assert pictures == ["rows.png", "confusion-clever.png", "confusion-noisy.png", "embeddings-clever.png",
                        "embeddings-noisy.png"]  # fmt: skip
    assert all(p.read_bytes().startswith(PNG) for p in paths[:-1])


def test_tasks_without_a_confusion_still_have_the_rows_figure(tmp_path: Path) -> None:
    names = [p.name for p in draw_report(judge("regression"), tmp_path)]
    assert names == ["rows.png", "embeddings-clever.png", "report.html"]


def test_file_names_are_plain_distinct_and_stay_in_the_folder() -> None:
    stems = file_stems(["../../etc/passwd", "a/b", "A?b", "ünï", "..", "x" * 300])
    assert len({s.casefold() for s in stems.values()}) == len(stems)
    assert all("/" not in s and not s.startswith(".") and 0 < len(s) <= 90 for s in stems.values())


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    pages = [save_png(draw_confusion(np.eye(3, dtype=int), "abc", "t"), tmp_path / f"{i}.png") for i in range(2)]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert new_figure(2, 1).get_size_inches().tolist() == [2, 1]
