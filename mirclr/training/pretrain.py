"""Instance-discrimination pretraining: a loop to read in one sitting.

A step: planned crops -> effects -> log-mel views -> encoder and head -> loss -> AdamW -> moving average. Every report:
loss, rate, speed, share of time spent on data, the diagnostics of mirclr.training.diagnostics, held-out retrieval.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from mirclr.config import PretrainConfig
from mirclr.errors import Interrupted, TrainingError
from mirclr.features.encoder_file import save_encoder
from mirclr.reports import Progress, Work
from mirclr.training.check import check_config
from mirclr.training.device import make_fabric
from mirclr.training.diagnostics import Geometry, collapse_verdict, geometry
from mirclr.training.interrupt import StopWish, stop_on_signal
from mirclr.training.labels import labelled_material
from mirclr.training.processes import agreed, leave, seat
from mirclr.training.run import Run, open_run
from mirclr.training.schedules import warmup_cosine
from mirclr.training.source import Loaded
from mirclr.training.verdict import not_a_number, outlook

# A report costs about half a second, and on a folder of 200 tracks an epoch is two steps.
STEPS_BETWEEN_REPORTS = 25
SECONDS_BETWEEN_CHECKPOINTS = 20.0


@dataclass(frozen=True)
class Pretrained:
    """`encoder`: the folder of the exported weights; `steps` done; the last `report`; `outlook` in words; what was left
    out (`quarantine`); `transferred`, a line per tensor that did not find its place in a start from other weights."""

    encoder: Path
    steps: int
    report: dict[str, Any]
    outlook: str
    quarantine: pd.DataFrame
    transferred: tuple[str, ...] = ()


@dataclass
class Meter:
    """Clocks between two reports: seconds of data work, clips seen, and the last projections."""

    began: float = field(default_factory=time.monotonic)
    data_s: float = 0.0
    clips: int = 0
    saved: float = field(default_factory=time.monotonic)
    projected: Tensor | None = None

    def restart(self) -> None:
        """Begin the next stretch; when the last checkpoint was written is kept."""
        self.began, self.data_s, self.clips = time.monotonic(), 0.0, 0


def pretrain(tracks: pd.DataFrame, config: PretrainConfig, folder: Path, resume: bool = False) -> Work[Pretrained]:
    """Train an encoder on `tracks` (a track table of mirclr.audio.scan) and export its averaged weights.

    Writes to `folder`: config.json, tracks.csv, quarantine.csv, metrics.jsonl, checkpoints/, encoder/. With `resume` it
    goes on from checkpoints/last.safetensors, on a CPU to the bit as if it had never stopped.

    Raises ConfigError, UsageError, CheckpointError as `open_run`; TrainingError when the loss is no number or the
    representation collapsed; Interrupted after SIGINT or SIGTERM, with everything saved.
    """
    check_config(config, "pretrain")
    fabric = make_fabric(config)
    if not seat().first:
        fabric.barrier()  # the first process decodes; the others find it done
    material = yield from labelled_material(tracks, config)
    if seat().first:
        fabric.barrier()
    run = open_run(material, config, folder, resume, fabric)
    with stop_on_signal() as wish:
        try:
            yield from _train(run, wish)
        finally:
            run.journal.close()
            run.board.close()
    done = _export(run)
    leave(fabric)
    return done


def _train(run: Run, wish: StopWish) -> Work[None]:
    """Steps until the plan is over, a report at the end of every stretch of epochs."""
    meter, batches = Meter(), run.source.batches(run.at.epoch, run.at.batch, run.config.workers)
    fabric = run.learner.fabric
    while not agreed(fabric, run.plan.over(run.at.step, run.elapsed_s)):
        loss = _learn(run, meter, [_timed_next(batches, meter) for _ in range(run.config.optim.accumulate)])
        ends, stop = agreed(fabric, (run.plan.over(run.at.step, run.elapsed_s), wish.name))
        if ends or (run.at.batch == 0 and run.at.step - run.at.last_report >= STEPS_BETWEEN_REPORTS):
            _report(run, meter)
        if ends:
            run.plan.total = run.at.step  # the clock's end or the plan's, whichever came first, is the end
        yield Progress("train", run.at.step, run.plan.total, f"loss {loss:.3f}")
        if stop is not None:
            _stop(run, stop)


def _timed_next(batches: Iterator[Loaded], meter: Meter) -> Loaded:
    before = time.monotonic()
    loaded = next(batches)
    meter.data_s += time.monotonic() - before
    return loaded


def _learn(run: Run, meter: Meter, loaded: Sequence[Loaded]) -> float:
    """One step; moves the position past the batches and writes the journal's line."""
    before = time.monotonic()
    batches = [run.prepared(each) for each in loaded]
    meter.data_s += time.monotonic() - before
    optim = run.config.optim
    rate = optim.learning_rate * warmup_cosine(run.plan.progress(run.at.step), optim.warmup)
    result, meter.projected = run.learner.step(batches, rate)
    loss = result.item()
    problem = not_a_number(loss, run.at.step + 1, rate)
    if problem:
        raise TrainingError(problem)
    meter.clips += sum(batch.clips for batch in batches) * run.source.place.size
    run.at.step += 1
    newest = loaded[-1]
    last = newest.index + 1 == run.source.sampler.batches_per_epoch
    run.at.epoch, run.at.batch = (newest.epoch + 1, 0) if last else (newest.epoch, newest.index + 1)
    run.journal.write({"kind": "step", "step": run.at.step, "loss": loss, "learning_rate": rate})
    return loss


