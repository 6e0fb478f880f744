"""Tuning as a user meets it: a winner that pretrain reads, a search that goes on, mistakes said before any trial."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from mirclr.config import PretrainConfig, dump, read_yaml, validate
from tests.support.tiny import tiny
from tests.support.tones import tone_folder

SPACE = "optim.learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}\noptim.batch: {choices: [2, 4]}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tones, tiny settings and a small space; the cache is the test's own."""
    tone_folder(tmp_path / "music")
    (tmp_path / "tiny.json").write_text(dump(tiny(tmp_path / "cache", hold_out=0.5, budget={})))
    (tmp_path / "space.yaml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tune(*words: str) -> Result:
    base = ["tune", "music", "-o", "out", "--config", "tiny.json", "--space", "space.yaml", "--trial-steps", "3"]
    return CliRunner().invoke(main, [*base, *words])


def test_a_search_goes_on_and_its_winner_is_a_configuration(home: Path) -> None:
    first = tune("--trials", "1", "--confirm", "0")
    assert first.exit_code == 0, first.output
    before = pd.read_csv(home / "out" / "trials.csv")
    again = tune("--trials", "3", "--confirm", "1", "--json")
    assert again.exit_code == 0, again.output
    after = pd.read_csv(home / "out" / "trials.csv")
    assert (len(before), len(after)) == (1, 3)
    best = validate(PretrainConfig, read_yaml(home / "out" / "best.json"), "best.json")
    assert best.optim.batch in (2, 4)
    assert 1e-3 <= best.optim.learning_rate <= 1e-2
    assert json.loads(again.stdout)


def test_another_space_is_not_mixed_into_a_search(home: Path) -> None:
    assert tune("--trials", "1", "--confirm", "0").exit_code == 0
    (home / "space.yaml").write_text("optim.batch: {choices: [4]}\n")
    refused = tune("--trials", "2", "--confirm", "0")
    assert refused.exit_code != 0
    assert "space" in refused.stderr


def test_every_mistake_of_a_space_is_said_before_anything_is_decoded(home: Path) -> None:
    (home / "space.yaml").write_text("optim.learning_rat: {low: 1, high: 2}\noptim.batch: {low: 4}\n")
    refused = tune("--trials", "1")
    assert refused.exit_code == 2
    assert "learning_rate" in refused.stderr
    assert "optim.batch" in refused.stderr
    assert not (home / "cache").exists()


def test_the_range_test_gives_a_rate_and_its_curve(home: Path) -> None:
    done = CliRunner().invoke(main, ["tune", "music", "-o", "out", "--config", "tiny.json", "--find-rate"])
    assert done.exit_code == 0, done.output
    curve = pd.read_csv(home / "out" / "rates.csv")
    assert curve.iloc[:, 0].is_monotonic_increasing
    assert len(curve) > 10
