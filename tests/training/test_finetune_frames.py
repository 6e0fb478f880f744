"""Frame-level fine-tuning: what it learns, what it is taught, what it refuses, and the file it then annotates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from mirclr.audio.annotations import read_annotation
from mirclr.cli.main import main
from mirclr.datasets.collection import Collection
from mirclr.datasets.table import load_collection
from mirclr.errors import ConfigError, DatasetError, UsageError
from mirclr.evaluation.held_out_scores import score_held_out
from mirclr.evaluation.subject import embed_collection
from mirclr.events.scores import score_events
from mirclr.events.thresholds import GRID
from mirclr.features.embed import embed_tracks
from mirclr.features.encoder_file import load_encoder
from mirclr.features.head_file import load_head
from mirclr.reports import finish
from mirclr.training import finetune as loop
from mirclr.training.finetune_start import begin
from mirclr.training.frame_truth import FrameTruth, Piece
from mirclr.training.labelled import Labelled
from mirclr.training.views import Batch
from tests.support.clicks import burst_times, clicks_folder
from tests.support.labelled_tones import PLAN, tiny_encoder, tuning

# 16 ms a feature: a stride over time of 1.
FINE = {**PLAN, "encoder": {"name": "resnet", "width": 16, "stages": 2, "stem": [4, 1]}}
SPEC = [{"name": "spec_gain", "p": 0.5}]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks")
    clicks_folder(folder)
    return folder


@pytest.fixture(scope="module")
def collection(ground: Path) -> Collection:
    return load_collection(ground / "labels.csv", task="onsets", split="part")


def config(ground: Path, steps: int = 60, **over: object) -> loop.FinetuneConfig:
    plan = {
        "sample_rate": FINE["sample_rate"],
        "seconds": 1.0,
        "frontend": FINE["frontend"],
        "encoder": FINE["encoder"],
    }
    data = {"plan": plan, "budget": {"steps": steps}, "augment": {"spec": SPEC}, **over}
    return tuning(ground / "cache", **data)


@pytest.fixture(scope="module")
def trained(ground: Path, collection: Collection) -> tuple[Path, loop.Finetuned]:
    run = ground / "run"
    return run, finish(loop.finetune(collection, config(ground), run))


@pytest.fixture(scope="module")
def decoded(ground: Path, collection: Collection) -> Labelled:
    return finish(loop.read_labelled(collection, collection.splits[0], begin(collection, config(ground)).settings))


def test_onsets_are_learned_and_judged_on_other_artists(trained: tuple[Path, loop.Finetuned]) -> None:
    run, done = trained
    p = done.predictions
    assert (p.task, len(p.paths), list(p.values)) == ("onsets", 2, ["onset_f", "onset_precision", "onset_recall"])
    scores = score_held_out(p.task, p.truth, p.scores, p.groups, values=p.values, draws=50)
    assert scores.measures["onset_f"].value > 0.9
    assert scores.measures["onset_f"].value == pytest.approx(p.values["onset_f"].mean())
    assert np.isnan(scores.chance["onset_f"])
    assert "chance" in scores.to_json()["measures"]["onset_f"]
    rows = pd.read_csv(run / "predictions.csv")
    assert list(rows) == ["path", "measure", "value"]
    assert len(rows) == 6


def test_the_head_keeps_its_threshold_and_answers_for_files(trained: tuple[Path, loop.Finetuned], ground: Path) -> None:
    run, _ = trained
    head = load_head(run).head
    assert head.framewise
    assert head.thresholds.item() in [np.float32(at) for at in GRID]
    (ground / "bad").mkdir()
    (ground / "bad" / "x.wav").write_bytes(b"RIFF")
    words = ["annotate", str(ground / "7.wav"), str(ground / "bad"), "--run", str(run), "--sections", str(run)]
    forms = ["--format", "csv", "--format", "jams"]
    made = CliRunner().invoke(main, [*words, *forms, "-o", str(ground / "out"), "--json"])
    assert (made.exit_code, "quarantined" in made.stderr) == (3, True), made.stderr
    told = {row["kind"]: row for row in json.loads(made.stdout)}
    both = told.pop("onsets, sections")
    assert both["events"] == sum(row["events"] for row in told.values())
    found = read_annotation(ground / "out" / "7.onsets.csv", "onsets")
    assert (told["onsets"]["events"], set(told)) == (len(found), {"onsets", "sections"})
    assert score_events("onsets", {"time": burst_times("7", 5.0)}, found)["onset_f"] > 0.9
    sections = read_annotation(ground / "out" / "7.sections.csv", "sections")
    assert (sections["start"].iloc[0], sections["end"].iloc[-1]) == (0, pytest.approx(5.0, abs=0.05))
    spoken = {said["namespace"]: said["data"] for said in json.loads(Path(both["file"]).read_text())["annotations"]}
    assert [event["time"] for event in spoken["onset"]] == found["time"].tolist()
    assert [(s["time"], s["value"]) for s in spoken["segment_open"]] == list(
        zip(sections["start"], sections["label"], strict=True)
    )
    midi = CliRunner().invoke(main, [*words, "--format", "midi", "-o", str(ground / "out")])
    assert (midi.exit_code, "MIDI holds notes, and none are asked for" in midi.stderr) == (2, True)


@pytest.mark.parametrize(
    ("runs", "message"), [(0, "nothing to write: give a --run"), (2, "two runs for onsets: their files would have")]
)
def test_annotating_nothing_or_twice_is_refused(
    trained: tuple[Path, loop.Finetuned], ground: Path, runs: int, message: str
) -> None:
    words = ["annotate", str(ground / "7.wav"), *(["--run", str(trained[0])] * runs), "-o", str(ground / "none")]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, message in done.stderr) == (2, True)


def test_the_first_answer_is_how_often_an_output_is_there(
    ground: Path, collection: Collection, decoded: Labelled, tmp_path: Path
) -> None:
    start = begin(collection, config(ground, mode="head"))
    truth = FrameTruth.of(decoded, start.tuner.bare.embedder)
    run = loop.open_tuning(start, decoded, config(ground, mode="head"), tmp_path / "r")
    run.journal.close()
    head = start.tuner.bare.head.eval()
    answer = head.scores(head(torch.randn(1, 5, head.plan["inputs"])))
    torch.testing.assert_close(answer, truth.rates().mean().expand(1, 5, 1).float(), rtol=1e-3, atol=1e-4)


def test_a_crop_is_taught_what_is_in_it_whatever_the_store_holds() -> None:
    """Two excerpts of a file: units 0..99 are seconds 10..20, units 100..149 seconds 50..55."""
    events = [{"time": np.array([0.5, 12.0, 51.0, 53.0])}]
    pieces = [[Piece(0, 100, 10.0), Piece(100, 50, 50.0)]]
    truth = FrameTruth("onsets", events, pieces, unit_s=0.1, step_s=0.2, stride=2)
    planned = Batch(np.array([[0], [0]]), np.array([[10], [130]]), np.zeros(2, int), np.zeros(2, int))
    targets, weights = truth.batch(planned, 30)
    assert targets.shape == (2, 15, 1)
    assert torch.nonzero(targets[0, :, 0] == 1).flatten().tolist() == [5]  # 12 s, from 11 s on, a feature each 0.2 s
    assert torch.nonzero(targets[1, :, 0] == 1).flatten().tolist() == [0]  # 53 s is where the crop begins
    assert weights[0].tolist() == [1.0] * 15
    assert weights[1].tolist() == [1.0] * 10 + [0.0] * 5  # after 55 s the crop repeats itself
    rates = truth.rates()
    assert rates.shape == (1, 1)
    assert rates.item() == pytest.approx((2 + 2 + 2) / 75)  # three events of 0.5 + 1 + 0.5 over 50 + 25 features


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"augment": {"spec": [{"name": "time_warp", "p": 1.0}]}}, "after time_warp the onsets are not where"),
        ({"augment": {"spec": [{"name": "spec_mixup", "p": 1.0}]}}, "after spec_mixup the onsets are not where"),
        ({"target": "x", "adapt": {"name": "coral"}}, "adapt: aligns vectors of clips; onsets are read from frames"),
    ],
)
def test_what_frames_cannot_have_is_refused(ground: Path, collection: Collection, over: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        begin(collection, config(ground, **over))


def test_a_report_card_of_frames_is_refused(collection: Collection, ground: Path) -> None:
    with pytest.raises(UsageError, match="asks for onsets of every frame"):
        finish(embed_collection(collection, {}, embed_tracks))


def test_files_of_annotations_lie_inside_the_collection(ground: Path, tmp_path: Path) -> None:
    text = (ground / "labels.csv").read_text()
    (ground / "escaping.csv").write_text(text.replace("truth/3.csv", "../truth/3.csv"))
    with pytest.raises(DatasetError, match="files of onsets have to lie below"):
        load_collection(ground / "escaping.csv", task="onsets", split="part")
    (ground / "blank.csv").write_text(text.replace("truth/3.csv", ""))
    with pytest.raises(DatasetError, match="no file of onsets"):
        load_collection(ground / "blank.csv", task="onsets", split="part")


def test_other_annotations_are_another_run(collection: Collection, decoded: Labelled) -> None:
    moved = tuple({"time": events["time"] + 0.01} for events in collection.annotations)
    assert decoded.digest != replace(decoded, collection=replace(collection, annotations=moved)).digest


def test_a_head_of_clips_annotates_nothing(tmp_path: Path, ground: Path) -> None:
    from mirclr.features.head_file import save_head
    from mirclr.models.task_head import TaskHead

    tiny_encoder(tmp_path)
    encoder = load_encoder(tmp_path)
    save_head(tmp_path / "head", TaskHead(encoder.dim, 2, "multiclass"), ["a", "b"], encoder.fingerprint)
    done = CliRunner().invoke(
        main, ["annotate", str(ground / "7.wav"), "--run", str(tmp_path), "-o", str(tmp_path / "o")]
    )
    assert (done.exit_code, "its head answers for whole tracks (a, b, ...)" in done.stderr) == (2, True)
