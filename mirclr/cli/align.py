"""`mirclr align`: music and what is written about it to a space in which text finds music."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirclr.cli import face
from mirclr.cli.settings import given_budget, resolved
from mirclr.errors import UsageError
from mirclr.training.align_config import AlignConfig

if TYPE_CHECKING:
    from mirclr.evaluation.text_scores import TextScores
    from mirclr.training.align import Aligned


def _modalities(pairs: tuple[str, ...]) -> dict[str, Path]:
    """`NAME=FILE` by name."""
    out: dict[str, Path] = {}
    for pair in pairs:
        name, equals, file = pair.partition("=")
        if not equals or not name or not file:
            raise UsageError(f"--vectors {pair}: write it as NAME=FILE, a name for the modality and its vectors")
        if name in out:
            raise UsageError(f"--vectors: {name} is given twice")
        out[name] = Path(file).absolute()
    return out


@click.command()
@click.argument("sources", metavar="FOLDER|TABLE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", "run", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--encoder", type=click.Path(path_type=Path), help="The encoder that hears the music: a run folder.")
@click.option("--texts", type=click.Path(path_type=Path), help="Your own texts: a csv with the columns path,text.")
@click.option("--vectors", multiple=True, metavar="NAME=FILE", help="A further modality, as `mirclr embed` writes it.")
@click.option("--minutes", type=float, help="Wall-clock budget of training; embedding comes before it.")
@click.option("--steps", type=int, help="Number of steps; repeats bit for bit on CPU. Default 20 epochs, at least 250.")
@click.option("--seed", type=int, help="Seed of weights, held-out artists and batches. Default 0.")
@click.option("--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="YAML or JSON file.")
@click.option("--set", "sets", multiple=True, metavar="a.b=c", help="Change one setting; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@face.json_option
@face.command
def align(
    sources: tuple[Path, ...],
    run: Path,
    encoder: Path | None,
    texts: Path | None,
    vectors: tuple[str, ...],
    minutes: float | None,
    steps: int | None,
    seed: int | None,
    config: Path | None,
    sets: tuple[str, ...],
    resume: bool,
    as_json: bool,
) -> int:
    """Learn a space in which text finds the music of FOLDER (or of the files a csv TABLE writes about), without labels.

    Text is the files' tags (artist, title, album, genre, year) and your own from --texts. Held-out artists say at the
    end whether text finds music it was not trained on. `mirclr search` asks.

    Exit codes: 0 done, 1 error, 2 usage, 3 done but files were left out (listed), 130 interrupted after saving.
    """
    # Kept in config.json: the same files from wherever the run is resumed.
    files = {"encoder": encoder and encoder.absolute(), "texts": texts and texts.absolute()}
    options = {**files, "vectors": _modalities(vectors) or None, "seed": seed}
    given = given_budget(minutes, steps) | {name: value for name, value in options.items() if value is not None}
    settings = resolved(AlignConfig, config, sets, given, run if resume else None)
    return _align(list(sources), run, settings, resume, as_json)


def _align(sources: list[Path], run: Path, settings: AlignConfig, resume: bool, as_json: bool) -> int:
    from mirclr.evaluation.text_scores import COLUMNS, score_text
    from mirclr.training.align import align as train
    from mirclr.training.align_tracks import list_tracks

    listed = face.show_work(list_tracks(sources))
    done = face.show_work(train(listed, settings, run, resume))
    scores = score_text(done.held_out, done.fields)
    scores.write(run / "held_out.json")
    for line in (*done.notes, *scores.sentences, f"joint space: {done.joint}"):
        face.say(line)
    face.show_json(_result(run, done, scores)) if as_json else face.show_table(scores.card(), COLUMNS)
    return face.list_quarantine(done.quarantine.to_dict("records"))


def _result(run: Path, done: Aligned, scores: TextScores) -> dict[str, Any]:
    told = {"run": str(run), "joint": str(done.joint), "steps": done.steps, "report": done.report}
    return {**told, "held_out": scores.to_json(), "notes": list(done.notes)}
