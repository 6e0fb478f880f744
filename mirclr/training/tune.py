"""Tuning: many short pretrainings of different settings, the best of which is confirmed against the default.

The best of many noisy scores is partly luck. So the winner and the default are trained again with seeds that chose
nothing, other held-out tracks included, and it is their difference that says what tuning brought.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from mirclr.config import BudgetConfig, PretrainConfig, dump
from mirclr.errors import ConfigError, Interrupted, TrainingError, UsageError
from mirclr.files import write_atomic
from mirclr.reports import Progress, Work
from mirclr.training.check import check_config
from mirclr.training.held_out import FEWEST, hold_out
from mirclr.training.journal import read_journal
from mirclr.training.pretrain import pretrain
from mirclr.training.tune_result import Confirmed, Tuned
from mirclr.training.tune_space import FRAME, Space, applied, default_space, plain
from mirclr.training.tune_study import Search, open_search

if TYPE_CHECKING:
    from optuna.trial import Trial

SCORE = "held_out_reciprocal_rank"
MOST_IN_VAIN = 20  # trials in a row without a score; more would fill an hour with the same mistake
DEFAULT_MINUTES, DEFAULT_TRIAL_MINUTES = 60.0, 2.0


def held_out_score(run: Path) -> float:
    """The best held-out reciprocal rank of a run so far; nan before its first."""
    scores = [row[SCORE] for row in read_journal(run / "metrics.jsonl") if SCORE in row]
    return max(scores, default=math.nan)


@dataclass(frozen=True)
class Objective:
    """What a trial is judged by: `judge` gives the score of a run folder, larger is better; `name` is part of the
    search's contract. `held_out`: whether it is the held-out retrieval that the run itself reports."""

    name: str
    judge: Callable[[Path], float]
    held_out: bool = False


HELD_OUT = Objective("held-out mean reciprocal rank", held_out_score, held_out=True)


@dataclass(frozen=True)
class TuneBudget:
    """`minutes` for everything or `trials` finished, whichever comes first (neither: an hour); each trial has
    `trial_minutes` or `trial_steps` (neither: two minutes); `confirm` seeds confirm the winner.

    Raises UsageError on values that fit no search.
    """

    minutes: float | None = None
    trials: int | None = None
    trial_minutes: float | None = None
    trial_steps: int | None = None
    confirm: int = 1

    def __post_init__(self) -> None:
        if self.trial_minutes is not None and self.trial_steps is not None:
            raise UsageError("give trial_minutes or trial_steps, not both")
        for name in ("minutes", "trials", "trial_minutes", "trial_steps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be above 0, got {value:g}")
        if self.confirm < 0:
            raise UsageError(f"confirm must be 0 or more, got {self.confirm}")

    @property
    def of_trial(self) -> BudgetConfig:
        """What every run gets."""
        if self.trial_steps is not None:
            return BudgetConfig(steps=self.trial_steps)
        return BudgetConfig(minutes=self.trial_minutes or DEFAULT_TRIAL_MINUTES)

    def room(self, search: Search, spent_s: float) -> bool:
        """Whether one more trial, and the confirming runs after it, still fit."""
        finished = search.finished
        if self.trials is not None and len(finished) >= self.trials:
            return False
        minutes = self.minutes if self.minutes is not None or self.trials is not None else DEFAULT_MINUTES
        if minutes is None or not finished:
            return True
        longest = max((trial.user_attrs.get("seconds", 0.0) for trial in finished), default=0.0)
        one = max(60 * (self.of_trial.minutes or 0.0), longest)
        return spent_s + (1 + 2 * self.confirm) * one <= 60 * minutes


@dataclass(frozen=True)
class _Job:
    """What every trial of a tuning shares."""

    tracks: pd.DataFrame
    base: PretrainConfig
    folder: Path
    budget: TuneBudget
    objective: Objective
    search: Search
    began: float = field(default_factory=time.monotonic)

    def config(self, values: dict[str, Any], seed: int) -> PretrainConfig:
        """The settings of one run. Raises ConfigError on what cannot be built."""
        config = applied(self.base, values)
        config = config.model_copy(update={"seed": seed, "budget": self.budget.of_trial})
        check_config(config, "trial")
        return config


