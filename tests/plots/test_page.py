"""report.html: one file, every text escaped, nothing fetched, nothing run; further tables with their pictures."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.evaluation.card import Report
from mirclr.evaluation.page import cell_text, sections_of
from mirclr.evaluation.published import published
from mirclr.evaluation.sections import Section
from mirclr.plots.report import draw_report
from mirclr.plots.sections import draw_section

EVIL = ("<script>alert(1)</script>", "a & b", '" onload="x', "$\\frac$ $5")
CURVE = Section(
    "label-efficiency", "Few labels", ("tracks", "run", "run low", "run high", "MFCC"),
    ((1, 0.3, 0.2, 0.4, 0.25), (10, 0.5, 0.4, 0.6, None), (100, 0.7, 0.65, 0.75, 0.5)), ("five draws",), "curve",
)  # fmt: skip
BARS = Section("robustness", "Changed", ("change", "run", "why"), (("none", 0.6, "x"), ("noise", 0.4, "y")), (), "bars")


class Tags(HTMLParser):
    """The tags of a page, their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    bad = pd.DataFrame([{"path": "/m/<b>o\udce4.mp3", "reason": "undecodable", "detail": "<i>"}])
    about = replace(report.about, cautions=("partial collection: <3 files",))
    hard = replace(report, collection="gtzan", vocabulary=EVIL, about=about, quarantine=bad, sections=(CURVE, BARS))
    paths = draw_report(hard, folder)
    assert [p.name for p in paths[-3:]] == ["label-efficiency.png", "robustness.png", "report.html"]
    return paths[-1].read_text("utf-8")


def test_names_and_labels_are_text_and_nothing_runs(page: str) -> None:
    found = Tags(page)
    names = [tag for tag, _ in found.tags]
    assert "script" not in names
    assert not [key for _, attrs in found.tags for key in attrs if key.startswith("on")]
    assert all(label in found.text for label in EVIL)
    assert "/m/<b>o\\xe4.mp3: undecodable: <i>" in found.text


def test_the_page_is_one_file_with_its_pictures_in_it(page: str) -> None:
    found = Tags(page)
    pictures = [attrs for tag, attrs in found.tags if tag == "img"]
    assert len(pictures) == 7
    for attrs in pictures:
        assert attrs["alt"]
        kind, _, data = str(attrs["src"]).partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert not [tag for tag, attrs in found.tags if tag in ("link", "iframe") or attrs.get("href")]
    assert not re.search(r"url\(|@import", page)


def test_the_page_says_rows_verdicts_caution_sources_and_cost(page: str, report: Report) -> None:
    text = Tags(page).text
    assert "These figures are no benchmark." in text
    assert "partial collection: <3 files" in text
    assert all(row.name in text for row in report.rows)
    assert all(sentence in text for sentence in report.sentences)
    assert report.about.digest in text
    assert "Published, not ours" in text
    assert all(known.source in text for known in published("gtzan"))
    assert [tag for tag, attrs in Tags(page).tags if tag == "tr" and attrs.get("class") == "strong"] == ["tr", "tr"]


def test_tables_come_in_order_and_further_ones_before_sources(report: Report) -> None:
    names = [s.name for s in sections_of(replace(report, collection="gtzan", sections=(CURVE, BARS)))]
    assert names == ["facts", "splits", "rows", "per-class", "confusion", "label-efficiency", "robustness", "published",
                     "cost"]  # fmt: skip
    assert [s.name for s in sections_of(report)] == ["facts", "splits", "rows", "per-class", "confusion", "cost"]
    for section in sections_of(report):
        assert {len(row) for row in section.rows} == {len(section.columns)}


def test_the_table_of_rows_gives_value_spread_and_interval(report: Report) -> None:
    rows = next(s for s in sections_of(report) if s.name == "rows")
    told = {row[0]: dict(zip(rows.columns, row, strict=True)) for row in rows.rows}
    m = next(r for r in report.rows if r.name == "clever").judged.measures["linear.accuracy"]
    assert told["clever"]["accuracy"] == f"{100 * m.value:.1f} % ({100 * m.low:.1f} to {100 * m.high:.1f})"
    assert " ± " in str(told["random-init (mean of 2 seeds)"]["accuracy"])
    assert "(" not in str(told["chance"]["accuracy"])


def test_published_rows_have_a_source_each_and_none_for_music_of_ones_own() -> None:
    assert published("my music") == ()
    for name in ("gtzan", "magnatagatune", "emomusic", "giantsteps-key"):
        assert published(name)
        assert all(p.source.startswith("https://") and 0 < p.value < 1 for p in published(name))


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (float("nan"), ""), (0.5, "0.500"), (7, "7"), ("a\nb", "a\\x0ab"), (12345.6, "1.235e+04")],
)
def test_cells_as_text(cell: str | float | None, text: str) -> None:
    assert cell_text(cell) == text


def test_a_curve_has_a_line_a_column_its_band_and_a_gap_where_nothing_is_known() -> None:
    figure = draw_section(CURVE)
    assert figure is not None
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["run", "MFCC"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.3, 0.5, 0.7])
    assert np.isnan(axes.lines[1].get_ydata()[1])
    assert len(axes.collections) == 1
    assert axes.get_xscale() == "log"


def test_bars_are_drawn_for_columns_of_numbers_and_a_table_alone_has_no_picture() -> None:
    figure = draw_section(BARS)
    assert figure is not None
    assert [bar.get_height() for bar in figure.axes[0].patches] == [0.6, 0.4]
    assert draw_section(replace(BARS, kind=None)) is None
    assert draw_section(replace(BARS, rows=())) is None


def test_the_page_can_be_written_over_and_stays_in_its_folder(report: Report, tmp_path: Path) -> None:
    draw_report(report, tmp_path)
    first = (tmp_path / "report.html").read_bytes()
    draw_report(report, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == first
