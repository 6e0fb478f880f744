"""An ablation: rows say what they change, results are kept, what is new is made, tables compare with the default."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.audio.scan import scan
from mirclr.config import BudgetConfig, PretrainConfig, validate
from mirclr.datasets.table import load_collection
from mirclr.errors import ConfigError, DatasetError
from mirclr.evaluation.judge import Judged, Measure
from mirclr.recipes.ablation import Exam, Job, Result, ablate, do, read_result
from mirclr.recipes.ablation_rows import Groups, Row, RowConfig, rows_of
from mirclr.recipes.ablation_table import markdown, per_seed, table, write_tables
from mirclr.reports import finish
from tests.support.tiny import TINY
from tests.support.tones import tone_folder


def groups(**rows: RowConfig) -> Groups:
    return {"group": dict(rows)}


def chain(row: Row) -> list[str]:
    return [part.name for part in row.config.augment.spec]


def test_a_row_is_the_base_with_its_settings_without_and_with_its_effects() -> None:
    base = PretrainConfig()
    rows = rows_of(
        groups(
            loss=RowConfig(settings={"loss": {"name": "nt_xent"}}),
            fewer=RowConfig(without=("spec_eq", "time_mask")),
            more=RowConfig(add=({"name": "cutmix", "p": 0.3}, {"name": "noise"})),  # type: ignore[arg-type]
        ),
        base,
    )
    assert [row.name for row in rows] == ["default", "loss", "fewer", "more"]
    assert rows[0].config == base
    assert (rows[1].config.loss.name, chain(rows[1])) == ("nt_xent", chain(rows[0]))
    assert [name for name in chain(rows[0]) if name not in chain(rows[2])] == ["spec_eq", "time_mask"]
    added = chain(rows[3])
    assert added.index("cutmix") < added.index("time_mask"), "masks stay at the end"
    assert [part.name for part in rows[3].config.augment.wave] == ["noise"]


def test_every_mistake_in_the_rows_is_told_at_once() -> None:
    wrong = {
        "a": {
            "x": RowConfig(settings={"loss": {"temperatur": 1}, "optm": {}}),
            "y": RowConfig(without=("time_masc",)),
            "z": RowConfig(add=({"name": "cutmx"},)),  # type: ignore[arg-type]
        },
        "b": {"one row": RowConfig(), "one-row": RowConfig()},
    }
    with pytest.raises(ConfigError) as caught:
        rows_of(wrong, PretrainConfig())
    text = "\n".join(caught.value.problems)
    assert "a.x: optm: unknown key" in text
    assert "a.y: without time_masc: not in the chain. Did you mean 'time_mask'" in text
    assert "a.z: add: no effect 'cutmx'. Did you mean 'cutmix'" in text
    assert "b.one-row: another row has this name on disk" in text


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tracks of six artists in two classes, listed in two orders."""
    root = tmp_path_factory.mktemp("tones")
    tracks = tone_folder(root / "music", 12, 2.0)
    paths = [f"music/{Path(path).name}" for path in tracks["path"]]
    label = [f"label {number // 2 % 2}" for number in range(12)]
    pd.DataFrame({"path": paths, "label": label, "artist": tracks["artist"]}).to_csv(root / "labels.csv", index=False)
    pd.DataFrame({"path": paths[::-1], "label": label, "artist": tracks["artist"]}).to_csv(root / "b.csv", index=False)
    return root


def base_config(root: Path) -> PretrainConfig:
    return validate(PretrainConfig, {**TINY, "cache": {"folder": str(root / "cache"), "workers": 1}}, "test")


def run(root: Path, out: Path, rows: Groups, seeds: int = 1) -> list[Result]:
    planned = rows_of(rows, base_config(root))
    exam = Exam(load_collection(str(root / "labels.csv")), sensitive=6)
    looks: list[int] = []
    look = lambda so_far: looks.append(len(so_far))  # noqa: E731
    results = finish(ablate(planned, exam, out, seeds=seeds, minutes=0.01, processes=1, look=look))
    assert looks == list(range(looks[0], len(results) + 1)), "a look before the first job and after each"
    return results


