"""Fine-tuning as a protocol of the report card: the encoder itself learns from each split's training part.

Beside the encoders their architecture is trained from scratch by the same steps: what pretraining was worth is the
difference. Training and judging are rooms of one floor, so they meet here. Every fit has a folder of its own and is
resumed in it; a fit that was finished only answers again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mirclr.datasets.collection import Collection
from mirclr.errors import DatasetError, UsageError
from mirclr.evaluation.card import Report
from mirclr.evaluation.exams import measures_section
from mirclr.evaluation.judge import Judge, Judged
from mirclr.evaluation.retrieval import Ground
from mirclr.evaluation.runs import open_runs
from mirclr.evaluation.verdict import compare
from mirclr.features.encoder_file import save_encoder
from mirclr.features.random_init import random_encoder
from mirclr.reports import Work
from mirclr.training.finetune import finetune
from mirclr.training.finetune_config import FinetuneConfig

NAME, SCRATCH = "finetune", "from scratch"


def with_finetuning(
    report: Report, collection: Collection, paths: Sequence[Path], folder: Path, config: FinetuneConfig
) -> Work[Report]:
    """`report` with the section `protocol-finetune` and its comparisons. `paths`: the encoders the report judges.

    `folder` holds a run for every row and split; `config` says how each is trained (its encoder, split and seed are set
    here). Raises what `mirclr.training.finetune.finetune` raises, UsageError without an encoder, DatasetError when a
    tested track got no answer.
    """
    if not paths:
        raise UsageError("--protocol finetune: vectors cannot be fine-tuned; name an --encoder")
    runs = open_runs(paths, "cpu")
    starts = dict(zip(runs.encoders, paths, strict=True))
    first = next(iter(runs.encoders.values()))
    scratch = folder / SCRATCH.replace(" ", "-") / "start"
    twin = random_encoder(first, report.seed)
    save_encoder(scratch, twin.embedder, {"name": SCRATCH, "notes": list(twin.notes)})
    starts[SCRATCH] = scratch
    problem = report.problem
    judge = Judge(problem, Ground(problem.groups), seed=report.seed, draws=report.draws)
    judged: dict[str, Judged] = {}
    for place, (row, start) in enumerate(starts.items()):
        settings = config.model_copy(update={"encoder": start, "seed": report.seed})
        own = folder / f"encoder-{place}"
        if row == SCRATCH:
            settings, own = _from_scratch(settings), folder / SCRATCH.replace(" ", "-")
        judged[row] = judge.scored(NAME, (yield from _answers(report, collection, settings, own)))
    return _added(report, judged)


def _from_scratch(config: FinetuneConfig) -> FinetuneConfig:
    """From scratch no layer has learned anything that a low rate would keep."""
    return config.model_copy(update={"optim": config.optim.model_copy(update={"layer_decay": 1.0})})


def _answers(report: Report, collection: Collection, config: FinetuneConfig, folder: Path) -> Work[np.ndarray]:
    """`(M, K)` scores of all tested tracks, every split by its own fit."""
    paths, parts = report.tracks["path"].to_numpy(), []
    for number, split in enumerate(report.problem.splits):
        own = folder / f"split-{number}"
        settings = config.model_copy(update={"split": split.name})
        done = yield from finetune(collection, settings, own, resume=own.exists())
        scores = dict(zip(done.predictions.paths, done.predictions.scores, strict=True))
        if unheard := [path for path in paths[split.test] if path not in scores]:
            raise DatasetError(f"{unheard[0]}: fine-tuning could not read it ({len(unheard)} tested tracks)")
        parts.append(np.stack([scores[path] for path in paths[split.test]]))
    return np.concatenate(parts)


def _added(report: Report, judged: Mapping[str, Judged]) -> Report:
    metric = report.main.partition(".")[2]
    notes = (
        "the encoder is fine-tuned on each split's training part, stopped on its validation part (mirclr finetune)",
        f"{SCRATCH}: the same architecture and the same steps without pretraining",
    )
    section = measures_section(NAME, "Protocol finetune", judged, {}, notes)
    found = [
        compare(f"{NAME}.{metric}", (row, judged[row]), (SCRATCH, judged[SCRATCH])) for row in judged if row != SCRATCH
    ]
    return replace(report, sections=(*report.sections, section), comparisons=(*report.comparisons, *found))
