"""datasets.yaml is read strictly: every mistake at once, with its place and the nearest right key."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from mirclr.datasets import registry
from mirclr.datasets.registry import read_file, read_registry, registry_files, shipped_file
from mirclr.errors import ConfigError, DatasetError

FACTS = "title: T, licence: L, citation: C, where: W, root: ."
TABLE = f"{{{FACTS}, task: multiclass, table: {{file: t.csv, labels: [label]}}}}"


def declare(folder: Path, **entries: str) -> Path:
    path = folder / "datasets.yaml"
    lines = [f"  {name.replace('_', '-')}: {text}" for name, text in entries.items()]
    path.write_text("\n".join(["version: 1", "collections:", *lines]), encoding="utf-8")
    return path


def entry(**changes: str) -> str:
    """A flow-style entry: facts, multiclass table, and what a test changes."""
    parts = {"task": "multiclass", "table": "{file: t.csv, labels: [label]}", **changes}
    return "{" + FACTS + ", " + ", ".join(f"{key}: {value}" for key, value in parts.items() if value) + "}"


def test_every_mistake_of_every_entry_is_reported_at_once(tmp_path: Path) -> None:
    bad = entry(table="{file: t.csv, labels: [label], artits: who}", task="multyclass", splits="{a: {folds: 1}}")
    path = declare(tmp_path, one=bad, two=entry(vocabulary="[a, a]"))
    with pytest.raises(ConfigError) as caught:
        read_file(path)
    text = str(caught.value)
    assert "collections.one.table.artits: unknown key. Did you mean 'artist'?" in text
    assert "collections.one.task" in text
    assert "collections.one.splits.a.folds" in text
    assert "collections.two" in text
    assert "vocabulary holds 'a' twice" in text
    assert str(path) in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": ""}, "exactly one of table, folders and mirdata"),
        ({"folders": "{}"}, "exactly one of table, folders and mirdata"),
        ({"table": "{file: t.csv, labels: [a, b]}"}, "multiclass reads one label column"),
        ({"task": "multilabel"}, "several 0/1 columns, or one column with table.separator"),
        ({"table": "{file: t.csv, labels: [a], separator: ';'}"}, "table.separator belongs to multilabel"),
        ({"table": "", "folders": "{}", "task": "regression"}, "a folder per label is multiclass"),
        ({"table": "", "folders": "{}", "splits": "{a: {column: fold}}"}, "there is no table here"),
        ({"splits": "{a: {folds: 5, column: fold}}"}, "exactly one of column, files, fold_files, table and folds"),
        ({"splits": "{a: {files: {train: a.txt}}}"}, "files needs at least train and test"),
        ({"splits": "{a: {folds: 5, prefix: x}}"}, "prefix belongs to files and fold_files"),
        ({"splits": "{a: {folds: 5, parts: {train: [a], test: [b]}}}"}, "parts belongs to column"),
        ({"splits": "{a: {folds: 5, labelled: true}}"}, "labelled belongs to column and files"),
        ({"table": "{file: t.csv, labels: [a], format: jamz}"}, "no format 'jamz'. Did you mean 'jams'"),
        ({"table": "{file: t.csv, labels: [a], path: '{}/x'}"}, "write {column}"),
        ({"table": "{file: t.csv, labels: [a], patterns: {x: '(y'}}"}, "is no regular expression"),
        ({"table": "{file: t.csv, labels: [a], patterns: {x: 'y'}}"}, "no named group"),
        ({"table": "{file: t.csv, labels: [a], join: {file: b.csv, column: x, format: odd}}"}, "no format 'odd'"),
        (
            {"table": "", "mirdata": "{loader: l, label: a}", "task": "multilabel"},
            "multiclass, regression, key or tempo",
        ),
        ({"expected": "{checksums: {t.csv: abc}}"}, "expected.checksums"),
        ({"splits": "{}"}, "at least 1 item"),
        ({"known_bad": "{a.wav: ''}"}, "at least 1 character"),
        ({"allow": "[{kind: artist_overlap}]"}, "allow.0.reason"),
        ({"allow": "[{kind: artist_overlop, reason: r}]"}, "allow.0.kind"),
        ({"task": "regression", "vocabulary": "[a, b]"}, "vocabulary is the list of label columns here"),
        ({"vocabulary": "[a, b]", "expected": "{labels: {c: 3}}"}, "'c' is not in the vocabulary"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_file(declare(tmp_path, mine=entry(**changes)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write `version: 1` and `collections:`"),
        ("[1, 2]", "write `version: 1` and `collections:`"),
        ("version: 2\ncollections: {}", "this mirclr reads version 1"),
        ("version: 1\ncollections: {}\ncolections: {}", "colections: unknown key. Did you mean 'collections'"),
        ("version: 1\ncollections: {'../x': {}}", "a name is letters"),
        ("version: 1\ncollections:\n  a: 1\n  a: 2", "the key 'a' is given twice"),
        ("version: 1\ncollections: {a: !!python/name:os.system }", "could not determine a constructor"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "datasets.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_file(path)


def test_an_unset_variable_in_root_says_which_and_where_the_audio_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = declare(tmp_path, mine=TABLE.replace("root: .", 'root: "${MIRCLR_NOWHERE}/x"'))
    monkeypatch.delenv("MIRCLR_NOWHERE", raising=False)
    with pytest.raises(DatasetError, match=r"set the environment variable MIRCLR_NOWHERE .* W"):
        _ = read_file(path)["mine"].root
    monkeypatch.setenv("MIRCLR_NOWHERE", "")  # an empty one must not mean the folder of the yaml
    with pytest.raises(DatasetError, match="set the environment variable MIRCLR_NOWHERE"):
        _ = read_file(path)["mine"].root


def test_root_is_relative_to_the_file_and_knows_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "x").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = declare(
        tmp_path, a=TABLE.replace("root: .", "root: sub"), b=TABLE.replace("root: .", "root: ~/x"),
        c=TABLE.replace("root: .", "root: gone"),
    )  # fmt: skip
    found = read_file(path)
    assert found["a"].root == tmp_path / "sub"
    assert found["b"].root == tmp_path / "home" / "x"
    with pytest.raises(DatasetError, match="gone is not a folder"):
        _ = found["c"].root


def test_a_users_entry_replaces_the_shipped_one_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.ENVIRONMENT, raising=False)
    path = declare(tmp_path, emotify=TABLE, mine=TABLE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read_registry()["emotify"].source == shipped_file()
    assert read_registry(path)["emotify"].source == path
    assert {"mine", "emotify-emotions"} <= set(read_registry(path))
    monkeypatch.setenv(registry.ENVIRONMENT, str(path))
    assert "mine" in read_registry()
    monkeypatch.delenv(registry.ENVIRONMENT)
    monkeypatch.chdir(tmp_path)
    assert "mine" in read_registry()


def test_a_file_that_was_asked_for_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        read_registry(tmp_path / "nothing.yaml")
    monkeypatch.setenv(registry.ENVIRONMENT, str(tmp_path / "unset.yaml"))
    with pytest.raises(ConfigError, match=r"unset\.yaml"):
        read_registry()


def test_in_the_checkout_the_shipped_file_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.ENVIRONMENT, raising=False)
    monkeypatch.chdir(shipped_file().parent)
    assert registry_files() == [shipped_file()]


class _Installed(PurePosixPath):
    """An entry of an installed package's file list."""

    def locate(self) -> Path:
        return Path(self)


def test_an_installed_mirclr_finds_the_file_it_came_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "share" / "mirclr"
    shared.mkdir(parents=True)
    path = declare(shared, mine=TABLE)
    monkeypatch.setattr("mirclr.__file__", str(tmp_path / "site-packages" / "mirclr" / "__init__.py"))
    monkeypatch.setattr(registry.importlib.metadata, "files", lambda name: [_Installed(path)])
    assert shipped_file() == path
    monkeypatch.setattr(registry.importlib.metadata, "files", lambda name: None)
    with pytest.raises(DatasetError, match="did not come with this installation"):
        shipped_file()