def tune(
    tracks: pd.DataFrame,
    base: PretrainConfig,
    folder: Path,
    space: Space | None = None,
    budget: TuneBudget = TuneBudget(),
    objective: Objective = HELD_OUT,
) -> Work[Tuned]:
    """Search `space` (None: `default_space`) around `base` on `tracks`, a track table of mirclr.audio.scan.

    Writes to `folder`: study.db, trials/NNN (metrics and encoder of every trial), confirm/, trials.csv, best.json. A
    folder with a search in it is gone on with. With trials of a count of steps the same seed finds the same.

    Raises ConfigError as `check_config`, UsageError as `open_search` and when nothing can be held out, TrainingError
    when no trial gets a score, Interrupted after SIGINT or SIGTERM with all finished trials kept.
    """
    check_config(base, "tune")
    _refuse_without_question(tracks, base, objective)
    searched = space or default_space(base, len(tracks), objective.held_out)
    contract = _contract(tracks, base, searched, budget, objective)
    with open_search(folder, searched, contract, seed=base.seed, pruning=objective.held_out) as search:
        job = _Job(tracks, base, folder, budget, objective, search)
        yield from _search(job)
        confirmed = yield from _confirm(job)
        best = search.scored[0]
        score = float(best.value or 0.0)
        return Tuned(best.number, best.params, score, folder / "best.json", search.rows(), confirmed, objective.name)


def _refuse_without_question(tracks: pd.DataFrame, base: PretrainConfig, objective: Objective) -> None:
    if objective.held_out and not len(hold_out(len(tracks), base.hold_out, base.seed)):
        raise UsageError(
            f"hold_out={base.hold_out:g} of {len(tracks)} tracks is fewer than {FEWEST}, and nothing would judge the "
            "trials; give a larger hold_out, more music, or labels"
        )


def _contract(
    tracks: pd.DataFrame, base: PretrainConfig, space: Space, budget: TuneBudget, objective: Objective
) -> dict[str, Any]:
    """What trials must have in common to be compared; where caches lie and how many threads there are is not of it."""
    settings = base.model_dump(mode="json")
    machine = [key for key in FRAME if key not in ("seed", "labels", "hold_out")]
    artists = tracks["artist"].fillna("") if "artist" in tracks else [""] * len(tracks)
    return {
        "collection": sorted(zip(map(str, tracks["id"]), map(str, artists), strict=True)),
        "configuration": {key: value for key, value in settings.items() if key not in machine},
        "space": plain(space),
        "budget of a trial": budget.of_trial.model_dump(),
        "objective": objective.name,
    }


def _search(job: _Job) -> Work[None]:
    """Trials until the budget is used up; the files are up to date after each."""
    search, before = job.search, job.search.spent_s
    while job.budget.room(search, before + time.monotonic() - job.began):
        trial, values = search.ask()
        yield from _trial(job, trial, values)
        search.spend(before + time.monotonic() - job.began)
        _write(job)
        _stop_in_vain(search)
    if not search.scored:
        raise TrainingError(_in_vain(search))


def _stop_in_vain(search: Search) -> None:
    latest = search.finished[-MOST_IN_VAIN:]
    if len(latest) == MOST_IN_VAIN and all(t.value is None and not t.intermediate_values for t in latest):
        raise TrainingError(_in_vain(search))


def _in_vain(search: Search) -> str:
    reason = search.finished[-1].user_attrs.get("reason", "") if search.finished else ""
    return f"no trial could be trained to a score; the last one: {reason}"


