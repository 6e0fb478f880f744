"""Reports to TensorBoard, where asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirclr.errors import UsageError


class Board:
    """Writes the numbers of every report to `folder`; does nothing when not `wanted`.

    Raises UsageError when the package is missing, before any training.
    """

    def __init__(self, folder: Path, wanted: bool, step: int) -> None:
        self._writer: Any = None
        if wanted:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ModuleNotFoundError as error:
                raise UsageError("tensorboard=true needs a package: pip install 'mirclr[tensorboard]'") from error
            # What a killed run wrote after its last checkpoint is hidden by the rows that replace it.
            self._writer = SummaryWriter(str(folder), purge_step=step or None)

    def write(self, row: Mapping[str, Any]) -> None:
        """Every number of a report row, at its step."""
        if self._writer is not None:
            for key, value in row.items():
                if isinstance(value, (int, float)) and key != "step":
                    self._writer.add_scalar(key, value, row["step"])

    def close(self) -> None:
        """Flush and close."""
        if self._writer is not None:
            self._writer.close()
