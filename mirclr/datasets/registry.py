"""datasets.yaml: what a labelled collection is, read strictly, every mistake at once.

A collection is declared, not programmed: where its labels stand (a table, or a folder per label), its task, its
published splits, its known faults with their reasons. Nothing here opens audio, and nothing is ever downloaded:
`where` tells a person how to get the sound, `root` where it was put.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

import mirclr
from mirclr.config import Strict, nearest, read_yaml, validate
from mirclr.datasets.layouts import FolderLayout, MirdataLayout, SplitRule, TableLayout, Text
from mirclr.datasets.tasks import FRAMEWISE, Task
from mirclr.errors import ConfigError, DatasetError

FILE_NAME = "datasets.yaml"
ENVIRONMENT = "MIRCLR_DATASETS"
VERSION = 1

LeakKind = Literal["artist_overlap", "duplicate_audio", "same_file"]


class AllowedLeak(Strict):
    """A leak that is known and accepted, by name, with the reason that is printed beside every result."""

    kind: LeakKind
    reason: Text


class Expected(Strict):
    """What a complete copy holds, known-bad files aside: the number of tracks, in all and with each label; and the
    SHA-256 of annotation files (`mirclr.datasets.checksums`)."""

    tracks: int | None = Field(default=None, ge=1)
    labels: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    checksums: dict[Text, Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]] = Field(default_factory=dict)


class Entry(Strict):
    """One labelled collection. Exactly one of `table`, `folders` and `mirdata`.

    `root` may hold `$NAME`, `${NAME}` or `~` and is relative to datasets.yaml. `vocabulary` fixes the labels and
    their order (default: those found, sorted; for `regression` the columns). The first of `splits` is the default
    one. `known_bad`: path to reason; `faults`: what else is wrong with it, in words. `not_artists`: names such as
    compilations that are no single artist. `manifest`: a list by `mirclr data clean`, relative to datasets.yaml; what
    it does not keep is left out too.
    """

    title: Text
    licence: Text
    citation: Text
    where: Text
    root: Text
    task: Task
    table: TableLayout | None = None
    folders: FolderLayout | None = None
    mirdata: MirdataLayout | None = None
    vocabulary: tuple[Text, ...] | None = Field(default=None, min_length=1)
    splits: dict[Text, SplitRule] = Field(default={"folds": SplitRule(folds=5)}, min_length=1)
    expected: Expected = Expected()
    known_bad: dict[Text, Text] = Field(default_factory=dict)
    faults: tuple[Text, ...] = ()
    not_artists: tuple[Text, ...] = ()
    allow: tuple[AllowedLeak, ...] = ()
    manifest: Text | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Entry:
        problems = [*self._layout_problems(), *self._vocabulary_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _layout_problems(self) -> list[str]:
        if sum(layout is not None for layout in (self.table, self.folders, self.mirdata)) != 1:
            return ["give exactly one of table, folders and mirdata"]
        if self.table is None:
            return self._columnless_problems()
        if self.task not in ("multilabel", "regression") and len(self.table.labels) != 1:
            return [f"{self.task} reads one label column, table.labels names {len(self.table.labels)}"]
        if self.task == "multilabel" and len(self.table.labels) == 1 and self.table.separator is None:
            return ["multilabel reads several 0/1 columns, or one column with table.separator"]
        if self.table.separator is not None and (self.task != "multilabel" or len(self.table.labels) != 1):
            return ["table.separator belongs to multilabel with a single label column"]
        return []

    def _columnless_problems(self) -> list[str]:
        """Folders and loaders have one label a track and no further columns."""
        out = []
        if self.folders is not None and self.task not in ("multiclass", "key"):
            out.append(f"a folder per label is multiclass or key, not {self.task}")
        if self.mirdata is not None and self.task in ("multilabel", *FRAMEWISE):
            out.append(f"a loader of mirdata is multiclass, regression, key or tempo, not {self.task}")
        columns = [name for name, rule in self.splits.items() if rule.column is not None]
        return out + [f"splits.{name}.column: there is no table here" for name in columns]

    def _vocabulary_problems(self) -> list[str]:
        labels = self.vocabulary or ()
        twice = sorted({label for label in labels if labels.count(label) > 1})
        out = [f"vocabulary holds {label!r} twice" for label in twice]
        columns = self.table is not None and self.task != "multiclass" and self.table.separator is None
        if self.task in ("key", *FRAMEWISE) and self.vocabulary is not None:
            out.append(f"the vocabulary of {self.task} is fixed: leave it out")
        elif columns and self.vocabulary is not None:
            out.append("vocabulary is the list of label columns here: leave it out")
        if self.vocabulary is not None:
            unknown = sorted(set(self.expected.labels) - set(labels))
            out += [f"expected.labels: {label!r} is not in the vocabulary" for label in unknown]
        return out


@dataclass(frozen=True)
class Declared:
    """An entry with its name and the datasets.yaml it stands in."""

    name: str
    entry: Entry
    source: Path

    def resolve(self, text: str, base: Path | None = None) -> Path:
        """A path of the entry: `$NAME` and `~` filled in, relative to `base` (default: the folder of the yaml).

        Raises DatasetError when an environment variable is not set, saying how to get the audio.
        """
        unset = [name for name in re.findall(r"\$\{?(\w+)", text) if not os.environ.get(name)]
        if unset:
            raise DatasetError(
                f"{self.name}: set the environment variable {unset[0]} to the folder of this collection "
                f"({self.source} names it as {text}). {self.entry.where}"
            )
        filled = os.path.expanduser(os.path.expandvars(text))
        return Path(os.path.abspath((base or self.source.parent) / filled))

    @property
    def root(self) -> Path:
        """The collection's folder. Raises DatasetError when it is not known or not there."""
        root = self.resolve(self.entry.root)
        if not root.is_dir():
            raise DatasetError(f"{self.name}: {root} is not a folder ({self.source}, root). {self.entry.where}")
        return root


