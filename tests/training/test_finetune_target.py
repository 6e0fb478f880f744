"""Fine-tuning with music of another collection beside it: what is aligned, what is read, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mirclr.datasets.collection import Collection
from mirclr.errors import CheckpointError, ConfigError, DatasetError, Interrupted, UsageError
from mirclr.features.encoder_file import load_encoder
from mirclr.losses.alignment import build_alignment, standardised
from mirclr.reports import finish
from mirclr.training import finetune as loop
from mirclr.training.checkpoint import LAST
from mirclr.training.finetune_start import begin
from mirclr.training.journal import read_journal
from tests.support.labelled_tones import labelled, labelled_folder, tiny_encoder, tuning
from tests.support.other_domain import accuracy, other_folder


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled tones in `music`, others behind a wall in `other`, an encoder."""
    folder = tmp_path_factory.mktemp("target")
    labelled_folder(folder / "music")
    other_folder(folder / "other")
    tiny_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def collection(ground: Path) -> Collection:
    return labelled(ground / "music")


@pytest.fixture(autouse=True)
def reports_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STEPS_BETWEEN_REPORTS", 4)


def config(ground: Path, cache: Path | None = None, **over: Any) -> loop.FinetuneConfig:
    given = {"encoder": str(ground), "target": str(ground / "other"), "adapt": {"name": "coral"}, **over}
    return tuning(cache or ground / "cache", **given)


def tune(ground: Path, collection: Collection, run: Path, resume: bool = False, **over: Any) -> loop.Finetuned:
    return finish(loop.finetune(collection, config(ground, **over), run, resume))


def rows(run: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in read_journal(run / "metrics.jsonl") if row["kind"] == kind]


def test_the_target_is_part_of_the_run_and_of_what_it_says(
    ground: Path, collection: Collection, tmp_path: Path
) -> None:
    done = tune(ground, collection, tmp_path / "run", adapt={"name": "mmd", "weight": 2.0, "kernels": 3})
    steps, reports = rows(tmp_path / "run", "step"), rows(tmp_path / "run", "epoch")
    assert all("alignment" in row for row in steps + reports)
    assert reports[0]["alignment"] == pytest.approx(np.mean([row["alignment"] for row in steps[: reports[0]["step"]]]))
    assert steps[0]["loss"] == pytest.approx(np.log(2) + 2 * steps[0]["alignment"])  # a head of zeros
    parts = pd.read_csv(tmp_path / "run" / "parts.csv")["part"].value_counts()
    assert parts.to_dict() == {"train": 8, "valid": 4, "test": 4, "target": 12}
    notes = load_encoder(tmp_path / "run").notes
    assert notes[-1] == f"aligned (mmd, weight 2) with the sound of 12 tracks of {ground / 'other'}"
    assert len(done.predictions.paths) == 4


@pytest.mark.parametrize("mode", ["full", "lora"])
@pytest.mark.parametrize("name", ["coral", "mmd"])
def test_a_step_learns_from_the_alignment_of_what_the_head_reads(
    ground: Path, collection: Collection, name: str, mode: str
) -> None:
    """The loss is that of the labels and the weighed distance of standardised embeddings out of one forward."""
    tuner = begin(collection, config(ground, mode=mode, adapt={"name": name, "weight": 3.0})).tuner
    frames, aside = torch.randn(4, 16, 62), torch.randn(6, 16, 62) * 2 + 1
    tuner.train()
    with torch.no_grad():
        embedded = tuner.bare.embedder.from_spectrogram(torch.cat([frames, aside]))
    expected = build_alignment(name)(*standardised(embedded[:4], embedded[4:]))
    learned = tuner.step(frames, torch.eye(2)[[0, 1, 0, 1]], 1e-3, 0, aside)
    assert learned.alignment is not None
    torch.testing.assert_close(learned.alignment, expected)
    torch.testing.assert_close(learned.loss, np.log(2) + 3 * expected)


@pytest.mark.parametrize("name", ["coral", "mmd"])
def test_steps_bring_the_embeddings_together(ground: Path, collection: Collection, name: str) -> None:
    def last(weight: float) -> float:
        tuner = begin(collection, config(ground, adapt={"name": name, "weight": weight})).tuner
        generator = torch.Generator().manual_seed(0)
        frames, aside = (torch.randn(16, 16, 62, generator=generator) * s + m for s, m in ((1, -8), (3, -6)))
        targets = torch.eye(2)[torch.arange(16) % 2]
        learned = [tuner.step(frames, targets, 1e-2, done, aside) for done in range(30)]
        assert learned[-1].alignment is not None
        return learned[-1].alignment.item()

    assert last(10.0) < 0.5 * last(0.0)


@pytest.mark.parametrize(("name", "weight"), [("coral", 10.0), ("mmd", 5.0)])
def test_what_the_wall_took_away_comes_back(
    ground: Path, collection: Collection, tmp_path: Path, name: str, weight: float
) -> None:
    over = {"seed": 4, "budget": {"steps": 80}, "patience": None}
    tune(ground, collection, tmp_path / "plain", target=None, adapt=None, **over)
    assert accuracy(tmp_path / "plain", ground / "other") < 0.6  # everything sounds low
    tune(ground, collection, tmp_path / "run", adapt={"name": name, "weight": weight}, **over)
    assert accuracy(tmp_path / "run", ground / "other") > 0.8


