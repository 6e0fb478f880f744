"""A report card in the terminal: the tables of report.html, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mirclr.cli import face

if TYPE_CHECKING:
    from mirclr.evaluation.card import Report
    from mirclr.evaluation.sections import Section


def show_card(report: Report) -> None:
    """Every table on stdout with a blank line between them, what a reader must know of a table as talk."""
    from mirclr.evaluation.page import sections_of

    for place, section in enumerate(sections_of(report)):
        if place:
            click.echo()
        show_section(section)


def show_section(section: Section) -> None:
    """One table, without the ends of its intervals (they are in the files and on the page), and its notes."""
    from mirclr.evaluation.page import cell_text

    rows = [dict(zip(section.columns, map(cell_text, cells), strict=True)) for cells in section.rows]
    face.show_table(rows, [name for name in section.columns if not name.endswith((" low", " high"))], section.title)
    for note in section.notes:
        face.say(f"{section.name}: {note}")
