"""`mirclr doctor`: one line for each thing this machine has or lacks, with the remedy."""

from __future__ import annotations

from dataclasses import asdict

import click

from mirclr.cli.face import PARTLY_DONE, command, json_option, say, show_json, show_table, show_work


@click.command()
@json_option
@command
def doctor(as_json: bool) -> int:
    """Say what this machine has and what is missing.

    Exit code 0: everything works. 3: something that mirclr needs is missing; its remedy is on its line.
    """
    from mirclr.doctor import examine

    found = [asdict(finding) for finding in show_work(examine())]
    if as_json:
        show_json(found)
    else:
        show_table(found, ("name", "state", "value", "remedy"))
    missing = [finding["name"] for finding in found if finding["state"] == "missing"]
    say(f"missing: {', '.join(missing)}" if missing else "everything that mirclr needs is here")
    return PARTLY_DONE if missing else 0
