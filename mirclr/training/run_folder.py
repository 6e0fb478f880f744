"""What every run that can be resumed knows of itself: its folder and its clock."""

from __future__ import annotations

import time
from pathlib import Path

from mirclr.training.checkpoint import LAST


class RunFolder:
    """Base of the runs of pretraining, fine-tuning and aligning. `started` is the clock's origin, earlier by what was
    already spent."""

    folder: Path
    started: float

    @property
    def elapsed_s(self) -> float:
        """Training time so far in seconds, over all sessions of this run."""
        return time.monotonic() - self.started

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "checkpoints" / LAST
