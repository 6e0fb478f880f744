"""A training process to kill: `python -m tests.support.train_child TRACKS.csv CONFIG.json RUN`, saves at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from mirclr.config import PretrainConfig, read_yaml, validate
from mirclr.errors import Interrupted
from mirclr.reports import finish
from mirclr.training import pretrain


def main() -> int:
    """Train; exit 130 when a signal ended it after saving."""
    pretrain.STEPS_BETWEEN_REPORTS, pretrain.SECONDS_BETWEEN_CHECKPOINTS = 1, 0.0
    tracks = pd.read_csv(sys.argv[1], dtype={"id": str})
    config = validate(PretrainConfig, read_yaml(Path(sys.argv[2])), "test")
    try:
        finish(pretrain.pretrain(tracks, config, Path(sys.argv[3])))
    except Interrupted as stop:
        sys.stderr.write(str(stop))
        return stop.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
