"""`mirclr train-head`: a labelled collection and an encoder to a head that `mirclr tag` applies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.collections import allow_leak_option, datasets_option, task_option

if TYPE_CHECKING:
    from mirclr.evaluation.train_head import TrainedHead


@click.command("train-head")
@click.argument("dataset")
@click.option("--encoder", required=True, type=click.Path(path_type=Path), help="The run of the library's encoder.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--field", help="The tag that its answers are. Default: genre; mood for numbers, tag for several labels.")
@click.option(
    "--precision",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Say nothing below the confidence at which so large a share of answers is right.",
)
@click.option(
    "--high",
    default=0.75,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of a number: the share of the collection's tracks that lie below what counts as much of it.",
)
@click.option("--label", help="Another label column of a table.")
@task_option
@click.option("--split", help="A split by name, or the column to split a table of your own by.")
@click.option("--folds", type=click.IntRange(2, 50), help="How many seeded folds. Default: as declared, else 5.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of folds and intervals.")
@datasets_option
@allow_leak_option
@face.json_option
@face.command
def train_head(
    dataset: str,
    encoder: Path,
    output: Path,
    field: str | None,
    precision: float,
    high: float,
    seed: int,
    as_json: bool,
    **reading: Any,
) -> int:
    """Fit a linear head on the frozen embeddings of DATASET, calibrate its confidences and measure them.

    DATASET is a name in datasets.yaml, a folder per label, or a csv. Every number in the table is of tracks whose
    artists the head had not met. Exit codes: 0 done, 1 error, 2 usage, 3 done but files were left out (listed).
    """
    from mirclr.audio.tag_fields import check_field
    from mirclr.datasets.table import load_collection
    from mirclr.evaluation.train_head import COLUMNS, Options
    from mirclr.evaluation.train_head import train_head as train
    from mirclr.features.encoder_file import load_encoder
    from mirclr.features.head_file import DEFAULT_FIELDS, save_head

    if field is not None:
        check_field(field)
    collection = load_collection(dataset, seed=seed, **reading)
    extractor = load_encoder(encoder)
    done = face.show_work(train(collection, extractor, Options(precision, high, seed)))
    told = field or DEFAULT_FIELDS[done.head.task]
    save_head(output, done.head, done.vocabulary, extractor.fingerprint, field=told, calibration=done.calibration)
    for line in (*done.notes, *_sentences(done, told), f"head: {output}"):
        face.say(line)
    face.show_json(_result(output, told, done)) if as_json else face.show_table(done.table, COLUMNS)
    return face.list_quarantine(done.quarantine.to_dict("records"))


def _sentences(done: TrainedHead, field: str) -> list[str]:
    """What the head answers, and when."""
    least, wanted = done.calibration.min_confidence, f"{done.calibration.precision:.0%}"
    said = [f"answers {field}: {', '.join(done.vocabulary)}"]
    if least is None:
        return [
            *said,
            f"no confidence was right in {wanted} of the cases: `mirclr tag` needs --min-confidence or --top",
        ]
    return [*said, f"says nothing below a confidence of {least:.3f}, above which {wanted} was right out of fold"]


def _result(output: Path, field: str, done: TrainedHead) -> dict[str, Any]:
    told = {"head": str(output), "field": field, "task": done.head.task, "vocabulary": list(done.vocabulary)}
    return {**told, "calibration": done.calibration.to_json(), "notes": list(done.notes)}
