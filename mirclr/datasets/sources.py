"""What DATASET names: a declared collection, a folder per label, or a csv / tsv of one's own.

The last two get a declaration of their own here, so that everything after this file knows declarations only.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mirclr.config import nearest, validate
from mirclr.datasets.layouts import FolderLayout, SplitRule, TableFile, TableLayout
from mirclr.datasets.registry import Declared, Entry, read_registry
from mirclr.datasets.sheet import Sheet, read_sheet
from mirclr.datasets.tasks import Task
from mirclr.errors import DatasetError, UsageError
from mirclr.units import printable

TABLE_SUFFIXES = (".csv", ".tsv")
SEEDED = "folds"
DEFAULT_FOLDS = 5
# Column names recognised, whatever their case, in a table without a declaration; the first that is there is taken.
PATH_COLUMNS = ("path", "file", "filename", "filepath", "file_path", "audio_path")
LABEL_COLUMNS = ("label", "genre", "class", "style")
ARTIST_COLUMNS = ("artist", "artist_name", "artist_id")
SPLIT_COLUMNS = ("split", "fold")


@dataclass(frozen=True)
class Source:
    """A declaration with its paths resolved, for one split `rule` of it. `files`: those of a table layout, with the
    part of each; `joined`: the file joined to them; `lists`: the files of the rule, by part or by fold."""

    name: str
    entry: Entry
    root: Path
    rule: str
    files: tuple[TableFile, ...] = ()
    joined: Path | None = None
    lists: Mapping[str, Path] = field(default_factory=dict)
    manifest: Path | None = None


class _Files:
    """The files that a declaration names, found: `{split}` is the rule's name. Raises DatasetError on one that is not
    there."""

    def __init__(self, found: Declared, root: Path, rule: str) -> None:
        self.found, self.root, self.rule = found, root, rule

    def one(self, text: str, base: Path | None = None) -> Path:
        path = self.found.resolve(text.replace("{split}", self.rule), base or self.root)
        if not path.is_file():
            raise DatasetError(f"{self.found.name}: {path} is not there. {self.found.entry.where}")
        return path

    def many(self, text: str) -> list[Path]:
        """The file, or in the order of their names all that a pattern with * stands for."""
        if "*" not in text:
            return [self.one(text)]
        names = sorted(glob.glob(text.replace("{split}", self.rule), root_dir=self.root), key=os.fsencode)
        if not names:
            raise DatasetError(f"{self.found.name}: no file is called {self.root / text}. {self.found.entry.where}")
        return [self.root / name for name in names]

    def lists(self, split: SplitRule) -> dict[str, Path]:
        if split.fold_files is not None:
            return {path.stem: path for path in self.many(split.fold_files)}
        if split.table is not None:
            return {"": self.one(split.table)}
        return {part: self.one(text) for part, text in (split.files or {}).items()}


def _chosen(name: str, entry: Entry, split: str | None) -> str:
    """The split rule asked for, or the first. Raises UsageError on one that is not declared."""
    rule = split or next(iter(entry.splits))
    if rule not in entry.splits:
        raise UsageError(f"{name}: no split {rule!r}.{nearest(rule, entry.splits)}")
    return rule


def _of_declared(found: Declared, split: str | None) -> Source:
    """Raises DatasetError when the root or a file that the declaration names is not there."""
    root, entry = found.root, found.entry
    rule = _chosen(found.name, entry, split)
    files, table = _Files(found, root, rule), entry.table
    return Source(
        found.name,
        entry,
        root,
        rule,
        files=tuple((part, path) for part, text in table.files.items() for path in files.many(text)) if table else (),
        joined=files.one(table.join.file) if table and table.join else None,
        lists=files.lists(entry.splits[rule]),
        manifest=files.one(entry.manifest, found.source.parent) if entry.manifest else None,
    )


def _own_entry(path: Path, splits: Mapping[str, SplitRule], **layout: Any) -> Entry:
    """The declaration of a collection that has none. Without a published split: seeded folds by artist."""
    unstated = "not stated (a collection of your own)"
    facts = {"title": _name_of(path), "licence": unstated, "citation": unstated, "where": "on this machine"}
    rules = {**splits, SEEDED: SplitRule(folds=DEFAULT_FOLDS)}
    data = {"task": "multiclass", **facts, "root": ".", "splits": rules, **layout}
    return validate(Entry, data, printable(path))


def _name_of(path: Path) -> str:
    """What a collection of one's own is called: the folder, or the table without its suffix."""
    name = path.stem if path.suffix.lower() in TABLE_SUFFIXES else path.name
    return printable(name).strip() or "collection"


