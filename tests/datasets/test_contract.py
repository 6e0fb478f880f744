"""Every entry of the shipped datasets.yaml, on a small fixture in the exact format its owners publish."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirclr.datasets.leakage import audit
from mirclr.datasets.registry import read_file, shipped_file
from mirclr.datasets.table import load_collection, read_collection
from mirclr.datasets.targets import per_label
from mirclr.errors import DatasetError
from tests.support.published_collections import BUILDERS, ENTRIES

RULES = [(name, rule) for name, entry in ENTRIES.items() for rule in entry.splits]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The fixture of an entry, written once a builder."""
    made: dict[object, Path] = {}

    def root_of(name: str) -> Path:
        builder = BUILDERS[name]
        if builder not in made:
            made[builder] = tmp_path_factory.mktemp(name)
            builder(made[builder])
        return made[builder]

    return root_of


def variable(name: str) -> str:
    return ENTRIES[name].root.strip("${}")


def test_every_entry_has_a_fixture_and_every_fixture_an_entry() -> None:
    assert set(BUILDERS) == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_declaration_tells_a_stranger_what_to_do(name: str) -> None:
    entry = ENTRIES[name]
    assert "http" in entry.where
    assert entry.root.startswith("${MIRCLR_"), "a shipped root is an environment variable, never a machine's path"
    assert entry.root.strip("${}") in entry.where
    assert any(character.isdigit() for character in entry.citation), "a citation has a year"
    assert entry.vocabulary or entry.task != "multiclass"


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_the_published_format_is_read_whole(
    name: str, rule: str, built: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ENTRIES[name]
    monkeypatch.setenv(variable(name), str(built(name)))
    made = load_collection(name, split=rule, registry=shipped_file())

    assert (made.name, made.kind, made.missing) == (name, entry.task, ())
    count, labels = len(made.tracks), len(made.vocabulary)
    assert count == len(made.groups) >= 20
    assert made.targets.shape == ((count,) if made.task == "multiclass" else (count, labels))
    assert made.targets.dtype == (np.int64 if made.task == "multiclass" else np.float32)
    assert np.isfinite(made.targets).all()
    assert made.tracks["path"].map(lambda path: Path(path).is_file()).all()
    assert made.tracks["id"].is_unique
    assert not set(made.tracks["id"]) & set(entry.known_bad)
    assert (entry.vocabulary or made.vocabulary) == made.vocabulary
    if entry.table is not None and entry.table.artist:
        assert made.tracks["artist"].notna().any()

    assert audit(made) == []
    for split in made.splits:
        assert min(map(len, split.parts.values())) > 0
        if made.task != "regression" and name != "nsynth-pitch":  # which no small fixture can play in full
            found = (per_label(made.targets, made.task, labels) > 0).sum()
            learnt = (per_label(made.targets[split.train], made.task, labels) > 0).sum()
            assert found == labels if made.task == "multiclass" else found >= min(30, labels)
            assert learnt == labels if labels <= 13 else learnt >= 10
    if len(made.splits) > 1:
        tested = np.concatenate([split.test for split in made.splits])
        assert sorted(tested.tolist()) == list(range(count))


@pytest.mark.parametrize("name", ENTRIES)
def test_a_missing_root_or_annotation_file_is_named_with_where_to_get_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match=r"nowhere is not a folder.*http"):
        load_collection(name, registry=shipped_file())
    monkeypatch.setenv(variable(name), str(tmp_path))
    with pytest.raises(DatasetError, match=re.escape(str(tmp_path))):
        load_collection(name, registry=shipped_file())


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.table is not None])
def test_a_missing_sound_file_is_named(
    name: str, built: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), str(built(name)))
    whole = load_collection(name, registry=shipped_file()).tracks
    gone, away = Path(whole["path"][1]), built(name) / "away"
    gone.rename(away)
    try:
        less = read_collection(name, registry=shipped_file(), max_missing=0.5)
    finally:
        away.rename(gone)
    assert less.missing == (whole["id"][1],)


def test_the_declaration_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (shipped_file().parent / "docs" / "datasets.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "datasets.yaml").write_text(example, encoding="utf-8")
    entry = read_file(tmp_path / "datasets.yaml")["dances"].entry
    assert list(entry.splits) == ["published", "ten", "seeded"]
    unused = {name for name in type(entry).model_fields if name not in entry.model_fields_set}
    assert unused == {"folders", "mirdata"}, "every key is shown"
