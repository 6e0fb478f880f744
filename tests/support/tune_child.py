"""A tuning process to kill: `python -m tests.support.tune_child TRACKS.csv CONFIG.json OUT TRIALS STEPS`."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from mirclr.config import PretrainConfig, read_yaml, validate
from mirclr.errors import Interrupted
from mirclr.reports import finish
from mirclr.training.tune import TuneBudget, tune


def main() -> int:
    """Tune; exit 130 when a signal ended it."""
    tracks, config, out, trials, steps = sys.argv[1:]
    base = validate(PretrainConfig, read_yaml(Path(config)), "test")
    budget = TuneBudget(trials=int(trials), trial_steps=int(steps), confirm=0)
    try:
        finish(tune(pd.read_csv(tracks, dtype={"id": str}), base, Path(out), budget=budget))
    except Interrupted as stop:
        sys.stderr.write(str(stop))
        return stop.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
