"""`mirclr evaluate FOLDER --unlabelled`: the report card of music that has no labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirclr.cli import face
from mirclr.errors import UsageError


def judge_folder(music: Path, encoder: Path, output: Path, *, seed: int, random_seeds: int, as_json: bool) -> int:
    """Judge one encoder on the folder `music`, show the card and write it to `output`; the exit code."""
    import pandas as pd

    from mirclr.audio.scan import scan
    from mirclr.evaluation.folder import evaluate_folder, write_folder_report
    from mirclr.features.encoder_file import load_encoder
    from mirclr.plots.report import draw_folder_report

    extractor = load_encoder(encoder)
    found = face.show_work(scan(music))
    report = face.show_work(evaluate_folder(found.tracks, extractor, random_seeds=random_seeds, seed=seed))
    paths = [*write_folder_report(report, output), *draw_folder_report(report, output, music.resolve().name)]
    if as_json:
        face.show_json({**report.to_json(), "files": [str(path) for path in paths]})
    else:
        card = report.card()
        face.show_table(card, list(card[0]), music.name)
    for line in (*report.sentences, *(f"note: {note}" for row in report.rows for note in row.notes)):
        face.say(line)
    face.say(f"report: {paths[-1]} (report.json and tables beside it)")
    bad = pd.concat([found.quarantine, report.quarantine])
    return face.list_quarantine([{str(k): v for k, v in row.items()} for row in bad.to_dict("records")])


def refuse_label_options(encoders: tuple[Path, ...], how: Mapping[str, Any]) -> None:
    """Raises UsageError when an option that needs labels, or a second encoder, was given."""
    called = {"registry": "datasets", "allow": "allow-leak", "protocols": "protocol"}
    given = [f"--{called.get(name, name).replace('_', '-')}" for name in how if how[name]]
    if given:
        raise UsageError(f"--unlabelled: a folder without labels has no use for {', '.join(given)}")
    if len(encoders) > 1:
        raise UsageError("--unlabelled judges one encoder at a time")