def _trial(job: _Job, trial: Trial, values: dict[str, Any]) -> Work[None]:
    """One run of `values`, told to the search whatever becomes of it; its checkpoints are not kept."""
    run, began, search = job.folder / "trials" / f"{trial.number:03}", time.monotonic(), job.search
    try:
        config = job.config(values, job.base.seed)
        behind = yield from _watched(job, config, run, trial)
        score = math.nan if behind else job.objective.judge(run)
        trial.set_user_attr("seconds", time.monotonic() - began)
        if math.isfinite(score):
            search.complete(trial, score)
        else:
            search.prune(trial, behind or "it gave no score")
    except (ConfigError, TrainingError, torch.OutOfMemoryError) as error:
        search.prune(trial, " ".join(str(error).split()))
    except Interrupted as stop:
        search.drop(trial, "interrupted")
        signal, kept = str(stop).partition(":")[0], len(search.finished)
        raise Interrupted(
            f"{signal}: trial {trial.number} was dropped, {kept} finished trial(s) are kept in {job.folder}; the same "
            "command goes on from there"
        ) from stop
    except BaseException as error:  # told, so that no trial seems to be running, and raised again
        search.drop(trial, f"{type(error).__name__}: {error}")
        raise
    finally:
        shutil.rmtree(run / "checkpoints", ignore_errors=True)


def _watched(job: _Job, config: PretrainConfig, run: Path, trial: Trial) -> Work[str]:
    """Pretrain under the eyes of the pruner, who sees the best score at every tenth of the budget.

    Steps would not do: a step of a large batch is not a step of a small one. Returns why it was ended early, or "".
    """
    seen, shown = 0, len(job.search.finished)
    with contextlib.closing(pretrain(job.tracks, config, run)) as work:
        for report in work:
            if report.stage != "train":
                yield report
                continue
            yield Progress("tune", shown, job.budget.trials, f"trial {trial.number}: {_place(report)}")
            tenth = 10 * report.done // max(1, report.total or 1)
            if tenth > seen:
                score = held_out_score(run)
                for each in range(seen + 1, tenth + 1) if math.isfinite(score) else ():
                    trial.report(score, each)
                seen = tenth
                if tenth < 10 and math.isfinite(score) and trial.should_prune():
                    return f"behind the median of the others after {10 * tenth} % of its budget ({score:.3f})"
    return ""


def _place(report: Progress) -> str:
    return f"step {report.done} of {report.total}, {report.note}"


def _write(job: _Job) -> None:
    """trials.csv, and best.json: the best trial's settings with the budget and seed of `base`."""
    job.search.write(job.folder / "trials.csv")
    if job.search.scored:
        write_atomic(job.folder / "best.json", dump(applied(job.base, job.search.scored[0].params)))


def _confirm(job: _Job) -> Work[tuple[Confirmed, ...]]:
    """The winner and the default under seeds that no trial had; what was done in an earlier session is kept."""
    best, pairs = job.search.scored[0], []
    for seed in range(job.base.seed + 1, job.base.seed + 1 + job.budget.confirm):
        won = yield from _confirmed(job, f"trial{best.number:03}-seed{seed}", best.params, seed)
        default = yield from _confirmed(job, f"default-seed{seed}", {}, seed)
        pairs.append(Confirmed(seed, won, default))
    return tuple(pairs)


def _confirmed(job: _Job, name: str, values: dict[str, Any], seed: int) -> Work[float | None]:
    """The score of one run that was not searched; None where it could not be trained."""
    if name in job.search.confirmed:
        return job.search.confirmed[name]
    run = job.folder / "confirm" / name
    shutil.rmtree(run, ignore_errors=True)  # half a run of an earlier session, of another length of time
    try:
        for report in pretrain(job.tracks, job.config(values, seed), run):
            note = f"{name}: {_place(report)}"
            yield Progress("confirm", report.done, report.total, note) if report.stage == "train" else report
        score: float | None = job.objective.judge(run)
    except (TrainingError, torch.OutOfMemoryError):
        score = None
    except Interrupted as stop:
        raise Interrupted(f"{str(stop).partition(':')[0]}: the search is done; the same command confirms it") from stop
    finally:
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    score = score if score is not None and math.isfinite(score) else None
    job.search.confirm(name, score)
    return score
