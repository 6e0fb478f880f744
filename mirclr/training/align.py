"""Geometric multimodal contrastive training: a space in which text, sound and any other vectors of a track meet.

The sound is the frozen embeddings of an encoder, made once. A step: tracks, a segment of each, a text out of some of
its fields -> an encoder per modality and one for all together -> one shared head -> GMC -> AdamW -> moving average.
Every report asks held-out artists' texts for their music. (Poklukar et al., ICML 2022, arXiv 2202.03390.)
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mirclr.errors import Interrupted, TrainingError
from mirclr.features.joint_file import save_joint
from mirclr.reports import Progress, Work
from mirclr.training.align_config import AlignConfig
from mirclr.training.align_run import Alignment, begin, open_alignment
from mirclr.training.align_score import Found
from mirclr.training.align_tracks import Listed
from mirclr.training.interrupt import StopWish, stop_on_signal
from mirclr.training.schedules import warmup_cosine

STEPS_BETWEEN_REPORTS = 100  # a step takes milliseconds, a report as much as a few steps
SECONDS_BETWEEN_CHECKPOINTS = 20.0
FIRST_LOOKS = (4, 16)  # steps after which a clock's plan is corrected, before the first report does it


@dataclass(frozen=True)
class Aligned:
    """`joint`: the folder of the exported space; `steps` done; the last `report`; `held_out`: what was found by each
    modality, and by each field of the text alone under `fields`; `notes`; what was left out (`quarantine`)."""

    joint: Path
    steps: int
    report: dict[str, Any]
    held_out: dict[str, Found]
    fields: dict[str, Found]
    notes: tuple[str, ...]
    quarantine: pd.DataFrame


@dataclass
class Meter:
    """Clocks between two reports."""

    began: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)


def align(listed: Listed, config: AlignConfig, folder: Path, resume: bool = False) -> Work[Aligned]:
    """Learn a joint space over the tracks of `listed` and export it to `folder`/joint.

    Writes config.json, tracks.csv, quarantine.csv, segments.safetensors, metrics.jsonl, checkpoints/ and joint/. With
    `resume` it goes on from the last checkpoint, on a CPU to the bit as if it had never stopped.

    Raises ConfigError, UsageError, DatasetError, CheckpointError as `begin`, before a file is decoded; TrainingError
    when too few tracks could be read or the loss is no number; Interrupted after SIGINT or SIGTERM, with all saved.
    """
    start = begin(listed, config, folder, resume)
    run = yield from open_alignment(start, config, folder)
    with stop_on_signal() as wish:
        try:
            yield from _train(run, wish)
        finally:
            run.journal.close()
    return _export(run)


def _train(run: Alignment, wish: StopWish) -> Work[None]:
    """Steps until the plan is over, a report every so many."""
    meter = Meter()
    while not run.plan.over(run.at.step, run.elapsed_s):
        loss = _learn(run)
        ends = run.plan.over(run.at.step, run.elapsed_s)
        if ends:
            run.plan.total = run.at.step  # the clock's end or the plan's, whichever came first, is the end
        if ends or run.at.step % STEPS_BETWEEN_REPORTS == 0:
            _report(run, meter)
        yield Progress("align", run.at.step, run.plan.total, f"loss {loss:.3f}")
        if wish.name is not None:
            _stop(run, wish.name)


def _learn(run: Alignment) -> float:
    """One step, and the journal's line."""
    optim, text = run.config.optim, run.config.text
    rate = optim.learning_rate * warmup_cosine(run.plan.progress(run.at.step), optim.warmup)
    views = run.source.step(run.at.step, run.aligner.space.text, text.drop_words)
    loss = run.aligner.step(views, rate, run.at.step)
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss} at step {run.at.step + 1} (learning rate {rate:.2g}). The last checkpoint is from "
            f"before that. Try --set optim.learning_rate={rate / 3:.1g}"
        )
    run.at.step += 1
    if run.at.step in FIRST_LOOKS:
        run.plan.replan(run.at.step, run.elapsed_s, run.elapsed_s / run.at.step)
    run.journal.write({"kind": "step", "step": run.at.step, "loss": loss, "learning_rate": rate})
    return loss


def _report(run: Alignment, meter: Meter) -> None:
    """Ask the held-out tracks, write the report, keep a checkpoint now and then."""
    losses, took = run.journal.losses_since(run.at.last_report), max(1e-9, time.monotonic() - meter.began)
    row = {
        "kind": "epoch",
        "step": run.at.step,
        "loss": sum(losses) / len(losses),
        "learning_rate": run.journal.rows[-1]["learning_rate"],
        "steps_per_s": len(losses) / took,
    }
    for name, answer in run.held.judge(run.aligner).items():
        row |= {f"held_out_{name}_{key}": value for key, value in answer.numbers().items()}
    run.journal.write(row)
    run.at.last_report = run.at.step
    run.plan.replan(run.at.step, run.elapsed_s, run.elapsed_s / run.at.step)
    if time.monotonic() - meter.saved > SECONDS_BETWEEN_CHECKPOINTS:
        run.save()
        meter.saved = time.monotonic()
    meter.began = time.monotonic()


def _stop(run: Alignment, signal_name: str) -> None:
    run.save()
    raise Interrupted(
        f"{signal_name}: saved at step {run.at.step} of {run.plan.total} in {run.last}; the same command with --resume "
        "goes on from there"
    )


def _export(run: Alignment) -> Aligned:
    """The last checkpoint, the averaged space, and what it finds."""
    run.save()
    folder = run.folder / "joint"
    save_joint(folder, run.aligner.ema, run.encoder, run.story())
    held, fields = run.held.judge(run.aligner), run.held.by_field(run.aligner)
    reports = run.journal.reports()
    return Aligned(folder, run.at.step, reports[-1] if reports else {}, held, fields, run.notes, run.quarantine)