def _report(run: Run, meter: Meter) -> None:
    """Measure, write the report, keep the checkpoint; end the run when the representation collapsed."""
    assert meter.projected is not None, "a report follows at least one step"
    batch = geometry(meter.projected[0], meter.projected[1])
    row = _measured(run, meter, batch)
    run.journal.write(row)
    run.board.write(row)
    run.at.last_report = run.at.step
    run.plan.replan(run.at.step, *agreed(run.learner.fabric, (run.elapsed_s, run.elapsed_s / run.at.step)))
    score = row.get("held_out_reciprocal_rank", -1.0)
    best = score > run.at.best
    if best:
        run.at.best, run.at.best_step = score, run.at.step
    if best or time.monotonic() - meter.saved > SECONDS_BETWEEN_CHECKPOINTS:
        run.save(best=best)
        meter.saved = time.monotonic()
    meter.restart()
    problem = collapse_verdict(batch)
    if problem and run.plan.progress(run.at.step) > run.config.optim.warmup:
        raise TrainingError(f"stopped at step {run.at.step}: {problem}")


def _measured(run: Run, meter: Meter, batch: Geometry) -> dict[str, Any]:
    """The report: means over the steps since the last one, the geometry of the last batch's projections, and that of
    the averaged encoder's embeddings of the held-out tracks."""
    losses, took = run.journal.losses_since(run.at.last_report), max(1e-9, time.monotonic() - meter.began)
    held = run.held.judge(run.learner.ema, run.learner.fabric.device)
    return {
        "kind": "epoch",
        "step": run.at.step,
        "epoch": run.at.epoch,
        "loss": sum(losses) / len(losses),
        "learning_rate": run.journal.rows[-1]["learning_rate"],
        "clips_per_s": meter.clips / took,
        "data_share": meter.data_s / took,
        **{f"batch_{name}": value for name, value in asdict(batch).items()},
        **({f"held_out_{name}": value for name, value in asdict(held).items()} if held else {}),
    }


def _stop(run: Run, signal_name: str) -> None:
    run.save()
    raise Interrupted(
        f"{signal_name}: saved at step {run.at.step} of {run.plan.total} in {run.last}; the same command with --resume "
        "goes on from there"
    )


def _export(run: Run) -> Pretrained:
    """The last checkpoint and the averaged encoder."""
    run.save()
    folder = run.folder / "encoder"
    if run.source.place.first:
        save_encoder(folder, run.learner.ema, run.story())
    reports = run.journal.reports()
    said = outlook(reports, run.plan, run.elapsed_s, len(run.source.ids), run.config.optim.batch)
    told = () if run.learner.transferred is None else tuple(run.learner.transferred.lines())
    return Pretrained(folder, run.at.step, reports[-1] if reports else {}, said, run.material.quarantine, told)
