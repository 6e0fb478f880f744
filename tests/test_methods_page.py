"""The page on methods says what the tables hold: every row, every option and default, every source."""

from __future__ import annotations

import pytest

from mirclr.losses.alignment import alignment_rows
from mirclr.losses.table import loss_rows
from mirclr.models.table import model_rows
from tests.support.house import ROOT

PARTS = [*model_rows(), *alignment_rows()]
PAGE = (ROOT / "docs" / "methods.md").read_text("utf-8").splitlines()


def line(row: dict[str, str], columns: tuple[str, ...]) -> str:
    cells = [f"`{row[c]}`" if c == "name" else row[c].replace("|", "\\|") for c in columns]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("row", loss_rows(), ids=lambda row: row["name"])
def test_every_objective_is_described_as_it_is(row: dict[str, str]) -> None:
    assert line(row, ("name", "what", "wants", "options", "source")) in PAGE


@pytest.mark.parametrize("row", PARTS, ids=lambda row: f"{row['kind']} {row['name']}")
def test_every_frontend_encoder_head_and_alignment_is_described_as_it_is(row: dict[str, str]) -> None:
    assert line(row, ("kind", "name", "what", "options", "source")) in PAGE


def test_nothing_is_described_that_does_not_exist() -> None:
    kinds = tuple(f"| {kind} | `" for kind in {row["kind"] for row in PARTS})
    rows = [text for text in PAGE if text.startswith(("| `", *kinds))]
    assert len(rows) == len(loss_rows()) + len(PARTS)
