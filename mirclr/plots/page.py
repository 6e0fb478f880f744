"""report.html: the report card as one file with its pictures in it, for any browser, a telephone and paper.

No script and no address outside the file. Names and labels come from other people's files: Jinja escapes all of them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mirclr.evaluation.card import Report
from mirclr.evaluation.folder import FolderReport
from mirclr.evaluation.page import cell_text, folder_sections, sections_of
from mirclr.evaluation.sections import Section
from mirclr.files import write_atomic
from mirclr.units import printable

TEMPLATE = "report.html.j2"
NONE: frozenset[int] = frozenset()
NUMBER = re.compile(r"[-+±]?\d")
BROAD = 1200  # pixels; 8 inches
MOST_FILES = 50  # a page lists so many files that were left out; report.json has all


@dataclass(frozen=True)
class Picture:
    """A PNG that was written, and what it shows for who cannot see it."""

    path: Path
    says: str

    @property
    def data(self) -> str:
        """The picture as an address that holds it."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode("ascii")

    @property
    def is_broad(self) -> bool:
        """Too broad to be read when it is shrunk to a telephone's width: it is scrolled there."""
        return int.from_bytes(self.path.read_bytes()[16:20]) > BROAD  # the width, in the header of every PNG


@dataclass(frozen=True)
class Block:
    """A heading with a table, pictures and notes; `numeric[k]`: column k is set like numbers; `strong`: rows that are
    the trained encoders'."""

    name: str
    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    numeric: tuple[bool, ...] = ()
    strong: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Page:
    """What report.html says, in order; every text is ready to be shown."""

    title: str
    cautions: tuple[str, ...]
    verdicts: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def write_page(page: Page, path: Path) -> Path:
    """Write `page` as one HTML file."""
    rooms = FileSystemLoader(Path(__file__).parent)
    jinja = Environment(loader=rooms, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    write_atomic(path, jinja.get_template(TEMPLATE).render(page=page))
    return path


def report_page(report: Report, pictures: Mapping[str, Sequence[Picture]]) -> Page:
    """The page of a report; `pictures` by the name of the section they belong to, or `embeddings` and `curves`."""
    trained = frozenset(i for i, row in enumerate(report.rows) if row.kind == "trained")
    blocks = [
        block_of(section, pictures.get(section.name, ()), trained if section.name == "rows" else NONE)
        for section in sections_of(report)
    ]
    extra = {"embeddings": "Embeddings", "curves": "Training", "confusion": "Who is taken for whom"}
    there = {block.name for block in blocks}
    alone = [
        Block(name, title, pictures=tuple(pictures[name]))
        for name, title in extra.items()
        if name not in there and pictures.get(name)
    ]
    notes = [f"{row.name}: {note}" for row in report.rows if row.seeds == 1 for note in row.notes]
    return Page(
        title=printable(report.collection),
        cautions=_shown(report.about.cautions),
        verdicts=_shown(report.sentences),
        blocks=(*blocks[:-1], *alone, blocks[-1]),
        notes=_shown((*report.notes, *notes)),
        left_out=left_out(report.quarantine.to_dict("records"), report.missing),
    )


def folder_page(report: FolderReport, name: str, pictures: Sequence[Picture]) -> Page:
    """The page of a card without labels, `name` its music."""
    trained = frozenset(i for i, row in enumerate(report.rows) if row.kind == "trained")
    return Page(
        title=printable(name),
        cautions=(),
        verdicts=_shown(report.sentences),
        blocks=tuple(
            block_of(section, pictures if section.name == "rows" else (), trained if section.name == "rows" else NONE)
            for section in folder_sections(report)
        ),
        notes=_shown([f"{row.name}: {note}" for row in report.rows for note in row.notes]),
        left_out=left_out(report.quarantine.to_dict("records")),
    )


def block_of(section: Section, pictures: Sequence[Picture] = (), strong: frozenset[int] = NONE) -> Block:
    """A section as a block of the page."""
    shown = [[cell_text(cell) for cell in cells] for cells in section.rows]
    columns = tuple(map(printable, section.columns))
    numeric = tuple(_numeric([row[k] for row in shown]) if k else False for k in range(len(columns)))
    rows = tuple(tuple(_unbroken(cell) if numeric[k] else cell for k, cell in enumerate(row)) for row in shown)
    title, notes = printable(section.title), _shown(section.notes)
    return Block(section.name, title, columns, rows, numeric, strong, notes, tuple(pictures))


def _numeric(cells: Sequence[str]) -> bool:
    return all(not cell or NUMBER.match(cell) for cell in cells)


def _unbroken(cell: str) -> str:
    """A number with its unit and spread on one line; its interval may stand under it."""
    return cell.replace(" ", "\N{NO-BREAK SPACE}").replace("\N{NO-BREAK SPACE}(", " (")


def left_out(quarantine: Sequence[Mapping[object, object]], missing: Sequence[str] = ()) -> tuple[str, ...]:
    """A line for each of the first files that no row was judged on."""
    bad = [f"{row['path']}: {row['reason']}: {row['detail']}" for row in quarantine]
    lines = [*bad, *(f"{name}: listed, not on disk" for name in missing)]
    more = [f"... {len(lines)} in all"] if len(lines) > MOST_FILES else []
    return _shown([*lines[:MOST_FILES], *more])


def _shown(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(printable, lines))
