"""Small steps to drive the recipe engine: they write text files, count their runs, and fail or stop when told to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from mirclr.config import BudgetConfig, PretrainConfig, Strict
from mirclr.errors import Interrupted, TrainingError
from mirclr.recipes.step import Grows, Mark, Named, Outcome, Reads, ReadsAll, Writes
from mirclr.reports import Progress, Work

RUNS: list[str] = []


class Sizes(Strict):
    """A section, to see dotted paths into it."""

    width: int = 3
    budget: BudgetConfig = BudgetConfig()


def make(output: Writes, text: str = "music", sizes: Sizes = Sizes(), bad: tuple[str, ...] = ()) -> Work[Outcome]:  # noqa: B008
    """Writes a folder with one file; every name in `bad` is quarantined."""
    RUNS.append("make")
    yield Progress("writing", 0, 1)
    output.mkdir(parents=True, exist_ok=True)
    (output / "a.txt").write_text(text * sizes.width)
    rows = tuple({"path": name, "reason": "empty_file", "detail": "nothing in it"} for name in bad)
    return Outcome({"folder": str(output)}, quarantine=rows)


def copy(source: Reads, output: Writes, fail: str = "") -> Work[Outcome]:
    """Joins the files of a folder; leaves half a file behind when told to fail or stop."""
    RUNS.append("copy")
    yield Progress("copying", 0, 1)
    output.write_text("half")
    if fail == "error":
        raise TrainingError("told to fail")
    if fail == "stop":
        raise Interrupted("saved at step 3")
    output.write_text("".join(p.read_text() for p in sorted(source.iterdir())))
    return Outcome({"file": str(output)}, ({"label": "x", "score": 0.5},), ("It went well.",))


def collect(source: Grows, key: Reads, output: Writes) -> Work[Outcome]:
    """Appends one line to what is there: shows whether the engine kept or removed the file."""
    RUNS.append("collect")
    yield Progress("collecting", 0, None)
    before = output.read_text() if output.exists() else ""
    output.write_text(before + f"{len(list(source.iterdir()))} {key.name}\n")
    return Outcome({"file": str(output)})


def judge(dataset: Named, encoder: ReadsAll, output: Writes) -> Work[Outcome]:
    """Takes a name or a file and any number of encoders; writes down what it was given."""
    RUNS.append("judge")
    yield Progress("judging", 0, 1)
    given = Path(dataset).read_text() if Path(dataset).exists() else dataset
    output.write_text(" ".join([given, *(path.name for path in encoder), os.environ.get("MIRCLR_TEST_ROOT", "-")]))
    return Outcome({"file": str(output)})


def train(config: Annotated[PretrainConfig, Mark(reads=True)], output: Writes) -> Work[Outcome]:
    """Writes down by whom it was taught."""
    RUNS.append("train")
    yield Progress("training", 0, 1)
    output.write_text(str(config.labels.teacher))
    return Outcome({"file": str(output)})


FAKES = {"make": make, "copy": copy, "collect": collect, "judge": judge, "train": train}