def test_results_are_kept_and_a_row_added_later_is_made_alone(tones: Path, tmp_path: Path) -> None:
    rows = groups(**{"no effects": RowConfig(settings={"augment": {"spec": []}})})
    first = run(tones, tmp_path, rows)
    assert [r.group for r in first] == ["reference", "reference", "", "group"]
    assert [r.name for r in first] == ["MFCC statistics", "untrained", "default", "no effects"]
    assert all(r.judged is not None and set(r.moved or {}) == {"tempo", "key", "timbre"} for r in first)
    assert [r.steps > 0 for r in first] == [False, False, True, True]
    assert not list(tmp_path.glob("runs/*/checkpoints/*.safetensors")), "checkpoints of finished runs are dropped"
    heard = [set(pd.read_csv(path)["path"]) for path in sorted(tmp_path.glob("runs/default-*/tracks.csv"))]
    assert len(heard) == 2, "a run for either half"
    assert not heard[0] & heard[1]
    assert len(heard[0] | heard[1]) == 12
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/*")}
    taught = RowConfig(settings={"loss": {"name": "distill"}, "labels": {"teacher": "mfcc"}})
    more = run(tones, tmp_path, {**rows, "loss": {"from a teacher": taught}})
    assert [(r.name, r.failed) for r in more][-1] == ("from a teacher", None)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(tmp_path.glob("results/*.json"))) == len(first) + 1
    again = read_result(Job(rows_of(rows, base_config(tones))[0], 0, 0.01, tmp_path))
    assert again.judged is not None
    assert first[2].judged is not None
    assert again.judged.measures == first[2].judged.measures


def test_a_row_whose_training_fails_has_a_result_that_says_so(tones: Path, tmp_path: Path) -> None:
    settings = {"hold_out": 0.95}  # leaves one track to train on
    row = rows_of(groups(lost=RowConfig(settings=settings)), base_config(tones))[1]
    for name in ("runs", "results"):
        (tmp_path / name).mkdir()
    exam, job = Exam(load_collection(str(tones / "labels.csv")), sensitive=0), Job(row, 0, 0.01, tmp_path)
    do(exam, finish(scan(exam.collection.root)).tracks, job)
    result = read_result(job)
    assert result.judged is None
    assert "left to train on" in (result.failed or "")


def test_another_collection_of_other_tracks_is_refused(tones: Path) -> None:
    one, other = (load_collection(str(tones / name)) for name in ("labels.csv", "b.csv"))
    with pytest.raises(DatasetError, match="must list the very tracks of"):
        Exam(one, (other,)).check()


def made(group: str, name: str, seed: int, value: float, failed: str | None = None) -> Result:
    draws = value + np.linspace(-0.1, 0.1, 1001)
    judged = Judged({"linear.accuracy": Measure(value, value - 0.1, value + 0.1)}, {"linear.accuracy": draws})
    return Result(group, name, seed, 100, 0.5, None if failed else judged, {"tempo": value}, failed)


def test_the_table_gives_means_over_seeds_and_the_paired_difference_to_the_default(tmp_path: Path) -> None:
    results = [
        *(made("", "default", seed, 0.5 + 0.02 * seed) for seed in range(2)),
        *(made("loss", "better", seed, 0.6 + 0.04 * seed) for seed in range(2)),
        made("loss", "lost", 0, 0.0, failed="it collapsed"),
        made("loss", "one seed yet", 1, 0.5),
    ]
    default, better, lost, young = table(results)
    assert default["accuracy"].startswith("51.0 (")
    assert better["accuracy"].startswith("62.0 (+11.0; ")
    low, high = (float(end) for end in better["accuracy"].rstrip(")").split("; ")[1].split(" to "))
    assert 8 < low < 11 < high < 14, "paired: the draws of artists cancel, those of seeds do not"
    assert (better["moved by tempo"], better["seeds"], lost["seeds"]) == ("0.62", "2", "0")
    assert (lost["failed"], lost["accuracy"]) == ("seed 0: it collapsed", "")
    assert young["accuracy"] == "50.0 (-2.0; -2.0 to -2.0)", "beside the default with that seed, not with all"
    lines = per_seed(results)
    assert lines["linear.accuracy"].tolist()[:4] == pytest.approx([0.5, 0.52, 0.6, 0.64])
    assert lines["failed"].tolist()[-2] == "it collapsed"
    assert write_tables(results, tmp_path) == [default, better, lost, young]
    assert "| better |" in (tmp_path / "ablation.md").read_text()
    assert markdown([default]).splitlines()[0].startswith("| row | seeds | steps | accuracy |")


def test_the_key_of_a_job_changes_with_everything_that_decides_its_result(tmp_path: Path) -> None:
    row = rows_of({}, PretrainConfig())[0]
    other = Row("", "default", row.config.model_copy(update={"hold_out": 0.2}))
    keys = {Job(*job, tmp_path).key for job in [(row, 0, 1.0), (row, 1, 1.0), (row, 0, 2.0), (other, 0, 1.0)]}
    assert len(keys) == 4
    machine = {"threads": 5, "workers": 3, "budget": BudgetConfig(minutes=3), "most_passes": None}
    threads = Row("", "default", row.config.model_copy(update=machine))
    assert Job(threads, 0, 1.0, tmp_path).key == Job(row, 0, 1.0, tmp_path).key
    assert json.loads(json.dumps(Job(row, 0, 1.0, tmp_path).row.slug)) == "default"