def _of_folder(path: Path, label: str | None, split: str | None, task: Task) -> Source:
    if label is not None:
        raise UsageError(
            f"{printable(path)} is a folder per label: its subfolders are the labels, it has no column {label!r}"
        )
    entry = _own_entry(path, {}, folders=FolderLayout(), task=task)
    return Source(_name_of(path), entry, path, _chosen(_name_of(path), entry, split))


def _one_of(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """The first of `known` among `columns`, case aside."""
    by_name = {column.casefold(): column for column in reversed(columns)}
    return next((by_name[name] for name in known if name in by_name), None)


def _needed(sheet: Sheet, what: str, known: Sequence[str]) -> str:
    column = _one_of(sheet.columns, known)
    if column is None:
        raise DatasetError(
            f"{printable(sheet.path)}: no {what} column; columns found: {', '.join(sheet.columns)}; "
            f"recognised as {what}: {', '.join(known)}"
        )
    return column


def _of_table(path: Path, label: str | None, split: str | None, task: Task) -> Source:
    """A user's own table: path and label are required, artist and a split column optional."""
    sheet = read_sheet(path)
    layout = TableLayout(
        file=path.name,
        path=_needed(sheet, "path", PATH_COLUMNS),
        labels=(label or _needed(sheet, "label", LABEL_COLUMNS if task in ("multiclass", "regression") else (task,)),),
        artist=_one_of(sheet.columns, ARTIST_COLUMNS),
        album=_one_of(sheet.columns, ("album",)),
        title=_one_of(sheet.columns, ("title",)),
        outside=True,
    )
    column = split if split and split != SEEDED else _one_of(sheet.columns, SPLIT_COLUMNS)
    splits = {column: SplitRule(column=column)} if column is not None else {}
    entry = _own_entry(path, splits, table=layout, task=task)
    return Source(_name_of(path), entry, path.parent, _chosen(_name_of(path), entry, split), files=(("", path),))


def _with_label(source: Source, label: str, task: Task | None) -> Source:
    """A declared table read by another label column, as `task`; None: one target of a regression stays one, any other
    column holds names to tell apart."""
    table = source.entry.table
    if table is None:
        raise UsageError(f"{source.name} has no table: there is no column {label!r}")
    stays = source.entry.task == "regression" and label in table.labels
    kind = task or ("regression" if stays else "multiclass")
    labels: dict[str, Any] = {"labels": (label,), "separator": None, "rename": {}, "no_label": ()}
    changed = {"table": {**table.model_dump(), **labels}, "task": kind}
    plain = source.entry.model_dump(exclude={"table", "task", "vocabulary", "expected"})
    return replace(source, entry=validate(Entry, {**plain, **changed}, source.name))


def _relabelled(source: Source, label: str | None, task: Task | None) -> Source:
    if label is not None:
        return _with_label(source, label, task)
    if task not in (None, source.entry.task):
        raise UsageError(f"{source.name} is declared as {source.entry.task}; name the column that is {task} (--label)")
    return source


def find_source(
    dataset: str | Path, registry: Path | None, label: str | None, split: str | None, task: Task | None = None
) -> Source:
    """DATASET resolved. A bare word is a declared name first, so `./emotify` is how to mean a folder of that name.

    `registry`: a datasets.yaml (default: see `registry.registry_files`); `label`: another label column; `split`: the
    rule or, for one's own table, the column to split by; `task`: what the labels of a table or folder of one's own, or
    those of `label`, are (default: multiclass). Raises DatasetError, ConfigError, UsageError.
    """
    text, path = os.fspath(dataset), Path(dataset).expanduser()
    if not text.strip():
        raise UsageError("DATASET is empty: give a name in datasets.yaml, a folder per label, or a csv")
    if not _is_path(text):
        declared = read_registry(registry)
        if text in declared:
            return _relabelled(_of_declared(declared[text], split), label, task)
        if not path.exists():
            hint = nearest(text, declared)
            raise DatasetError(
                f"{printable(text)}: neither a collection in datasets.yaml nor a folder or csv here.{hint}"
            )
    path = Path(os.path.abspath(path))
    if path.is_dir():
        return _of_folder(path, label, split, task or "multiclass")
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        return _of_table(path, label, split, task or "multiclass")
    what = "is neither a folder nor a .csv or .tsv table" if path.exists() else "is not there"
    raise DatasetError(f"{printable(path)} {what}")


def _is_path(text: str) -> bool:
    """Looks like a path rather than a name: holds a separator or ends like a table."""
    return os.sep in text or text in (".", "..", "~") or text.lower().endswith(TABLE_SUFFIXES)
