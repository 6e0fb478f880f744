"""Every entry of the shipped datasets.yaml, on a small fixture in the exact format its owners publish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirclr.datasets.leakage import audit
from mirclr.datasets.registry import read_file, shipped_file
from mirclr.datasets.table import load_collection
from tests.support.collections_on_disk import BUILDERS

ENTRIES = read_file(shipped_file())
RULES = [(name, rule) for name, found in ENTRIES.items() for rule in found.entry.splits]


def test_every_entry_has_a_fixture_and_every_fixture_an_entry() -> None:
    assert set(BUILDERS) == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_declaration_tells_a_stranger_what_to_do(name: str) -> None:
    entry = ENTRIES[name].entry
    assert "http" in entry.where
    assert entry.root.startswith("${MIRCLR_"), "a shipped root is an environment variable, never a machine's path"
    assert entry.root.strip("${}") in entry.where
    assert any(character.isdigit() for character in entry.citation), "a citation has a year"


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_the_published_format_is_read_whole(
    name: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ENTRIES[name].entry
    BUILDERS[name](tmp_path)
    monkeypatch.setenv(entry.root.strip("${}"), str(tmp_path))
    made = load_collection(name, split=rule, registry=shipped_file())

    assert (made.name, made.task, made.missing) == (name, entry.task, ())
    count, labels = len(made.tracks), len(made.vocabulary)
    assert count == len(made.groups) >= 20
    assert made.targets.shape == ((count,) if made.task == "multiclass" else (count, labels))
    assert made.targets.dtype == (np.int64 if made.task == "multiclass" else np.float32)
    assert np.isfinite(made.targets).all()
    assert made.tracks["path"].map(lambda path: Path(path).is_file()).all()
    assert made.tracks["id"].is_unique

    assert audit(made) == []
    for split in made.splits:
        assert min(map(len, split.parts.values())) > 0
        if made.task == "multiclass":
            assert set(made.targets[split.train].tolist()) == set(range(labels))
    if len(made.splits) > 1:
        tested = np.concatenate([split.test for split in made.splits])
        assert sorted(tested.tolist()) == list(range(count))


def test_the_declaration_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (shipped_file().parent / "docs" / "datasets.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "datasets.yaml").write_text(example, encoding="utf-8")
    entry = read_file(tmp_path / "datasets.yaml")["dances"].entry
    assert list(entry.splits) == ["published", "ten", "seeded"]
    unused = {name for name in type(entry).model_fields if name not in entry.model_fields_set}
    assert unused == {"folders"}, "every key is shown"
