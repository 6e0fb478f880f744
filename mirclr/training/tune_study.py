"""The memory of a tuning: an Optuna study in a SQLite file, asked for settings and told what came of them.

Whatever kills the process, what was finished stays. The next value of every setting depends on the seed and the
finished trials alone, so a search that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mirclr.errors import UsageError
from mirclr.files import write_atomic
from mirclr.seeds import generator
from mirclr.training.tune_space import Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

FILE, NAME = "study.db", "mirclr"
CONTRACT, SPENT, CONFIRMED = "contract", "spent_s", "confirmed"
WITHOUT_PACKAGE = "tuning needs a package: pip install 'mirclr[tune]'"
# The median of fewer than five runs, or of their first third under a warm learning rate, says little about the end.
RUNS_BEFORE_PRUNING, TENTHS_BEFORE_PRUNING = 5, 3


class Search:
    """A study being searched: `ask` for the next settings, then tell with `complete`, `prune` or `drop`."""

    def __init__(self, study: Study, space: Space, seed: int) -> None:
        self.study, self.space, self.seed = study, space, seed

    def ask(self) -> tuple[Trial, dict[str, Any]]:
        """The next trial and its values, from the tree-structured Parzen estimator (Bergstra et al., NIPS 2011)."""
        import optuna

        # A sampler made anew with one seed would draw its first values again after every resumption.
        drawn = generator(self.seed, "tune", len(self.finished)).integers(2**31)
        self.study.sampler = optuna.samplers.TPESampler(seed=int(drawn))
        trial = self.study.ask()
        return trial, {key: searched.suggest(trial, key) for key, searched in self.space.items()}

    def complete(self, trial: Trial, value: float) -> None:
        """The trial ended with a score; larger is better."""
        self.study.tell(trial, value)

    def prune(self, trial: Trial, reason: str) -> None:
        """The trial will not be the best: it was ended early, could not be built, or did not learn."""
        import optuna

        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)

    def drop(self, trial: Trial, reason: str) -> None:
        """The trial was interrupted: it says nothing about its settings, which will be asked for again."""
        import optuna

        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=optuna.trial.TrialState.FAIL)

    @property
    def finished(self) -> list[FrozenTrial]:
        """Trials that tell something about their settings."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.name in ("COMPLETE", "PRUNED")]

    @property
    def scored(self) -> list[FrozenTrial]:
        """Trials that went to their end, best first; of equals the first."""
        complete = [trial for trial in self.finished if trial.state.name == "COMPLETE"]
        return sorted(complete, key=lambda trial: (-float(trial.value or 0.0), trial.number))

    @property
    def spent_s(self) -> float:
        """Seconds spent searching, over all sessions."""
        return float(self.study.user_attrs.get(SPENT, 0.0))

    def spend(self, seconds: float) -> None:
        """Set the seconds spent so far."""
        self.study.set_user_attr(SPENT, seconds)

    @property
    def confirmed(self) -> dict[str, float | None]:
        """Scores of runs that were not searched, by the name of their folder; None: it could not be trained."""
        return dict(self.study.user_attrs.get(CONFIRMED, {}))

    def confirm(self, name: str, value: float | None) -> None:
        """Keep the score of such a run."""
        self.study.set_user_attr(CONFIRMED, {**self.confirmed, name: value})

    def rows(self) -> list[dict[str, Any]]:
        """Every trial as a flat row: trial, state, score, seconds, reason and its values."""
        return [_row(trial) for trial in self.study.get_trials(deepcopy=False)]

    def write(self, path: Path) -> None:
        """The rows as a csv."""
        columns = ["trial", "state", "score", "seconds", "reason", *self.space]
        write_atomic(path, pd.DataFrame(self.rows()).reindex(columns=columns).to_csv(index=False))


def _row(trial: FrozenTrial) -> dict[str, Any]:
    told = trial.user_attrs
    score = trial.value if trial.state.name == "COMPLETE" else None
    state = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "dropped", "RUNNING": "running"}[trial.state.name]
    named = {"trial": trial.number, "state": state, "score": score}
    return {**named, "seconds": told.get("seconds"), "reason": told.get("reason"), **trial.params}


@contextmanager
def open_search(
    folder: Path, space: Space, contract: Mapping[str, Any], *, seed: int, pruning: bool
) -> Iterator[Search]:
    """The search in `folder`, new or as it was left; trials that a dead process left running are dropped.

    `contract`: what must be the same for trials to be comparable, as plain data by a name for people. `pruning`:
    whether a trial behind the median is ended early. Raises UsageError when optuna is missing, when another process
    searches here, and when the search in the folder was made under another contract.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise UsageError(WITHOUT_PACKAGE) from error
    folder.mkdir(parents=True, exist_ok=True)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what it says of every trial is said by the progress
    try:
        with _alone(folder):
            study = _study(folder / FILE, pruning)
            _keep_to(contract, study, folder)
            for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            yield Search(study, space, seed)
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A lock that goes with the process, however that ends: a second search would drop the first one's trial."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder}: another process is tuning here; choose another folder") from None
        yield
    finally:
        os.close(descriptor)


def _study(file: Path, pruning: bool) -> Study:
    import optuna

    # A path inside a URL would have to be quoted twice, for SQLAlchemy and for Optuna; a function needs no quoting.
    connect = {"creator": lambda: sqlite3.connect(file, timeout=60.0, check_same_thread=False)}
    storage = optuna.storages.RDBStorage(f"sqlite:///{FILE}", engine_kwargs=connect)
    median = optuna.pruners.MedianPruner(RUNS_BEFORE_PRUNING, TENTHS_BEFORE_PRUNING)
    return optuna.create_study(
        storage=storage,
        study_name=NAME,
        direction="maximize",
        load_if_exists=True,
        pruner=median if pruning else optuna.pruners.NopPruner(),
    )


def _keep_to(contract: Mapping[str, Any], study: Study, folder: Path) -> None:
    """Store the digests of a new search's contract; compare those of an old one."""
    told = {name: _digest(part) for name, part in contract.items()}
    kept = study.user_attrs.get(CONTRACT)
    if kept is None:
        study.set_user_attr(CONTRACT, told)
        return
    changed = [name for name in told if told[name] != kept.get(name)]
    if changed:
        raise UsageError(
            f"{folder}: holds a search with another {' and another '.join(changed)}, whose trials cannot be compared "
            "with new ones; choose another folder, or give what was given then"
        )


def _digest(part: Any) -> str:
    text = json.dumps(part, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
