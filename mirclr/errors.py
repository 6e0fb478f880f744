"""Every error mirclr raises on purpose. The door prints its message and exits with `exit_code`; it catches no other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class MirclrError(Exception):
    """The root. The message names the file, key or value and says what to do. Exit code 1."""

    exit_code = 1


class AudioError(MirclrError):
    """A file that cannot be used as audio.

    Attributes: `path`, `reason` (a code of `mirclr.audio.reasons`), `detail` (one line for people).
    """

    def __init__(self, path: str | Path, reason: str, detail: str) -> None:
        super().__init__(path, reason, detail)  # all three, so that the error survives a process boundary
        self.path, self.reason, self.detail = str(path), reason, detail

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}: {self.detail}"


class ConfigError(MirclrError):
    """One or more mistakes in a configuration, a recipe or datasets.yaml, reported all at once. Exit code 2."""

    exit_code = 2

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        super().__init__(source, list(problems))
        self.source, self.problems = source, list(problems)

    def __str__(self) -> str:
        return "\n".join([f"{self.source}: {len(self.problems)} mistake(s)", *(f"  {p}" for p in self.problems)])


class UsageError(MirclrError):
    """Arguments that do not fit together. Exit code 2."""

    exit_code = 2


class CacheError(MirclrError):
    """A sample or spectrogram cache that is damaged, does not fit on the disk, or belongs to other settings."""


class CheckpointError(MirclrError):
    """A checkpoint or encoder file that is damaged, of another version, or does not fit the model."""


class TrainingError(MirclrError):
    """Training that cannot go on (NaN, collapse, too few tracks); the message explains and proposes."""


class DatasetError(MirclrError):
    """A labelled collection that cannot be used: missing files or columns, leaking splits."""


class StoreError(MirclrError):
    """A library store that is damaged, of another version, or bound to another encoder."""


class Interrupted(MirclrError):
    """Work stopped by Ctrl-C or SIGTERM after saving; the message says how to go on. Exit code 130."""

    exit_code = 130
