"""`mirclr compare`: is the encoder of one report better than that of another?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mirclr.cli import face


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--row-a", metavar="ROW", help="The row of A that is meant. Default: its trained one, or their mean.")
@click.option("--row-b", metavar="ROW", help="The row of B that is meant.")
@face.json_option
@face.command
def compare(a: Path, b: Path, row_a: str | None, row_b: str | None, as_json: bool) -> None:
    """Compare reports A and B, folders that `mirclr evaluate -o` wrote: A minus B, paired over artists.

    Both must have been judged on the same collection, split, tracks and seed; else it says what differs (exit code 2).
    """
    from mirclr.evaluation.compare import Side, compare_reports
    from mirclr.evaluation.stored import read_draws
    from mirclr.evaluation.verdict import SPOKEN, spread_text, value_text

    made = compare_reports(Side(str(a), read_draws(a), row_a), Side(str(b), read_draws(b), row_b))
    if as_json:
        face.show_json([asdict(c) for c in made])
    else:
        rows = [
            {
                "measure": f"{SPOKEN[c.measure.partition('.')[2]][0]} ({c.measure.partition('.')[0]})",
                "A": value_text(c.measure, c.our_value),
                "B": value_text(c.measure, c.rival_value),
                "A - B": spread_text(c.measure, c.difference),
                "low": spread_text(c.measure, c.low),
                "high": spread_text(c.measure, c.high),
                "p": f"{c.p:.3f}",
                "A is": c.outcome,
            }
            for c in made
        ]
        face.show_table(rows, list(rows[0]), f"{made[0].ours} against {made[0].rival}")
    face.say(made[0].sentence)