@pytest.mark.parametrize(("stop", "workers"), [(5, 0), (9, 1)])
def test_interrupted_and_resumed_equals_never_stopped(
    ground: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int, workers: int
) -> None:
    """The epochs of the target, three steps of four tracks, end elsewhere than the two steps of the collection."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    over: dict[str, Any] = {"adapt": {"name": "mmd", "batch": 5}, "workers": workers}
    tune(ground, collection, whole, **over)
    learn = loop._learn

    def stopping(tuning: loop.Tuning, *rest: Any) -> float:
        loss = learn(tuning, *rest)
        if tuning.at.step == stop:
            loop._stop(tuning, "TEST")
        return loss

    monkeypatch.setattr(loop, "_learn", stopping)
    with pytest.raises(Interrupted, match=f"TEST: saved at step {stop} of 12"):
        tune(ground, collection, run, **over)
    monkeypatch.setattr(loop, "_learn", learn)
    tune(ground, collection, run, resume=True, **over)
    assert rows(run, "step") == rows(whole, "step")
    last = (load_file(folder / "checkpoints" / LAST) for folder in (run, whole))
    assert all(torch.equal(a, b) for a, b in zip(*(t.values() for t in last), strict=True))
    assert load_encoder(run).fingerprint == load_encoder(whole).fingerprint


def test_every_target_track_has_its_turn_in_every_epoch_of_its_own(
    ground: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    frames = loop.Tuning.frames

    def noting(run: loop.Tuning, source: Any, loaded: Any) -> torch.Tensor:
        if source is run.aside:
            seen.append(loaded.planned.track[:, 0].tolist())
        return frames(run, source, loaded)

    monkeypatch.setattr(loop.Tuning, "frames", noting)
    tune(ground, collection, tmp_path / "run", budget={"steps": 6})
    for epoch in (seen[:3], seen[3:]):
        assert sorted(track for batch in epoch for track in batch) == list(range(12))
    assert seen[:3] != seen[3:]


def test_a_run_is_bound_to_its_target(ground: Path, collection: Collection, tmp_path: Path) -> None:
    run = tmp_path / "run"
    tune(ground, collection, run, budget={"steps": 2})
    with pytest.raises(CheckpointError, match=r"finetune\.adapt\.weight was 1\.0, is 2\.0"):
        tune(ground, collection, run, resume=True, adapt={"name": "coral", "weight": 2.0})
    one = min((ground / "other").glob("*.wav"))
    kept = one.read_bytes()
    one.unlink()
    with pytest.raises(CheckpointError, match="other tracks"):
        tune(ground, collection, run, resume=True)
    one.write_bytes(kept)


def test_nothing_is_read_of_a_target_but_its_sound(ground: Path, collection: Collection, tmp_path: Path) -> None:
    tune(ground, collection, tmp_path / "run", budget={"steps": 2})
    told = json.loads((tmp_path / "run" / "config.json").read_text())
    assert told["target"] == str(ground / "other")
    assert list(pd.read_csv(tmp_path / "run" / "parts.csv").columns) == ["path", "part"]


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"target": None}, r"adapt: coral aligns with the music of a folder; give one \(--target FOLDER\)"),
        ({"adapt": None}, r"target: nothing is aligned with it; choose how \(--adapt coral or mmd\)"),
        ({"mode": "head"}, "adapt: mode 'head' keeps the encoder as it is"),
        ({"adapt": {"name": "coral", "weight": -1.0}}, r"adapt\.weight: .*greater than or equal to 0 \(got -1\.0\)"),
        ({"adapt": {"name": "coral", "batch": 1}}, r"adapt\.batch: .*greater than or equal to 2 \(got 1\)"),
        ({"adapt": {"name": "corall"}}, "adapt: no alignment 'corall'. Did you mean 'coral'"),
        ({"adapt": {"name": "mmd", "kernels": 0}}, r"adapt: kernels must be in 1\.\.64, got 0"),
        ({"adapt": {"name": "mmd", "kernel": 3}}, "adapt: alignment 'mmd': unknown option 'kernel'"),
        ({"adapt": {"weight": 1.0}}, "adapt.name: Field required"),
    ],
)
def test_what_does_not_fit_together_is_said_before_anything_is_decoded(
    ground: Path, collection: Collection, tmp_path: Path, over: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        tune(ground, collection, tmp_path / "run", cache=tmp_path / "cache", **over)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


def test_a_target_without_music_is_refused(ground: Path, collection: Collection, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cold = {"cache": tmp_path / "cache"}
    with pytest.raises(DatasetError, match=r"target .*empty: 0 readable track\(s\) to align with, at least 2 needed"):
        tune(ground, collection, tmp_path / "run", target=str(tmp_path / "empty"), **cold)
    with pytest.raises(UsageError, match="nowhere"):
        tune(ground, collection, tmp_path / "run", target=str(tmp_path / "nowhere"), **cold)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()