def shipped_file() -> Path:
    """The datasets.yaml that came with mirclr: beside the package in a checkout, under share/mirclr when installed.

    Raises DatasetError when neither is there.
    """
    checkout = Path(mirclr.__file__).resolve().parents[1] / FILE_NAME
    if checkout.is_file():
        return checkout
    for file in importlib.metadata.files("mirclr") or ():
        if file.name == FILE_NAME and Path(str(file.locate())).is_file():
            return Path(str(file.locate())).resolve()
    raise DatasetError(f"{FILE_NAME} did not come with this installation: name one with --datasets or {ENVIRONMENT}")


def registry_files(named: Path | None = None) -> list[Path]:
    """The files read, weakest first: the shipped one, then the user's: `named`, else $MIRCLR_DATASETS, else
    `datasets.yaml` in the current folder. A name declared twice means the later one."""
    own = named or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else Path.cwd() / FILE_NAME)
    explicit = named is not None or bool(os.environ.get(ENVIRONMENT))
    files = [shipped_file()]
    # The current folder is only a suggestion; a file that was asked for has to be there (read_yaml says so).
    if explicit or own.is_file():
        files.append(own.expanduser().resolve())
    return list(dict.fromkeys(files))


def read_file(path: Path) -> dict[str, Declared]:
    """The collections of one datasets.yaml by name. Raises ConfigError with every mistake of the whole file."""
    data = read_yaml(path)
    problems = _frame_problems(data)
    if problems:
        raise ConfigError(str(path), problems)
    out: dict[str, Declared] = {}
    for name, section in data["collections"].items():
        try:
            out[name] = Declared(name, validate(Entry, section, str(path)), path)
        except ConfigError as error:
            problems += [f"collections.{name}.{p}".replace(".(top level)", "") for p in error.problems]
    if problems:
        raise ConfigError(str(path), problems)
    return out


def _frame_problems(data: Any) -> list[str]:
    """Mistakes in the two keys around the entries."""
    if not isinstance(data, Mapping) or not isinstance(data.get("collections"), Mapping):
        return [f"write `version: {VERSION}` and `collections:` with one section per collection"]
    known = ("version", "collections")
    out = [f"{key}: unknown key.{nearest(str(key), known)}" for key in data if key not in known]
    if data.get("version") != VERSION:
        out.append(f"version: this mirclr reads version {VERSION} (got {data.get('version')!r})")
    names = [n for n in data["collections"] if not isinstance(n, str) or not re.fullmatch(r"[\w.+-]+", n)]
    return out + [f"collections.{name}: a name is letters, digits and . _ + - only" for name in names]


def read_registry(named: Path | None = None) -> dict[str, Declared]:
    """Every declared collection by name, the user's own file over the shipped one (see `registry_files`).

    Raises ConfigError with every mistake of a file, DatasetError when no datasets.yaml can be found.
    """
    out: dict[str, Declared] = {}
    for path in registry_files(named):
        out.update(read_file(path))
    return out
