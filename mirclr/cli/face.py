"""What every command shares: errors become exit codes, work becomes progress bars, results become tables or JSON.

stdout is data, stderr is talk. Exit codes: 0 done, 1 error, 2 usage, 3 partly done with a list, 130 interrupted.
"""

from __future__ import annotations

import functools
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from mirclr.errors import MirclrError
from mirclr.reports import Progress as Report
from mirclr.reports import Work, finish
from mirclr.units import printable

Result = TypeVar("Result")
PARTLY_DONE = 3
SECONDS_BETWEEN_LINES = 30.0

talk = Console(stderr=True, highlight=False)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")


def say(text: str) -> None:
    """One line of talk on stderr, never cut and never read as markup."""
    talk.print(escape(text), soft_wrap=True)


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Wraps a command body: its return value is the exit code, a MirclrError becomes its message and code."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        # Third-party deprecation chatter is for developers; pytest still sees it.
        warnings.simplefilter("ignore", category=FutureWarning)
        try:
            code = function(*args, **kwargs)
        except MirclrError as error:
            talk.print("error:", escape(str(error)), style="bold red", soft_wrap=True)
            code = error.exit_code
        except KeyboardInterrupt:
            say("interrupted")
            code = 130
        sys.exit(code or 0)

    return wrapped


def show_work(work: Work[Result]) -> Result:
    """Run `work` and return its result; progress on stderr: a bar per stage, or a line now and then where none fits."""
    if not talk.is_terminal:
        return finish(work, _Lines())
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=talk) as bars:
        rows: dict[str, TaskID] = {}

        def draw(report: Report) -> None:
            if report.stage not in rows:
                rows[report.stage] = bars.add_task(report.stage, total=report.total, note="")
            bars.update(rows[report.stage], completed=report.done, total=report.total, note=printable(report.note))

        return finish(work, draw)


class _Lines:
    """Progress for a log file: a line when a stage begins, when it ends, and every half minute between."""

    def __init__(self) -> None:
        self.stage, self.said = "", 0.0

    def __call__(self, report: Report) -> None:
        now, new = time.monotonic(), report.stage != self.stage
        if new or report.done == report.total or now - self.said >= SECONDS_BETWEEN_LINES:
            total = f" of {report.total}" if report.total is not None else ""
            say(f"{report.stage}: {report.done}{total} {printable(report.note)}".rstrip())
            self.stage, self.said = report.stage, now


def show_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str | None = None) -> None:
    """A table on stdout: aligned for a terminal, tab-separated when piped, so that `cut` and `awk` work."""
    cells = [[printable(str("" if row.get(c) is None else row[c])) for c in columns] for row in rows]
    if not sys.stdout.isatty():
        click.echo("\t".join(columns))
        for row in cells:
            click.echo("\t".join(row))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*(escape(c) for c in row))
    Console().print(table)


def show_json(data: Any) -> None:
    """`data` as JSON on stdout; a path with undecodable bytes is written with \\xNN escapes."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode())


def list_quarantine(rows: Sequence[Mapping[Any, Any]]) -> int:
    """Say every quarantined file with its reason code; the exit code for it: 0 for none, else 3 (partly done)."""
    for row in rows:
        say(f"quarantined: {row['reason']}: {printable(str(row['path']))}: {printable(str(row['detail']))}")
    if rows:
        say(f"{len(rows)} file(s) were left out, listed above; the rest was done (exit code {PARTLY_DONE})")
    return PARTLY_DONE if rows else 0
