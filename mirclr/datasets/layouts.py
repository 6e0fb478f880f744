"""Where a collection's labels and splits stand: the parts of a declaration, checked as it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from mirclr.config import Strict, nearest
from mirclr.datasets.columns import template_columns
from mirclr.datasets.formats import READERS

# Words that name a part of a split, in a column and as folders.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
PART = "part"
"""The column that says which of several files a row was read from."""
TableFile = tuple[str, Path]
"""A file of a table and the part its rows belong to, '' where there are no parts."""
PartName = Literal["train", "valid", "test"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Cell = Annotated[str, StringConstraints(strip_whitespace=True)]


class Join(Strict):
    """A second file whose row with the same cell in `column` gives further columns (emoMusic's songs_info.csv)."""

    file: Text
    format: Text = "delimited"
    column: Text


class TableLayout(Strict):
    """One row a track, read from `file` in a published `format` (`mirclr.datasets.formats.READERS`).

    `file` is relative to the collection's root: one file, a pattern (`keys/*.key`), or a file per part, whose rows
    then have it in the column `part`; `{split}` in it stands for the split rule's name. `path` is the column with the
    sound's path below the root, or a template of columns: `audio/{id:0>6}.mp3` (`mirclr.datasets.columns.filled`); a
    file that is not there is looked for under the other `suffixes`. Every other name is a column.

    `labels`: one column for `multiclass`; for `multilabel` one column of names joined by `separator`, or several
    columns of 0 and 1; for `regression` one column of numbers per target. `rename` maps labels as written to labels;
    rows whose label is one of `no_label` are left out and counted. `patterns` adds columns: the named groups of a
    regular expression that a column has to match. `keep` names the rows that belong: column to values. `outside`: may
    the table name files outside the root?
    """

    file: Text | dict[PartName, Text]
    format: Text = "delimited"
    path: Text = "path"
    labels: tuple[Text, ...] = Field(min_length=1)
    separator: str | None = Field(default=None, min_length=1)
    artist: Text | None = None
    album: Text | None = None
    title: Text | None = None
    suffixes: tuple[Annotated[str, StringConstraints(pattern=r"^\.\w+$")], ...] = ()
    patterns: dict[Text, Text] = Field(default_factory=dict)
    join: Join | None = None
    keep: dict[Text, tuple[Cell, ...]] = Field(default_factory=dict)
    rename: dict[Cell, Cell] = Field(default_factory=dict)
    no_label: tuple[Cell, ...] = ()
    outside: bool = False

    @property
    def files(self) -> dict[str, str]:
        """{part: file as written}; the part of a single file is ''."""
        return {"": self.file} if isinstance(self.file, str) else {str(part): name for part, name in self.file.items()}

    def columns_read(self) -> set[str]:
        """The columns that this layout names, those it makes itself included."""
        named = (*self.labels, self.artist, self.album, self.title, *template_columns(self.path), *self.patterns)
        return {*filter(None, named), *self.keep, *([self.join.column] if self.join else [])}

    def columns_made(self) -> set[str]:
        """The columns that reading adds to those of the file."""
        groups = (re.compile(pattern).groupindex for pattern in self.patterns.values())
        return {PART, *(name for names in groups for name in names)}

    @model_validator(mode="after")
    def _readable(self) -> TableLayout:
        problems = list(self._format_problems())
        for column, pattern in self.patterns.items():
            try:
                if not re.compile(pattern).groupindex:
                    problems.append(f"patterns.{column}: no named group (?P<name>...) in {pattern!r}")
            except re.error as error:
                problems.append(f"patterns.{column}: {pattern!r} is no regular expression: {error}")
        try:
            template_columns(self.path)
        except ValueError as error:
            problems.append(f"path: {self.path!r}: {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _format_problems(self) -> Iterator[str]:
        for name in (self.format, *([self.join.format] if self.join else [])):
            if name not in READERS:
                yield f"no format {name!r}.{nearest(name, READERS)}"


class FolderLayout(Strict):
    """One subfolder of the root per label, sound at any depth below it; artists from the files' tags, or unknown."""

    artist: Literal["tags", "none"] = "tags"


class MirdataLayout(Strict):
    """A loader of the package mirdata, which is optional: the tracks of `loader`, their attribute `label`, and if there
    is one their attribute `artist`. `version` is the loader's; `rename` and `no_label` are those of a table."""

    loader: Text
    label: Text
    artist: Text | None = None
    version: Text = "default"
    rename: dict[Cell, Cell] = Field(default_factory=dict)
    no_label: tuple[Cell, ...] = ()


class SplitRule(Strict):
    """How tracks are divided; exactly one of five.

    `column` of the table: the words train, valid and test make one split, any other values are folds, each the test
    part once; `parts` gives other words their part (`{train: [development], test: [evaluation]}`). `files`: lists,
    one path a line (or a `.npy` of strings), for train, test and if published valid. `fold_files`: a pattern; each list
    is a fold. `prefix` stands before every path of a list. `table`: a csv with the column `path` and a column of the
    words per split, as `mirclr data split` writes it. `folds`: that many seeded folds of whole artists.

    `labelled`: tracks without any label are in no part (multilabel).
    """

    column: Text | None = None
    parts: dict[PartName, tuple[Text, ...]] | None = None
    files: dict[PartName, Text] | None = None
    fold_files: Text | None = None
    prefix: str = ""
    table: Text | None = None
    folds: int | None = Field(default=None, ge=2, le=50)
    labelled: bool = False

    @model_validator(mode="after")
    def _one_rule(self) -> SplitRule:
        rules = (self.column, self.files, self.fold_files, self.table, self.folds)
        if sum(rule is not None for rule in rules) != 1:
            raise ValueError("give exactly one of column, files, fold_files, table and folds")
        for name, parts in (("files", self.files), ("parts", self.parts)):
            if parts is not None and not {"train", "test"} <= set(parts):
                raise ValueError(f"{name} needs at least train and test")
        if self.parts is not None and self.column is None:
            raise ValueError("parts belongs to column")
        if self.prefix and self.files is None and self.fold_files is None:
            raise ValueError("prefix belongs to files and fold_files")
        if self.labelled and self.column is None and self.files is None:
            raise ValueError("labelled belongs to column and files")
        return self
