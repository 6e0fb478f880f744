"""A tuning process to kill: `python -m tests.support.tune_child TRACKS.csv CONFIG.json OUT TRIALS STEPS`."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from mirclr.config import PretrainConfig, read_yaml, validate
from mirclr.errors import Interrupted
from mirclr.reports import finish
from mirclr.training.tune import TuneBudget, tune
from mirclr.training.tune_space import read_space

SMALL = {"optim.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "optim.batch": {"choices": [2, 3]}}


def main() -> int:
    """Tune; exit 130 when a signal ended it."""
    tracks, config, out, trials, steps = sys.argv[1:]
    base = validate(PretrainConfig, read_yaml(Path(config)), "test")
    space = read_space(SMALL, base, True, "test")
    budget = TuneBudget(trials=int(trials), trial_steps=int(steps), confirm=0)
    try:
        finish(tune(pd.read_csv(tracks, dtype={"id": str}), base, Path(out), space, budget))
    except Interrupted as stop:
        sys.stderr.write(str(stop))
        return stop.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
