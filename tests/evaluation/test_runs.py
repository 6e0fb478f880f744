"""Run folders as rows: names, families of seeds, and what an encoder has heard of its exam."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mirclr.errors import CheckpointError, UsageError
from mirclr.evaluation.report import evaluate
from mirclr.evaluation.runs import heard, open_runs, run_folder
from mirclr.features.encoder_file import save_encoder
from mirclr.models.embedder import Embedder
from mirclr.reports import finish
from tests.support.report_card import collection, embed_by_number

PLAN = {
    "sample_rate": 16_000,
    "clip_seconds": 1.0,
    "frontend": {"name": "logmel"},
    "encoder": {"name": "resnet", "width": 8},
}


def make_run(folder: Path, seed: int, *, batch: int = 8, name: str | None = None, heard: int = 0) -> Path:
    """What `mirclr pretrain` leaves, with `heard` tracks of the made-up collection in its list."""
    save_encoder(folder / "encoder", Embedder(PLAN), {"name": name or folder.name, "notes": ["a note"]})
    (folder / "config.json").write_text(json.dumps({"seed": seed, "optim": {"batch": batch}}))
    paths = [*collection().tracks["path"][:heard], "/music/o\udce4.mp3"]
    table = pd.DataFrame({"path": paths, "artist": None}).to_csv(index=False)
    (folder / "tracks.csv").write_bytes(table.encode("utf-8", "surrogateescape"))
    return folder


def test_runs_that_differ_only_in_their_seed_are_one_family(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / n, s, batch=b) for n, s, b in (("a", 0, 8), ("b", 1, 8), ("c", 2, 16))]
    runs = open_runs(paths, "cpu")
    assert runs.families == {"a": "trained", "b": "trained", "c": "c"}
    assert runs.folders == dict(zip("abc", paths, strict=True))


def test_runs_on_other_tracks_are_another_family(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / n, s, heard=h) for n, s, h in (("a", 0, 5), ("b", 1, 5), ("c", 0, 6), ("d", 1, 6))]
    families = open_runs(paths, "cpu").families
    assert families == {"a": "trained like a", "b": "trained like a", "c": "trained like c", "d": "trained like c"}


def test_an_encoder_without_its_run_is_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", 0)
    (run / "config.json").unlink()
    runs = open_runs([run / "encoder"], "cpu")
    assert runs.families == {"a": "a"}
    assert runs.folders == {"a": None}


def test_run_folder_is_found_from_every_form_of_an_encoder(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", 0)
    for path in (run, run / "encoder", run / "checkpoints" / "best.safetensors"):
        assert run_folder(path) == run
    assert run_folder(tmp_path) is None


def test_encoders_of_one_name_are_called_by_their_paths(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / n, 0, name="run") for n in ("a", "b")]
    assert list(open_runs(paths, "cpu").encoders) == [str(path) for path in paths]


def test_the_same_encoder_twice_and_a_folder_without_one_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", 0)
    with pytest.raises(UsageError, match="a is given twice"):
        open_runs([run, run / "." / ""], "cpu")
    with pytest.raises(CheckpointError, match="no encoder here"):
        open_runs([tmp_path], "cpu")


def test_what_pretraining_heard_is_counted(tmp_path: Path) -> None:
    assert heard(make_run(tmp_path / "a", 0, heard=5), collection()) == (
        "pretraining heard 5 of these 72 tracks (sound, never their labels)",
    )
    assert heard(make_run(tmp_path / "b", 0), collection()) == ()
    assert heard(None, collection()) == ()


def test_a_run_that_was_told_labels_is_not_called_blind(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", 0, heard=5)
    (run / "config.json").write_text(json.dumps({"labels": {"dataset": "emotify", "teacher": None}}))
    (note,) = heard(run, collection())
    assert "5 of these 72 tracks (sound, and labels of emotify: no blind test where these are told)" in note


def test_real_encoders_are_judged_beside_their_own_untrained_twins(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", 0)
    encoders = open_runs([run], "cpu").encoders
    work = evaluate(collection(), encoders, embed=embed_by_number(), random_seeds=2, draws=50)
    report = finish(work)
    rows = {row.name: row for row in report.rows}
    assert rows["a"].notes == ("a note",)
    assert rows["a"].dim == rows["random-init (seed 0)"].dim
    prints = {rows[name].fingerprint for name in ("a", "random-init (seed 0)", "random-init (seed 1)")}
    assert len(prints) == 3
    assert np.isfinite(rows["a"].judged.measures["linear.accuracy"].value)
