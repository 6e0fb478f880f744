"""`mirclr evaluate` on sound that is really decoded: exit codes, files, stdout as data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from mirclr.cli.main import main
from mirclr.features.encoder_file import save_encoder
from mirclr.models.embedder import Embedder
from mirclr.seeds import generator

PLAN = {
    "sample_rate": 16_000,
    "clip_seconds": 1.0,
    "frontend": {"name": "logmel"},
    "encoder": {"name": "resnet", "width": 8},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 second-long files of 12 artists: label "low" hums below 400 Hz, "high" above 2 kHz; and an encoder."""
    folder = tmp_path_factory.mktemp("evaluate")
    lines = ["path,label,artist"]
    for i in range(24):
        label, artist = ("low", "high")[i // 2 % 2], f"artist {i // 2}"
        pitch = {"low": 200, "high": 2000}[label] * (1 + generator(90, i // 2).random())
        time = np.arange(16_000) / 16_000
        sound = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.01 * generator(91, i).normal(size=16_000)
        soundfile.write(folder / f"{i}.wav", sound, 16_000)
        lines.append(f"{i}.wav,{label},{artist}")
    (folder / "labels.csv").write_text("\n".join(lines))
    run = folder / "run"
    save_encoder(run / "encoder", Embedder(PLAN), {"name": "run", "notes": []})
    (run / "config.json").write_text('{"seed": 0}')
    (run / "metrics.jsonl").write_text(
        '{"kind": "step", "step": 1, "loss": 2.0}\n{"kind": "step", "step": 2, "loss": 1.0}\n'
    )
    return folder


def evaluate(place: Path, *more: str) -> Result:
    command = ["evaluate", str(place / "labels.csv"), "--encoder", str(place / "run"), "--random-seeds", "2"]
    return CliRunner().invoke(main, [*command, "--folds", "3", *more])


def test_report_goes_to_the_run_folder_and_the_table_to_stdout(place: Path) -> None:
    result = evaluate(place)
    assert result.exit_code == 0, result.stderr
    made = sorted(p.name for p in (place / "run" / "evaluation" / "labels").iterdir())
    assert made == ["confusion-run.png", "confusion.csv", "curves-run.png", "draws.npz", "embeddings-run.png",
                    "per_class.csv", "predictions.csv", "report.csv", "report.html", "report.json",
                    "rows.png"]  # fmt: skip
    tables = [[line.split("\t") for line in table.splitlines()] for table in result.stdout.split("\n\n")]
    assert [table[0][0] for table in tables] == ["what", "split", "row", "label", "true \\ predicted", "row"]
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    facts, rows, costs = dict(tables[0]), tables[2], {row[0]: row for row in tables[-1]}  # type: ignore[arg-type]
    assert facts["in training and test"].startswith("0 artists")
    assert [row[0] for row in rows] == ["row", "chance", "MFCC statistics", "MFCC, chroma and tempogram",
                                        "random-init (seed 0)", "random-init (seed 1)", "run", "run + handcrafted",
                                        "random-init (mean of 2 seeds)"]  # fmt: skip
    learned = sum(p.numel() for p in Embedder(PLAN).parameters())
    assert costs["run"][1] == str(learned)
    assert costs["MFCC statistics"][1] == "0"
    assert "times real time" in costs["run"][3]
    told = json.loads((place / "run" / "evaluation" / "labels" / "report.json").read_text())
    for row, cells in zip(told["rows"], rows[1:], strict=True):
        assert cells[rows[0].index("accuracy")].startswith(f"{100 * row['measures']['linear.accuracy']['value']:.1f} %")
    said = " ".join(result.stderr.split())
    assert "retraining" in said
    assert "against random-init (mean of 2 seeds): accuracy of run" in said
    assert "against MFCC statistics: same-artist R@1 of run" in said


def test_json_is_the_report_with_its_files(place: Path, tmp_path: Path) -> None:
    result = evaluate(place, "--json", "-o", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert all(Path(path).is_file() for path in told.pop("files"))
    assert told == json.loads((tmp_path / "report.json").read_text())


def test_a_broken_file_is_listed_and_the_rest_judged(place: Path, tmp_path: Path) -> None:
    whole = (place / "7.wav").read_bytes()
    (place / "7.wav").write_bytes(b"this is no sound")
    try:
        result = evaluate(place, "--json", "-o", str(tmp_path))
    finally:
        (place / "7.wav").write_bytes(whole)
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told["tracks"] == 23
    assert [row["path"] for row in told["quarantine"]] == [str(place / "7.wav")]
    assert "quarantined" in result.stderr


def test_a_collection_that_is_not_whole_is_judged_only_where_that_is_allowed(place: Path, tmp_path: Path) -> None:
    (place / "23.wav").rename(place / "gone")
    try:
        refused = evaluate(place, "-o", str(tmp_path / "no"))
        allowed = evaluate(place, "-o", str(tmp_path / "card"), "--allow-partial")
    finally:
        (place / "gone").rename(place / "23.wav")
    assert refused.exit_code == 1
    assert "1 of 24 listed files are missing: 23.wav" in refused.stderr
    assert "--allow-partial" in refused.stderr
    assert not (tmp_path / "no").exists()
    assert allowed.exit_code == 3
    caution = "partial collection: 1 of 24 listed files are missing: 23.wav"
    assert f"caution\t{caution}" in allowed.stdout
    assert f"NO BENCHMARK: {caution}" in allowed.stderr
    for name in ("report.json", "report.csv", "per_class.csv", "predictions.csv", "confusion.csv", "report.html"):
        assert caution in (tmp_path / "card" / name).read_text(), name


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--label", "mood"], 1, "no column 'mood'"),
        (["--encoder", "nowhere"], 1, "no encoder here"),
        (["--allow-leak", "artists"], 2, "no such leak"),
        (["--random-seeds", "0"], 2, "random-seeds"),
    ],
)
def test_mistakes_end_with_their_exit_code_and_a_message(place: Path, more: list[str], code: int, message: str) -> None:
    result = evaluate(place, *more)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert result.stdout == ""
